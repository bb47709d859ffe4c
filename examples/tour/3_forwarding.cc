// A server that asks another server: client -> front -> back.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <iostream>

#include "echo.pb.h"

using Echo = echo::EchoService;

int main() {
  fastrpc::RpcServer back("127.0.0.1", 0);
  back.add_method(&Echo::Echo, [](const echo::EchoRequest& request) {
    echo::EchoResponse response;
    response.set_response(request.message() + " -> back");
    return response;
  });
  back.listen();

  fastrpc::RpcClient to_back("127.0.0.1", back.port());
  fastrpc::RpcServer front("127.0.0.1", 0);
  front.add_method(&Echo::Echo, [&to_back](const echo::EchoRequest& request) {
    // Waits like a plain function call; meanwhile this worker serves others. What goes wrong is
    // the answer to the client.
    auto answer = fastrpc::call(to_back, &Echo::Stub::Echo, request, std::nothrow);
    if (answer) answer->set_response(answer->response() + " -> front");
    return answer;
  });
  front.listen();

  fastrpc::RpcClient client("127.0.0.1", front.port());
  echo::EchoRequest request;
  request.set_message("client");
  auto answer = fastrpc::call(client, &Echo::Stub::Echo, request, std::nothrow);
  std::cout << (answer ? answer->response() : answer.error().text()) << '\n';
  return answer ? 0 : 1;
}
