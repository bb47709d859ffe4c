// A server that speaks first: five messages, a second apart, to a client that asked once.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <chrono>
#include <iostream>

#include "echo.pb.h"

using namespace std::chrono_literals;

using Echo = echo::EchoService;

int main() {
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_method(&Echo::Echo, [](const echo::EchoRequest& request, fastrpc::Call& call) {
    // A connection may be kept: pushes to one that has gone fail, and harm nobody.
    fastrpc::spawn_detached([connection = call.connection()] {
      for (int count = 1; count <= 5; ++count) {
        fastrpc::sleep_for(1s);
        echo::EchoResponse news;
        news.set_response("news " + std::to_string(count));
        connection.push(news);
      }
    });
    echo::EchoResponse response;
    response.set_response("subscribed: " + request.message());
    return response;
  });
  server.listen();

  fastrpc::WaitGroup wanted(5);
  fastrpc::RpcClient client("127.0.0.1", server.port());
  client.on_push([&](std::string_view type, std::string_view bytes) {
    auto message = fastrpc::create_message(std::string(type));
    if (message == nullptr ||
        !message->ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      return;
    std::cout << "pushed: " << message->ShortDebugString() << '\n';
    wanted.done();
  });

  echo::EchoRequest request;
  request.set_message("all the news");
  std::cout << fastrpc::call(client, &Echo::Stub::Echo, request).response() << '\n';
  if (!wanted.wait_for(30s)) return 1;
}
