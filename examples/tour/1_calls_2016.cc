// The same calls in the spelling of 2016: a generated service and stub, controllers and closures.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/pbext.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <iostream>

#include "echo.pb.h"

class EchoImpl : public echo::EchoService {
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_response(request->message() + ", says the server");
    done->Run();  // now or later, here or in any other coroutine or thread
  }
};

int main() {
  EchoImpl service;
  fastrpc::RpcServer server("127.0.0.1", 0);  // port 0: a free one
  server.add_service(service);
  server.listen();

  fastrpc::RpcClient client("127.0.0.1", server.port());
  echo::EchoService::Stub stub(&client);
  echo::EchoRequest request;
  request.set_message("hello");

  // Without a `done` the call waits: it blocks this thread; a coroutine it would only suspend.
  echo::EchoResponse response;
  fastrpc::CliController controller;
  stub.Echo(&controller, &request, &response, nullptr);
  if (controller.Failed()) {
    std::cerr << controller.ErrorText() << '\n';
    return 1;
  }
  std::cout << "sync:  " << response.response() << '\n';

  // With one it returns at once, and `done` runs in a coroutine when the answer is there.
  fastrpc::WaitGroup answered(1);
  echo::EchoResponse later;
  stub.Echo(nullptr, &request, &later, fastrpc::pbext::NewCallback([&] { answered.done(); }));
  std::cout << "async: on its way\n";
  answered.wait();
  std::cout << "async: " << later.response() << '\n';
}
