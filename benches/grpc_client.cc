// gRPC's asynchronous client: one thread, one completion queue, a closed loop on each channel.
#include <grpcpp/grpcpp.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/measure.hpp"
#include "common/setup.hpp"
#include "echo.grpc.pb.h"

namespace {

// One of the calls in flight; started anew whenever it ends.
class Slot {
 public:
  Slot(echo::EchoService::Stub& stub, grpc::CompletionQueue& queue, std::size_t bytes)
      : stub_(stub), queue_(queue) {
    request_.set_message(std::string(bytes, 'x'));
  }

  void Start(bench::Nanos now) {
    started_ = now;
    context_.emplace();  // a context serves one call
    reader_ = stub_.PrepareAsyncEcho(&*context_, request_, &queue_);
    reader_->StartCall();
    reader_->Finish(&response_, &status_, this);
  }

  bench::Nanos started() const { return started_; }
  bool right() const {
    return status_.ok() && response_.message().size() == request_.message().size();
  }

 private:
  echo::EchoService::Stub& stub_;
  grpc::CompletionQueue& queue_;
  echo::EchoRequest request_;
  echo::EchoResponse response_;
  grpc::Status status_;
  std::optional<grpc::ClientContext> context_;
  std::unique_ptr<grpc::ClientAsyncResponseReader<echo::EchoResponse>> reader_;
  bench::Nanos started_ = 0;
};

std::unique_ptr<echo::EchoService::Stub> Connect(const std::string& target) {
  grpc::ChannelArguments arguments;
  // Otherwise all channels to one address share one connection.
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  auto channel = grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(std::chrono::system_clock::now() + std::chrono::seconds(10))) {
    std::fprintf(stderr, "cannot connect to %s\n", target.c_str());
    std::exit(1);
  }
  return echo::EchoService::NewStub(channel);
}

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseClient(argc, argv, "gRPC's asynchronous client in a closed loop.");

  grpc::CompletionQueue queue;
  std::vector<std::unique_ptr<echo::EchoService::Stub>> stubs;
  std::vector<std::unique_ptr<Slot>> slots;
  for (std::size_t i = 0; i < options.connections; ++i) {
    stubs.push_back(Connect(options.Target()));
    for (std::size_t j = 0; j < options.in_flight; ++j) {
      slots.push_back(std::make_unique<Slot>(*stubs.back(), queue, options.bytes));
    }
  }

  bench::Measurement measurement(options);
  for (auto& slot : slots) slot->Start(bench::Now());
  std::size_t in_flight = slots.size();
  void* tag;
  bool ok;
  while (in_flight > 0 && queue.Next(&tag, &ok)) {
    auto* slot = static_cast<Slot*>(tag);
    bench::Nanos now = bench::Now();
    slot->right() ? measurement.Answered(slot->started(), now) : measurement.Failed();
    if (measurement.Done(now)) {
      --in_flight;  // calls still under way end without a successor
    } else {
      slot->Start(now);
    }
  }
  measurement.Print();
}
