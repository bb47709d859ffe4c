// Pushes one message to every client that joined, whenever one of them asks for it.
#include <fastrpc/rpc_server.hpp>

#include <vector>

#include "common/push.hpp"
#include "common/serve.hpp"
#include "echo.pb.h"

namespace {

class Service final : public echo::EchoService {
  void Echo(google::protobuf::RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse*, google::protobuf::Closure* done) override {
    auto& call = *static_cast<fastrpc::Controller*>(controller);
    if (request->message() == bench::kJoin) {
      members_.push_back(call._cli_flow);
    } else {
      echo::EchoRequest message;
      message.set_message(bench::Stamp());
      for (unsigned member : members_) {
        if (!fastrpc::RpcServer::PushToClient(call._svr, member, &message)) std::abort();
      }
    }
    done->Run();
  }

  std::vector<unsigned> members_;
};

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "fastrpc's server that pushes, one worker thread.");
  Service service;
  return bench::Serve(options.port, [&](auto& server) { server.add_service(service); });
}
