// HTTP on the same port as RPC, for browsers and for curl.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

#include "echo.pb.h"

namespace http = fastrpc::http;

using Echo = echo::EchoService;

int main() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&Echo::Echo, [](const echo::EchoRequest& request) {
    echo::EchoResponse response;
    response.set_response("the service got '" + request.message() + "'");
    return response;
  });
  server.listen();
  fastrpc::RpcClient client("127.0.0.1", server.port());

  server.route("GET", "/echo/:word", [&](http::Request& request, http::Response& response) {
    echo::EchoRequest text;
    text.set_message(std::string(request.param("word")) + " " + std::string(request.query("kk")));
    auto answer = fastrpc::call(client, &Echo::Stub::Echo, text);  // suspends this request alone
    response.text(answer.response() + "\n");
  });
  server.route("POST", "/form", [](http::Request& request, http::Response& response) {
    response.html("<p>hello " + std::string(request.form("name")) + "</p>\n");
  });

  std::cout << "curl, on the port of the RPC server:" << std::endl;
  std::string url = "http://127.0.0.1:" + std::to_string(server.port());
  int failed = std::system(("curl -sS --fail '" + url + "/echo/hello?kk=world'").c_str());
  failed |= std::system(("curl -sS --fail -d name=browser " + url + "/form").c_str());
  return failed == 0 ? 0 : 1;
}
