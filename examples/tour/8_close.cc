// Both sides learn when a connection ends, and calls in flight fail at once.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <chrono>
#include <iostream>
#include <memory>

#include "echo.pb.h"

using namespace std::chrono_literals;

using Echo = echo::EchoService;

int main() {
  auto server = std::make_unique<fastrpc::RpcServer>("127.0.0.1", 0);
  server->add_method(&Echo::Echo, [](const echo::EchoRequest&) {
    // At the server's stop this wait ends early, with an error.
    if (!fastrpc::sleep_for(1h, std::nothrow)) std::cout << "server: a method was canceled\n";
    return echo::EchoResponse();
  });
  fastrpc::WaitGroup closed(1);
  server->on_close([&](std::uint64_t connection) {
    std::cout << "server: connection " << connection << " has ended\n";
    closed.done();
  });
  server->listen();

  // A client that leaves.
  auto port = server->port();
  fastrpc::RpcClient("127.0.0.1", port).connect(5s, std::nothrow).value();
  closed.wait();

  // A server that leaves, with a call in flight.
  closed.add();
  fastrpc::RpcClient client("127.0.0.1", port);
  fastrpc::WaitGroup lost(1);
  client.on_close([&](const fastrpc::Error& why) {
    std::cout << "client: " << why.text() << '\n';
    lost.done();
  });
  auto call = fastrpc::spawn([&] {
    auto answer = fastrpc::call(client, &Echo::Stub::Echo, echo::EchoRequest(), std::nothrow);
    if (!answer) std::cout << "client: the call failed: " << answer.error().text() << '\n';
    return !answer;
  });
  while (server->stats().in_flight == 0) fastrpc::sleep_for(1ms);
  server->stop(100ms);  // lets calls in flight end for so long, then answers them with an error
  bool failed = call.join();
  closed.wait();
  lost.wait();
  return failed ? 0 : 1;
}
