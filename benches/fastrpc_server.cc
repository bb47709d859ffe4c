// The C++ server: a generated protobuf service, one worker thread.
#include <fastrpc/rpc_server.hpp>

#include "common/setup.hpp"
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
  try {
    Service service;
    fastrpc::RpcServer server("127.0.0.1", options.port);
    server.add_service(service);
    server.listen();
    bench::AnnouncePort(server.port());
    server.wait();
  } catch (const fastrpc::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
