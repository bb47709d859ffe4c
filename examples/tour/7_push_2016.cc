// The same pushes in the spelling of 2016: TimerMgr, PushToClient and RegiExtProcesser.
#include <fastrpc/pb_mgr.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>
#include <fastrpc/timer_mgr.hpp>

#include <chrono>
#include <iostream>
#include <memory>
#include <string>

#include "echo.pb.h"

class News : public echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    auto* call = static_cast<fastrpc::RpcController*>(controller);
    timers_.AddJob(100, fastrpc::NewPermanentClosure(&News::push, call->_svr, call->_cli_flow), 5);
    response->set_response("subscribed: " + request->message());
    done->Run();
  }

  static void push(fastrpc::CASyncSvr* server, unsigned client) {
    echo::EchoResponse news;
    news.set_response("news");
    fastrpc::RpcServer::PushToClient(server, client, &news);
  }

  fastrpc::TimerMgr timers_;
};

void on_push(std::string type, std::string bytes, void* wanted) {
  std::unique_ptr<google::protobuf::Message> message(fastrpc::PbMgr::CreateMessage(type));
  if (message == nullptr || !message->ParseFromString(bytes)) return;
  std::cout << "pushed: " << message->ShortDebugString() << '\n';
  static_cast<fastrpc::WaitGroup*>(wanted)->done();
}

int main() {
  News service;
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.RegiService(&service);
  server.listen();

  fastrpc::WaitGroup wanted(5);
  fastrpc::RpcClient client("127.0.0.1", server.port());
  client.RegiExtProcesser(&on_push, &wanted);

  echo::EchoRequest request;
  echo::EchoResponse response;
  request.set_message("all the news");
  echo::EchoService::Stub(&client).Echo(nullptr, &request, &response, nullptr);
  std::cout << response.response() << '\n';
  return wanted.wait_for(std::chrono::seconds(30)) ? 0 : 1;
}
