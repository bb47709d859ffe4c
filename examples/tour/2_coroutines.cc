// A hundred calls at once, each in code that looks as if it were alone.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <chrono>
#include <iostream>
#include <vector>

#include "echo.pb.h"

using namespace std::chrono_literals;

using Echo = echo::EchoService;

int main() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&Echo::Echo, [](const echo::EchoRequest& request) {
    fastrpc::sleep_for(300ms);  // suspends this call alone
    echo::EchoResponse response;
    response.set_response(request.message());
    return response;
  });
  server.listen();
  fastrpc::RpcClient client("127.0.0.1", server.port());

  auto begin = std::chrono::steady_clock::now();
  std::vector<fastrpc::Coroutine<bool>> calls;
  for (int i = 0; i < 100; ++i) {
    calls.push_back(fastrpc::spawn([&client, i] {
      echo::EchoRequest request;
      request.set_message("number " + std::to_string(i));
      auto answer = fastrpc::call(client, &Echo::Stub::Echo, request);
      return answer.response() == request.message();
    }));
  }
  int right = 0;
  for (auto& call : calls) right += call.join();
  std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - begin;
  std::cout << right << " of 100 calls of 0.3 s each right, after " << seconds.count()
            << " s, on one thread\n";
  return right == 100 ? 0 : 1;
}
