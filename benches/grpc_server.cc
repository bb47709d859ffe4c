// gRPC's asynchronous server, one thread on one completion queue.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>

#include "common/setup.hpp"
#include "echo.grpc.pb.h"

namespace {

using Service = echo::EchoService::AsyncService;

// One call, from its arrival to the end of its answer. It is its own tag on the queue.
class Call {
 public:
  Call(Service& service, grpc::ServerCompletionQueue& queue)
      : service_(service), queue_(queue), responder_(&context_) {
    service_.RequestEcho(&context_, &request_, &responder_, &queue_, &queue_, this);
  }

  // The next event: false when the call is over.
  bool Proceed(bool ok) {
    if (answered_ || !ok) return false;
    answered_ = true;
    response_.set_allocated_message(request_.release_message());
    responder_.Finish(response_, grpc::Status::OK, this);
    return true;
  }

  bool answered() const { return answered_; }

 private:
  Service& service_;
  grpc::ServerCompletionQueue& queue_;
  grpc::ServerContext context_;
  echo::EchoRequest request_;
  echo::EchoResponse response_;
  grpc::ServerAsyncResponseWriter<echo::EchoResponse> responder_;
  bool answered_ = false;
};

// Calls that may arrive before the loop asks for more.
constexpr int kWaiting = 128;

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseServer(argc, argv, "gRPC's asynchronous echo server, one thread.");

  Service service;
  grpc::ServerBuilder builder;
  int port = 0;
  builder.AddListeningPort("127.0.0.1:" + std::to_string(options.port),
                           grpc::InsecureServerCredentials(), &port);
  builder.RegisterService(&service);
  auto queue = builder.AddCompletionQueue();
  auto server = builder.BuildAndStart();
  if (server == nullptr) {
    std::fprintf(stderr, "cannot listen\n");
    return 1;
  }
  for (int i = 0; i < kWaiting; ++i) new Call(service, *queue);
  bench::AnnouncePort(port);

  void* tag;
  bool ok;
  while (queue->Next(&tag, &ok)) {
    auto* call = static_cast<Call*>(tag);
    bool arrived = !call->answered() && ok;
    if (!call->Proceed(ok)) delete call;
    if (arrived) new Call(service, *queue);
  }
}
