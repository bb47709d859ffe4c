// A call that waits for its answer, and one that does not.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <iostream>

#include "echo.pb.h"

using Echo = echo::EchoService;

int main() {
  fastrpc::RpcServer server("127.0.0.1", 0);  // port 0: a free one
  server.add_method(&Echo::Echo, [](const echo::EchoRequest& request) {
    echo::EchoResponse response;
    response.set_response(request.message() + ", says the server");
    return response;
  });
  server.listen();

  fastrpc::RpcClient client("127.0.0.1", server.port());
  echo::EchoRequest request;
  request.set_message("hello");

  // The call waits: it blocks this thread; a coroutine it would only suspend.
  fastrpc::Result<echo::EchoResponse> answer =
      fastrpc::call(client, &Echo::Stub::Echo, request, std::nothrow);
  if (!answer) {
    std::cerr << answer.error().text() << '\n';
    return 1;
  }
  std::cout << "sync:  " << answer->response() << '\n';

  // In a coroutine it goes on by itself, until somebody wants the answer. It throws what went
  // wrong: without std::nothrow there are exceptions.
  auto later = fastrpc::spawn([&] { return fastrpc::call(client, &Echo::Stub::Echo, request); });
  std::cout << "async: on its way\n";
  std::cout << "async: " << later.join().response() << '\n';
}
