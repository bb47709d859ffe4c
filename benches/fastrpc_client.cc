// The C++ client in a closed loop on each connection, by coroutines that wait for their answers or
// by calls with a `done`.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/sync.hpp>

#include <memory>
#include <string>
#include <vector>

#include "common/measure.hpp"
#include "common/setup.hpp"
#include "echo.pb.h"

namespace {

// Everything runs on the one worker: no lock is needed.
struct Loop {
  bench::Measurement measurement;
  fastrpc::semaphore ended{0};
};

// One of the calls in flight; started anew whenever it ends.
class Slot final : public google::protobuf::Closure {
 public:
  Slot(fastrpc::RpcClient* client, Loop& loop, std::size_t bytes) : stub_(client), loop_(loop) {
    request_.set_message(std::string(bytes, 'x'));
  }

  // Waits for each answer, until the measurement is done.
  void RunInCoroutine() {
    bench::Nanos now = bench::Now();
    do {
      Call(now, nullptr);
      now = bench::Now();
    } while (Goes(now));
  }

  // The same without a coroutine of its own: `Run` is the calls' done.
  void Start(bench::Nanos now) { Call(now, this); }
  void Run() override {
    bench::Nanos now = bench::Now();
    Goes(now) ? Start(now) : loop_.ended.release();
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
    right ? loop_.measurement.Answered(started_, now) : loop_.measurement.Failed();
    return !loop_.measurement.Done(now);
  }

  echo::EchoService::Stub stub_;
  Loop& loop_;
  echo::EchoRequest request_;
  echo::EchoResponse response_;
  fastrpc::CliController controller_;
  bench::Nanos started_ = 0;
};

void Run(const bench::ClientOptions& options) {
  std::vector<std::unique_ptr<fastrpc::RpcClient>> clients;
  for (std::size_t i = 0; i < options.connections; ++i) {
    clients.push_back(std::make_unique<fastrpc::RpcClient>(options.host, options.port));
    clients.back()->connect(std::chrono::seconds(10), std::nothrow).value();
  }

  Loop loop{bench::Measurement(options)};
  std::vector<std::unique_ptr<Slot>> slots;
  for (auto& client : clients) {
    for (std::size_t i = 0; i < options.in_flight; ++i) {
      slots.push_back(std::make_unique<Slot>(client.get(), loop, options.bytes));
    }
  }
  if (options.style == "done") {
    for (auto& slot : slots) slot->Start(bench::Now());
    loop.ended.acquire(slots.size());
  } else {
    std::vector<fastrpc::Coroutine<void>> coroutines;
    for (auto& slot : slots) {
      coroutines.push_back(fastrpc::spawn([&slot = *slot] { slot.RunInCoroutine(); }));
    }
    for (auto& coroutine : coroutines) coroutine.join();
  }
  loop.measurement.Print();
}

}  // namespace

int main(int argc, char** argv) {
  auto options = bench::ParseClient(
      argc, argv, "fastrpc's client in C++ in a closed loop; styles: coroutines, done.");
  try {
    fastrpc::spawn([&options] { Run(options); }).join();
  } catch (const fastrpc::Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
