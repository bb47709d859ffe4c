// A server that speaks first: five messages, a second apart, to a client that asked once.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <chrono>
#include <iostream>

#include "echo.pb.h"

using namespace std::chrono_literals;

class News : public echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    // A connection may be kept: pushes to one that has gone fail, and harm nobody.
    auto connection = static_cast<fastrpc::Controller*>(controller)->connection();
    fastrpc::spawn_detached([connection] {
      for (int count = 1; count <= 5; ++count) {
        fastrpc::sleep_for(1s);
        echo::EchoResponse news;
        news.set_response("news " + std::to_string(count));
        connection.push(news);
      }
    });
    response->set_response("subscribed: " + request->message());
    done->Run();
  }
};

int main() {
  News service;
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_service(service);
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
  echo::EchoResponse response;
  request.set_message("all the news");
  echo::EchoService::Stub(&client).Echo(nullptr, &request, &response, nullptr);
  std::cout << response.response() << '\n';
  if (!wanted.wait_for(30s)) return 1;
}
