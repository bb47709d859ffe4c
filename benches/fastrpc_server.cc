// The C++ server: a generated protobuf service, one worker thread.
#include <fastrpc/rpc_server.hpp>

#include "common/serve.hpp"
#include "echo.pb.h"

namespace {

class Service final : public echo::EchoService {
  void Echo(google::protobuf::RpcController*, const echo::EchoRequest* request,
            echo::EchoResponse* response, google::protobuf::Closure* done) override {
    response->set_message(request->message());
    done->Run();
  }
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "fastrpc's echo server in C++, one worker thread.");
  Service service;
  return bench::Serve(options.port, [&](auto& server) { server.add_service(service); });
}
