// echo_server [HOST:PORT]: serves echo.EchoService until it is interrupted.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/rpc_server.hpp>

#include <cstdlib>
#include <iostream>
#include <stdexcept>
#include <string>

#include "echo.pb.h"

using google::protobuf::Closure;
using google::protobuf::RpcController;

// Plain blocking code: each call has a coroutine of its own.
class EchoServiceImpl : public echo::EchoService {
  void Echo(RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, Closure* done) override {
    auto* call = static_cast<fastrpc::Controller*>(controller);
    response->set_response(request->message());
    call->response_attachment() = call->request_attachment();
    done->Run();
  }

  void SlowEcho(RpcController* controller, const echo::EchoRequest* request,
                echo::EchoResponse* response, Closure* done) override {
    fastrpc::sleep_for(std::chrono::seconds(1));
    Echo(controller, request, response, done);
  }

  void Refuse(RpcController* controller, const echo::EchoRequest* request, echo::EchoResponse*,
              Closure* done) override {
    auto* call = static_cast<fastrpc::Controller*>(controller);
    call->SetFailed(2042, "'" + request->message() + "' is refused");
    done->Run();
  }

  void Broken(RpcController*, const echo::EchoRequest* request, echo::EchoResponse*,
              Closure*) override {
    throw std::runtime_error("no echo for '" + request->message() + "'");
  }
};

int main(int argc, char** argv) {
  std::string address = argc > 1 ? argv[1] : "127.0.0.1:8997";
  auto colon = address.rfind(':');
  if (colon == std::string::npos) {
    std::cerr << "usage: echo_server HOST:PORT\n";
    return 2;
  }
  try {
    EchoServiceImpl service;
    fastrpc::RpcServer server(address.substr(0, colon), std::atoi(address.c_str() + colon + 1));
    server.add_service(service);
    server.listen();
    std::cout << "listening on " << server.address() << std::endl;
    int signal = server.run_until_signal();
    std::cout << "signal " << signal << " after " << server.stats().calls << " calls" << std::endl;
  } catch (const fastrpc::Error& error) {
    std::cerr << "echo_server: " << error.what() << "\n";
    return 1;
  }
}
