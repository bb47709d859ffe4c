// exit() while calls are in flight: the process ends at once, with that status.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "check.hpp"
#include "echo.pb.h"
#include "workers.hpp"

using google::protobuf::Closure;
using google::protobuf::RpcController;
using namespace std::chrono_literals;

namespace {

// Echo tells that it runs, and sleeps as long as somebody waits; Broken ends the process.
class Service : public echo::EchoService {
 public:
  void Echo(RpcController* controller, const echo::EchoRequest*, echo::EchoResponse*,
            Closure* done) override {
    entered.done();
    while (!controller->IsCanceled() && fastrpc::sleep_for(1ms, std::nothrow)) continue;
    ++ended;
    done->Run();
  }
  void Broken(RpcController*, const echo::EchoRequest*, echo::EchoResponse*, Closure*) override {
    std::exit(7);
  }

  fastrpc::WaitGroup entered;
  std::atomic<int> ended{0};
};

struct Pair {
  Pair() {
    server.add_service(service);
    server.listen();
    client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", server.port());
  }

  // Calls from a coroutine and from a thread, one that nobody waits for, and a timer. All are under
  // way when this returns.
  void start_calls() {
    service->entered.add(3);
    auto call = [this] {
      echo::EchoRequest request;
      echo::EchoResponse response;
      fastrpc::CliController controller;
      echo::EchoService::Stub(client.get()).Echo(&controller, &request, &response, nullptr);
    };
    fastrpc::spawn_detached(call);
    std::thread(call).detach();
    echo::EchoRequest request;
    auto* response = new echo::EchoResponse;
    auto* controller = new fastrpc::CliController;
    auto end = [](echo::EchoResponse* r, fastrpc::CliController* c) {
      delete r;
      delete c;
    };
    void (*done)(echo::EchoResponse*, fastrpc::CliController*) = end;
    echo::EchoService::Stub(client.get())
        .Echo(controller, &request, response,
              google::protobuf::NewCallback(done, response, controller));
    fastrpc::after(60s, [] {}).detach();
    service->entered.wait();
  }

  std::shared_ptr<Service> service = std::make_shared<Service>();
  fastrpc::RpcServer server{"127.0.0.1", 0};
  std::unique_ptr<fastrpc::RpcClient> client;
};

// Runs `body` in a child, made before the runtime starts, and gives its exit status, or 1000 and
// the number of the signal that ended it.
template <typename Body>
int status_of_child(Body body) {
  pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    alarm(100);
    body();
    _exit(99);
  }
  int status = -1;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

void main_may_exit() {
  CHECK(status_of_child([] {
          auto* pair = new Pair;
          pair->start_calls();
          std::exit(7);
        }) == 7);
}

// A server and a client that exit() destroys.
void start_calls_of_static_objects() {
  struct LooksAtTheEnd {
    // Made before the server, so destroyed after it, when no method may be left.
    ~LooksAtTheEnd() {
      if (service->ended != 3) _exit(8);
    }
    std::shared_ptr<Service> service;
  };
  static LooksAtTheEnd last;
  static Pair pair;
  last.service = pair.service;
  pair.start_calls();
}

void main_may_exit_with_static_servers_and_clients() {
  CHECK(status_of_child([] {
          start_calls_of_static_objects();
          std::exit(7);
        }) == 7);
}

void a_coroutine_may_exit_with_static_servers_and_clients() {
  for (int worker = 0; worker < static_cast<int>(fastrpc::worker_count()); ++worker) {
    CHECK(status_of_child([worker] {
            start_calls_of_static_objects();
            fastrpc::spawn({"", 0, worker}, [] { std::exit(7); }).join();
          }) == 7);
  }
}

// A pool whose jobs wait and timers whose runs wait, which exit() destroys.
void anybody_may_exit_with_static_pools_and_timers() {
  using fastrpc::NewClosure;
  auto end = [] { std::exit(7); };
  std::function<void(fastrpc::TPMgr&, fastrpc::TimerMgr&)> ways[] = {
      [&](auto&, auto&) { end(); },
      [&](auto&, auto&) { fastrpc::spawn(end).join(); },
      [&](auto&, auto&) { std::thread(end).join(); },
      [&](auto& pool, auto&) { pool.TPRun(end); },
      [&](auto& pool, auto&) { pool.TPAsynRun(end); },
      [&](auto&, auto& timers) { timers.AddJob(1, NewClosure(end)); },
  };
  for (auto& exit_by : ways) {
    CHECK(status_of_child([&exit_by] {
            static fastrpc::TPMgr pool(2);
            static fastrpc::TimerMgr timers;
            auto wait = [] { (void)fastrpc::sleep_for(20ms, std::nothrow); };
            timers.AddJob(1, fastrpc::NewPermanentClosure(wait), -1);
            timers.AddJob(3600000, NewClosure(wait));
            for (int i = 0; i < 20; ++i) pool.TPAsynRun(wait);
            exit_by(pool, timers);
            pause();
          }) == 7);
  }
}

// What a thread still does when its local data is being destroyed.
void a_thread_may_wait_at_its_very_end() {
  CHECK(status_of_child([] {
          static std::atomic<int> waited{0};
          static fastrpc::coroutine_local<int> value;
          struct Waits {
            ~Waits() {
              *value = 5;
              if (fastrpc::sleep_for(1ms, std::nothrow) && *value == 5) ++waited;
            }
          };
          std::thread([] {
            thread_local Waits first;
            (void)&first;
            *value = 4;
            fastrpc::sleep_for(1ms);
          }).join();
          std::exit(waited == 1 ? 7 : 8);
        }) == 7);
}

void a_coroutine_may_exit() {
  CHECK(status_of_child([] {
          auto* pair = new Pair;
          pair->start_calls();
          fastrpc::spawn([] { std::exit(7); }).join();
        }) == 7);
}

void a_method_may_exit() {
  CHECK(status_of_child([] {
          auto* pair = new Pair;
          pair->start_calls();
          echo::EchoRequest request;
          echo::EchoResponse response;
          fastrpc::CliController controller;
          echo::EchoService::Stub(pair->client.get())
              .Broken(&controller, &request, &response, nullptr);
        }) == 7);
}

// As a program does that returns from main() while threads are still in calls.
void main_may_exit_quickly() {
  for (int i = 0; i < 10; ++i) {
    CHECK(status_of_child([] {
            auto* pair = new Pair;
            for (int n = 0; n < 4; ++n) {
              std::thread([pair] {
                echo::EchoRequest request;
                echo::EchoResponse response;
                fastrpc::CliController controller;
                for (;;) {
                  echo::EchoService::Stub(pair->client.get())
                      .SlowEcho(&controller, &request, &response, nullptr);
                }
              }).detach();
            }
            fastrpc::sleep_for(20ms);
            std::exit(7);
          }) == 7);
  }
}

}  // namespace

int main() {
  configure_workers();
  RUN(main_may_exit);
  RUN(main_may_exit_with_static_servers_and_clients);
  RUN(a_coroutine_may_exit);
  RUN(a_coroutine_may_exit_with_static_servers_and_clients);
  RUN(anybody_may_exit_with_static_pools_and_timers);
  RUN(a_thread_may_wait_at_its_very_end);
  RUN(a_method_may_exit);
  RUN(main_may_exit_quickly);
}
