// Calls that end because somebody says so: CliController::StartCancel(), or their coroutine's end.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <arpa/inet.h>
#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "behaviour.hpp"
#include "check.hpp"
#include "workers.hpp"

namespace {

void start_cancel_ends_an_asynchronous_call() {
  fastrpc::queue<Closure*> kept(4);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  fastrpc::WaitGroup ended(1);
  int notified = 0;
  controller.NotifyOnCancel(new Function([&notified] { ++notified; }));
  Stub(f.client.get()).Echo(&controller, &request, &response, new Function([&ended] {
    CHECK(fastrpc::this_coroutine::exists());
    ended.done();
  }));
  Closure* done = kept.pop();
  controller.StartCancel();
  ended.wait();
  CHECK(controller.Failed() && controller.status() == FASTRPC_ECANCELED && notified == 1);
  done->Run();

  // What comes after a cancellation fails at once, until Reset().
  Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
  CHECK(controller.status() == FASTRPC_ECANCELED);
  controller.Reset();
  request.set_message("plain");
  Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
  CHECK(!controller.Failed() && response.response() == "plain");
}

void start_cancel_may_race_with_the_answer() {
  Fixture f([](auto&, auto&, Closure* done) { done->Run(); });
  echo::EchoRequest request;
  request.set_message("plain");
  for (int i = 0; i < 500; ++i) {
    echo::EchoResponse response;
    fastrpc::CliController controller;
    fastrpc::WaitGroup ended(1);
    std::atomic<int> runs{0};
    std::thread canceler([&controller] { controller.StartCancel(); });
    Stub(f.client.get()).Echo(&controller, &request, &response, new Function([&] {
      ++runs;
      ended.done();
    }));
    ended.wait();
    canceler.join();
    CHECK(runs == 1);
    CHECK(controller.Failed() ? controller.status() == FASTRPC_ECANCELED
                              : response.response() == "plain");
  }
}

// The server never answers by itself, so that only StartCancel() ends the call, whenever it comes.
void the_done_of_a_canceled_call_may_destroy_its_controller() {
  fastrpc::queue<Closure*> kept(1000);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  echo::EchoRequest request;
  for (int i = 0; i < 300; ++i) {
    echo::EchoResponse response;
    fastrpc::WaitGroup ended(1);
    std::atomic<int> notified{0};
    auto* controller = new fastrpc::CliController;
    controller->NotifyOnCancel(new Function([&notified] { ++notified; }));
    std::thread canceler([controller] { controller->StartCancel(); });
    Stub(f.client.get()).Echo(controller, &request, &response, new Function([&, controller] {
                                CHECK(controller->status() == FASTRPC_ECANCELED &&
                                      controller->IsCanceled());
                                delete controller;
                                ended.done();
                              }));
    ended.wait();
    canceler.join();
    CHECK(notified == 1);
  }
  while (auto done = kept.try_pop()) (*done)->Run();
}

void a_callback_of_notify_on_cancel_may_throw() {
  auto thrower = [] { return new Function([] { throw std::runtime_error("from a callback"); }); };
  Fixture f([&thrower](fastrpc::Controller& controller, auto&, Closure* done) {
    controller.NotifyOnCancel(thrower());
    done->Run();
  });
  CHECK(f.call("answered") == "answered");

  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::WaitGroup ended(1);
  request.set_message("plain");
  {
    fastrpc::CliController controller, unused;
    controller.NotifyOnCancel(thrower());
    unused.NotifyOnCancel(thrower());
    Stub(f.client.get()).Echo(&controller, &request, &response, new Function([&] {
      ended.done();
    }));
    ended.wait();
    CHECK(response.response() == "plain");
    controller.NotifyOnCancel(thrower());
    controller.StartCancel();
    controller.NotifyOnCancel(thrower());
    CHECK(controller.IsCanceled());
  }
  CHECK(f.lives());
}

void canceling_its_coroutine_ends_a_synchronous_call() {
  fastrpc::queue<Closure*> kept(4);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  auto call = fastrpc::spawn([&f] { return f.call(); });
  Closure* done = kept.pop();
  call.cancel();
  CHECK(call.join() == std::to_string(ECANCELED) + ": the call was canceled");
  done->Run();
}

// A thread or a coroutine, to be joined.
class Runner {
 public:
  template <typename F>
  Runner(bool in_coroutine, F run) {
    if (in_coroutine) {
      coroutine_ = fastrpc::spawn(std::move(run));
    } else {
      thread_ = std::thread(std::move(run));
    }
  }
  void join() {
    if (thread_.joinable()) return thread_.join();
    coroutine_.join();
  }

