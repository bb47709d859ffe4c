// Typed calls, and methods of protobuf services that are functions of messages.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <stdexcept>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>

#include "check.hpp"
#include "echo.pb.h"
#include "records.hpp"
#include "workers.hpp"

using echo::EchoRequest;
using echo::EchoResponse;
using echo::EchoService;
using fastrpc::Result;
using namespace std::chrono_literals;

static_assert(!std::is_constructible_v<fastrpc::RpcServer, int>);
static_assert(std::is_move_constructible_v<fastrpc::RpcServer>);

namespace {

EchoRequest request(const std::string& text) {
  EchoRequest message;
  message.set_message(text);
  return message;
}
EchoResponse response(const std::string& text) {
  EchoResponse message;
  message.set_response(text);
  return message;
}

std::string outcome(const Result<EchoResponse>& result) {
  if (result) return result->response();
  return std::to_string(result.error().code()) + ": " + result.error().text();
}

void methods_are_functions_of_messages() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&EchoService::Echo, [](const EchoRequest& r) { return response(r.message()); });
  server.add_method(&EchoService::SlowEcho, [](const EchoRequest& r) -> Result<EchoResponse> {
    if (r.message() == "other") return fastrpc::Error(fastrpc::Status::timed_out);
    if (r.message() == "throw") throw std::runtime_error("thrown");
    if (!r.message().empty()) return fastrpc::Error::service(2042, r.message());
    return response("nothing");
  });
  server.listen();
  fastrpc::Client client("127.0.0.1", server.port());
  auto slow = [&client](const std::string& text) {
    return outcome(call(client, &EchoService::Stub::SlowEcho, request(text), std::nothrow));
  };

  Result<EchoResponse> echoed = fastrpc::call(client, &EchoService::Stub::Echo, request("hello"));
  CHECK(outcome(echoed) == "hello");
  // The service does as well as its stub.
  CHECK(fastrpc::call(client, &EchoService::Echo, request("a")).response() == "a");
  CHECK(slow("") == "nothing");
  CHECK(slow("refused") == "2042: refused");
  CHECK(slow("throw") == "2001: thrown");
  CHECK(records().says("echo.EchoService.SlowEcho", "thrown"));
  // What befell the handler is no error of the client's own.
  auto other = call(client, &EchoService::Stub::SlowEcho, request("other"), std::nothrow).error();
  CHECK(other.is_remote() && !other.is_service_error() && other.code() == fastrpc::Code::internal);
  try {
    (void)fastrpc::call(client, &EchoService::Stub::Broken, request(""));
    CHECK(!"it threw");
  } catch (const fastrpc::Error& e) {
    CHECK(e.code() == fastrpc::Code::no_method);
  }
  auto again = [](const EchoRequest&) { return EchoResponse(); };
  CHECK(server.add_method(&EchoService::Echo, again, std::nothrow).error().status() ==
        fastrpc::Status::bad_state);
}

void handlers_may_ask_for_the_call_or_its_connection() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&EchoService::Echo, [](const EchoRequest& r, fastrpc::Call& call) {
    CHECK(call.service() == "echo.EchoService" && call.method() == "Echo");
    CHECK(call.log_id() == 7 && call.time_left() <= 30s);
    call.response_attachment() = std::string(call.attachment());
    call.set_response_compression(fastrpc::Compression::snappy);
    return response(r.message() + std::string(100, 'x'));
  });
  server.add_method(&EchoService::SlowEcho,
                    [](const EchoRequest&, const fastrpc::Connection& connection) {
                      connection.push(response("pushed"));
                      return response(std::to_string(connection.id()));
                    });
  // Answers by the call that it moved away: what it returns does not count.
  server.add_method(&EchoService::Broken, [](const EchoRequest&, fastrpc::Call& call) {
    std::thread([later = std::move(call)]() mutable {
      later.reply(response("later").SerializeAsString());
    }).detach();
    return response("not sent");
  });
  server.listen();
  fastrpc::queue<std::string> pushed(4);
  fastrpc::RpcClient client("127.0.0.1", server.port());
  client.on_push(
      [&pushed](std::string_view name, std::string_view) { pushed.push(std::string(name)); });
  fastrpc::CallOptions options;
  options.timeout = 30s;
  options.log_id = 7;
  options.attachment = "beside";
  auto echoed = fastrpc::call(client, &EchoService::Stub::Echo, request("a"), options);
  CHECK(echoed.response() == "a" + std::string(100, 'x'));
  CHECK(fastrpc::call(client, &EchoService::Stub::SlowEcho, request("")).response() == "1");
  CHECK(pushed.pop() == "echo.EchoResponse");
  for (int i = 0; i < 20; ++i)
    CHECK(fastrpc::call(client, &EchoService::Stub::Broken, request("")).response() == "later");
}

void stubs_and_services_get_along_with_both() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&EchoService::Echo, [](const EchoRequest& r) { return response(r.message()); });
  server.listen();
  fastrpc::RpcClient client("127.0.0.1", server.port());
  EchoService::Stub stub(&client);
  auto hello = request("hello");
  EchoResponse answer;
  fastrpc::CliController controller;
  stub.Echo(&controller, &hello, &answer, nullptr);
  CHECK(!controller.Failed() && answer.response() == "hello");
  stub.Broken(&controller, &hello, &answer, nullptr);
  CHECK(controller.ErrorCode() == fastrpc::Code::no_method && !controller.is_service_error());
  CHECK(controller.status() == fastrpc::Status::remote);
}

void what_is_no_message_is_refused_on_both_sides() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&EchoService::Echo, [](const EchoRequest& r) { return response(r.message()); });
  server.add_method("echo.EchoService", "SlowEcho",
                    [](fastrpc::Call& call) { call.reply("\xff\xff no message"); });
  server.listen();
  fastrpc::Client client("127.0.0.1", server.port());
  auto refused = client.call("echo.EchoService", "Echo", "\xff\xff no message", std::nothrow);
  CHECK(refused.error().code() == fastrpc::Code::bad_request);
  CHECK(refused.error().text() == "the request is not a valid echo.EchoRequest");
  auto bad = fastrpc::call(client, &EchoService::Stub::SlowEcho, request(""), std::nothrow);
  CHECK(bad.error().code() == fastrpc::Code::bad_response);
  CHECK(bad.error().text() == "the response is not a valid echo.EchoResponse");
}

void calls_from_many_coroutines() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&EchoService::Echo, [](const EchoRequest& r) {
    fastrpc::sleep_for(1ms);
    return response(r.message());
  });
  server.listen();
  fastrpc::Client client("127.0.0.1", server.port());
  std::vector<fastrpc::Coroutine<bool>> calls;
  for (int i = 0; i < 200; ++i) {
    calls.push_back(fastrpc::spawn([&client, text = std::to_string(i)] {
      return fastrpc::call(client, &EchoService::Stub::Echo, request(text)).response() == text;
    }));
  }
  for (auto& call : calls) CHECK(call.join());
}

}  // namespace

int main() {
  configure_workers();
  records().listen();
  RUN(methods_are_functions_of_messages);
  RUN(handlers_may_ask_for_the_call_or_its_connection);
  RUN(stubs_and_services_get_along_with_both);
  RUN(what_is_no_message_is_refused_on_both_sides);
  RUN(calls_from_many_coroutines);
  google::protobuf::ShutdownProtobufLibrary();
}
