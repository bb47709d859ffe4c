// Handlers and calls that must not compile. Each is followed by what the compiler must say of it:
// wrong_handlers.sh compares.
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include "echo.pb.h"

using echo::EchoRequest;
using echo::EchoResponse;
using echo::EchoService;
namespace http = fastrpc::http;

void wrong(fastrpc::RpcServer& server, fastrpc::RpcClient& client) {
  server.add_method(&EchoService::Echo, [](const EchoResponse& r) { return r; });
  // error: the handler of a method is Response(const Request&) or Result<Response>(const Request&)
  server.add_method(&EchoService::Echo, [](const EchoRequest& r) { return r.message(); });
  // error: the handler of a method is Response(const Request&) or Result<Response>(const Request&)
  server.add_method(&EchoService::Echo, [](const EchoRequest&) {});
  // error: the handler of a method is Response(const Request&) or Result<Response>(const Request&)
  server.add_method(&EchoRequest::Clear, [](const EchoRequest& r) { return r; });
  // error: the first argument is a method of a generated service
  server.add_method("a.B", "C", [](int) {});
  // error: a method on bytes is void(fastrpc::Call& call)
  server.add_method("a.B", "C", [](fastrpc::Call& call) { return call.body(); });
  // error: a method on bytes returns nothing: it answers by call.reply(bytes)
  server.route("GET", "/", [](http::Response&) {});
  // error: an HTTP handler is void(http::Request& request, http::Response& response)
  server.route("GET", "/", [](http::Request&, http::Response&) { return 404; });
  // error: an HTTP handler returns nothing: set a status by response.status(404)
  server.on_close([] {});
  // error: a handler of closed connections is void(std::uint64_t connection)
  (void)fastrpc::call(client, &EchoService::Stub::Echo, EchoResponse());
  // error: the request is of the type that the method takes
  (void)fastrpc::call(client, &EchoRequest::Clear, EchoRequest());
  // error: the second argument is a method of a generated stub
  client.on_push([](int) {});
  // error: a handler of pushes is void(std::string_view name, std::string_view body)
  client.on_close([] {});
  // error: a handler of lost connections is void(const fastrpc::Error& why)
  client.call_async("a.B", "C", "", {}, [] {});
  // error: the end of a call is void(fastrpc::Result<fastrpc::Response> response)
}