 private:
  std::thread thread_;
  fastrpc::Coroutine<void> coroutine_;
};

// Calls `test(caller, canceler)`: each in a thread or in a coroutine.
template <typename F>
void from_everywhere(F test) {
  for (bool caller : {false, true}) {
    for (bool canceler : {false, true}) test(caller, canceler);
  }
}

void start_cancel_ends_a_synchronous_call() {
  fastrpc::queue<Closure*> kept(4);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  from_everywhere([&](bool in_caller, bool in_canceler) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    std::atomic<int> notified{0};
    std::atomic<bool> ended{false};
    controller.set_timeout(60s);
    controller.NotifyOnCancel(new Function([&] {
      CHECK(!ended);
      ++notified;
    }));
    Runner caller(in_caller, [&] {
      Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
      ended = true;
    });
    Closure* done = kept.pop();
    CHECK(!ended && !controller.IsCanceled());
    Runner(in_canceler, [&] { controller.StartCancel(); }).join();
    caller.join();
    CHECK(controller.Failed() && controller.status() == FASTRPC_ECANCELED && notified == 1);
    CHECK(controller.ErrorCode() == ECANCELED && response.response().empty());
    CHECK(controller.IsCanceled() && !controller.IsTimeOut());
    controller.StartCancel();
    done->Run();
    CHECK(f.lives());
  });
}

void start_cancel_before_a_call_and_after_it() {
  fastrpc::queue<Closure*> kept(4);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  from_everywhere([&](bool in_caller, bool in_canceler) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    auto call = [&] {
      Runner(in_caller, [&] {
        Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
      }).join();
    };
    auto cancel = [&] { Runner(in_canceler, [&] { controller.StartCancel(); }).join(); };
    cancel();
    for (int i = 0; i < 2; ++i) {
      call();
      CHECK(controller.status() == FASTRPC_ECANCELED);
    }
    controller.Reset();
    request.set_message("plain");
    call();
    CHECK(!controller.Failed() && response.response() == "plain");
    cancel();
    CHECK(!controller.Failed() && response.response() == "plain" && controller.IsCanceled());
    call();
    CHECK(controller.status() == FASTRPC_ECANCELED);
  });
  CHECK(!kept.try_pop());
}

// A socket that listens and takes no further connection, so that who connects waits.
class Full {
 public:
  Full() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    address_.sin_family = AF_INET;
    address_.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address_;
    CHECK(bind(listener_, to(), size) == 0 && listen(listener_, 0) == 0);
    CHECK(getsockname(listener_, to(), &size) == 0);
    for (int& fd : waiting_) {
      fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
      CHECK(connect(fd, to(), size) == 0 || errno == EINPROGRESS);
    }
  }
  Full(const Full&) = delete;
  Full& operator=(const Full&) = delete;
  ~Full() {
    for (int fd : waiting_) close(fd);
    close(listener_);
  }
  [[nodiscard]] int port() const { return ntohs(address_.sin_port); }

 private:
  sockaddr* to() { return reinterpret_cast<sockaddr*>(&address_); }

  int listener_;
  sockaddr_in address_{};
  int waiting_[4];
};

