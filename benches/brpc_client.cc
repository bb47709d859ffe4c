// brpc's client in a closed loop on each connection, by bthreads that wait for their answers or by
// calls with a `done`.
#include <brpc/channel.h>
#include <bthread/countdown_event.h>
#include <bthread/mutex.h>
#include <gflags/gflags.h>

#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "common/measure.hpp"
#include "common/setup.hpp"
#include "echo.pb.h"

namespace {

// Calls end on several threads.
struct Loop {
  bench::Measurement measurement;
  bthread::CountdownEvent ended;
  bthread::Mutex mutex;
};

// One of the calls in flight; started anew whenever it ends.
class Slot final : public google::protobuf::Closure {
 public:
  Slot(brpc::Channel* channel, Loop& loop, std::size_t bytes) : stub_(channel), loop_(loop) {
    request_.set_message(std::string(bytes, 'x'));
  }

  // Waits for each answer, until the measurement is done.
  static void* RunInBthread(void* slot) {
    auto& self = *static_cast<Slot*>(slot);
    bench::Nanos now = bench::Now();
    do {
      self.Call(now, nullptr);
      now = bench::Now();
    } while (self.Goes(now));
    self.loop_.ended.signal();
    return nullptr;
  }

  // The same without a bthread of its own: `Run` is the calls' done.
  void Start(bench::Nanos now) { Call(now, this); }
  void Run() override {
    bench::Nanos now = bench::Now();
    Goes(now) ? Start(now) : (void)loop_.ended.signal();
  }

 private:
  void Call(bench::Nanos now, google::protobuf::Closure* done) {
    started_ = now;
    controller_.Reset();
    stub_.Echo(&controller_, &request_, &response_, done);
  }

  // Counts the call that has ended; whether another is to follow.
  bool Goes(bench::Nanos now) {
    bool right = !controller_.Failed() && response_.message().size() == request_.message().size();
    std::lock_guard<bthread::Mutex> guard(loop_.mutex);
    right ? loop_.measurement.Answered(started_, now) : loop_.measurement.Failed();
    return !loop_.measurement.Done(now);
  }

  echo::EchoService::Stub stub_;
  Loop& loop_;
  echo::EchoRequest request_;
  echo::EchoResponse response_;
  brpc::Controller controller_;
  bench::Nanos started_ = 0;
};

int Run(const bench::ClientOptions& options) {
  std::vector<std::unique_ptr<brpc::Channel>> channels;
  for (std::size_t i = 0; i < options.connections; ++i) {
    brpc::ChannelOptions settings;
    settings.connection_type = "single";
    // Each its own connection, where channels to one server would share it.
    settings.connection_group = std::to_string(i);
    settings.timeout_ms = 10000;
    settings.max_retry = 0;
    channels.push_back(std::make_unique<brpc::Channel>());
    if (channels.back()->Init(options.Target().c_str(), &settings) != 0) return 1;
  }

  int calls = static_cast<int>(options.connections * options.in_flight);
  Loop loop{bench::Measurement(options), bthread::CountdownEvent(calls), {}};
  std::vector<std::unique_ptr<Slot>> slots;
  for (auto& channel : channels) {
    for (std::size_t i = 0; i < options.in_flight; ++i) {
      slots.push_back(std::make_unique<Slot>(channel.get(), loop, options.bytes));
    }
  }
  for (auto& slot : slots) {
    bthread_t thread;
    if (options.style == "done") {
      slot->Start(bench::Now());
    } else if (bthread_start_background(&thread, nullptr, Slot::RunInBthread, slot.get()) != 0) {
      return 1;
    }
  }
  loop.ended.wait();
  loop.measurement.Print();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  auto options =
      bench::ParseClient(argc, argv, "brpc's client in a closed loop; styles: bthreads, done.");
  google::SetCommandLineOption("bthread_concurrency", "4");
  return Run(options);
}
