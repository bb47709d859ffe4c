// A server that asks another server: client -> front -> back.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <iostream>

#include "echo.pb.h"

class Back : public echo::EchoService {
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_response(request->message() + " -> back");
    done->Run();
  }
};

class Front : public echo::EchoService {
 public:
  explicit Front(int back) : client_("127.0.0.1", back) {}

 private:
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    // Waits like a plain function call; meanwhile this worker serves others.
    fastrpc::CliController call;
    stub_.Echo(&call, request, response, nullptr);
    if (call.Failed()) controller->SetFailed(call.ErrorText());
    response->set_response(response->response() + " -> front");
    done->Run();
  }

  fastrpc::RpcClient client_;
  echo::EchoService::Stub stub_{&client_};
};

int main() {
  Back back;
  fastrpc::RpcServer back_server("127.0.0.1", 0);
  back_server.add_service(back);
  back_server.listen();

  Front front(back_server.port());
  fastrpc::RpcServer front_server("127.0.0.1", 0);
  front_server.add_service(front);
  front_server.listen();

  fastrpc::RpcClient client("127.0.0.1", front_server.port());
  echo::EchoRequest request;
  echo::EchoResponse response;
  request.set_message("client");
  fastrpc::CliController controller;
  echo::EchoService::Stub(&client).Echo(&controller, &request, &response, nullptr);
  std::cout << (controller.Failed() ? controller.ErrorText() : response.response()) << '\n';
  return controller.Failed() ? 1 : 0;
}