void start_cancel_while_it_connects() {
  Full full;
  fastrpc::ClientOptions options;
  options.connect_timeout = 60s;
  fastrpc::RpcClient client("127.0.0.1", full.port(), options);
  from_everywhere([&](bool in_caller, bool in_canceler) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    fastrpc::WaitGroup begun(1);
    controller.set_timeout(60s);
    Runner caller(in_caller, [&] {
      begun.done();
      Stub(&client).Echo(&controller, &request, &response, nullptr);
    });
    begun.wait();
    fastrpc::sleep_for(5ms);  // Most likely it waits by now; if not, that is right as well.
    CHECK(!client.IsConnected());
    Runner(in_canceler, [&] { controller.StartCancel(); }).join();
    caller.join();
    CHECK(controller.status() == FASTRPC_ECANCELED);
  });
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  fastrpc::WaitGroup ended(1);
  Stub(&client).Echo(&controller, &request, &response, new Function([&] { ended.done(); }));
  controller.StartCancel();
  ended.wait();
  CHECK(controller.status() == FASTRPC_ECANCELED);
}

void start_cancel_may_race_with_the_answer_of_a_synchronous_call() {
  Fixture f([](auto&, auto&, Closure* done) { done->Run(); });
  echo::EchoRequest request;
  request.set_message("plain");
  from_everywhere([&](bool in_caller, bool in_canceler) {
    for (int i = 0; i < 1000; ++i) {
      echo::EchoResponse response;
      fastrpc::CliController controller;
      std::atomic<int> notified{0};
      controller.NotifyOnCancel(new Function([&notified] { ++notified; }));
      Runner caller(in_caller,
                    [&] { Stub(f.client.get()).Echo(&controller, &request, &response, nullptr); });
      Runner canceler(in_canceler, [&] {
        if (i % 2 != 0) (void)fastrpc::sleep_for(std::chrono::microseconds(i % 100), std::nothrow);
        controller.StartCancel();
      });
      caller.join();
      canceler.join();
      CHECK(notified == 1 && controller.IsCanceled());
      CHECK(controller.Failed() ? controller.status() == FASTRPC_ECANCELED
                                : response.response() == "plain");
    }
  });
  CHECK(f.lives());
}

// Here, too, only StartCancel() ends the call, whenever it comes.
void the_end_of_a_canceled_call_may_destroy_its_controller() {
  fastrpc::queue<Closure*> kept(2000);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  echo::EchoRequest request;
  from_everywhere([&](bool in_caller, bool in_canceler) {
    for (int i = 0; i < 300; ++i) {
      auto controller = std::make_unique<fastrpc::CliController>();
      Runner canceler(in_canceler, [c = controller.get()] { c->StartCancel(); });
      Runner caller(in_caller, [&] {
        echo::EchoResponse response;
        Stub(f.client.get()).Echo(controller.get(), &request, &response, nullptr);
        CHECK(controller->status() == FASTRPC_ECANCELED);
        controller.reset();
      });
      caller.join();
      canceler.join();
    }
  });
  while (auto done = kept.try_pop()) (*done)->Run();
}

}  // namespace

int main() {
  configure_workers();
  RUN(start_cancel_ends_an_asynchronous_call);
  RUN(start_cancel_ends_a_synchronous_call);
  RUN(start_cancel_before_a_call_and_after_it);
  RUN(start_cancel_while_it_connects);
  RUN(start_cancel_may_race_with_the_answer);
  RUN(start_cancel_may_race_with_the_answer_of_a_synchronous_call);
  RUN(the_done_of_a_canceled_call_may_destroy_its_controller);
  RUN(the_end_of_a_canceled_call_may_destroy_its_controller);
  RUN(a_callback_of_notify_on_cancel_may_throw);
  RUN(canceling_its_coroutine_ends_a_synchronous_call);
  google::protobuf::ShutdownProtobufLibrary();
}
