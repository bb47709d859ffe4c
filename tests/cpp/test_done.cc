// What becomes of a call whatever the service does with `done`, and of a client's controller.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "behaviour.hpp"
#include "check.hpp"
#include "echo.pb.h"
#include "records.hpp"
#include "workers.hpp"

namespace {

class RunAtEnd {
 public:
  explicit RunAtEnd(Closure* done) : done_(done) {}
  RunAtEnd(const RunAtEnd&) = delete;
  RunAtEnd& operator=(const RunAtEnd&) = delete;
  ~RunAtEnd() { done_->Run(); }

 private:
  Closure* done_;
};

// Adds the request to what the response holds already.
class Adding : public echo::EchoService {
  void Echo(RpcController* controller, const echo::EchoRequest* request,
            echo::EchoResponse* response, Closure* done) override {
    response->set_response(response->response() + request->message());
    if (request->message() == "fail") controller->SetFailed("failed");
    if (request->message() == "wait") fastrpc::sleep_for(20ms);
    done->Run();
  }
};

void every_call_begins_with_an_empty_response() {
  Fixture f([](auto&, auto&, Closure* done) { done->Run(); });
  f.server = std::make_unique<fastrpc::RpcServer>("127.0.0.1", 0);
  f.server->add_service(std::make_shared<Adding>());
  f.server->listen();
  f.client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", f.server->port());
  auto check_all = [&f] {
    std::string large(100000, 'x');
    for (int i = 0; i < 40; ++i) {
      CHECK(f.call("first") == "first");
      CHECK(f.call().empty());
      CHECK(f.call("fail") == "2001: failed");
      CHECK(f.call(large) == large);
    }
  };
  check_all();
  std::vector<fastrpc::Coroutine<void>> waiting;
  for (int i = 0; i < 20; ++i)
    waiting.push_back(fastrpc::spawn([&f] { CHECK(f.call("wait") == "wait"); }));
  check_all();
  for (auto& coroutine : waiting) coroutine.join();
  check_all();
}

void a_second_done_does_nothing() {
  Fixture inside([](auto&, auto&, Closure* done) {
    done->Run();
    done->Run();
  });
  CHECK(inside.call("a") == "a");
  CHECK(records().says("done->Run() of a call that is over: ignored"));
  CHECK(inside.lives());

  fastrpc::WaitGroup group(1);
  Fixture later([&group](auto&, auto&, Closure* done) {
    std::thread([&group, done] {
      done->Run();
      done->Run();
      group.done();
    }).detach();
  });
  CHECK(later.call("b") == "b");
  group.wait();
  CHECK(records().says("done->Run() of a call that is over: ignored"));
  CHECK(later.lives());
}

void two_threads_may_race_to_run_done() {
  fastrpc::WaitGroup ended;
  Fixture f([&ended](auto&, auto&, Closure* done) {
    for (int i = 0; i < 2; ++i) {
      std::thread([&ended, done] {
        done->Run();
        ended.done();
      }).detach();
    }
  });
  for (int i = 0; i < 100; ++i) {
    ended.add(2);
    CHECK(f.call("race") == "race");
    ended.wait();
  }
}

void done_may_run_in_a_thread_pool() {
  fastrpc::ThreadPool pool(2);
  Fixture f([&pool](auto&, auto&, Closure* done) {
    pool.post([done] {
      CHECK(!fastrpc::this_coroutine::exists());
      done->Run();
    });
  });
  for (int i = 0; i < 50; ++i) CHECK(f.call("from a pool") == "from a pool");
}

void an_exception_after_the_answer_changes_nothing() {
  Fixture f([](auto&, auto&, Closure* done) {
    done->Run();
    throw std::runtime_error("too late");
  });
  CHECK(f.call("answered") == "answered");
  CHECK(f.lives());
}

void an_exception_is_the_answer_also_with_a_guard() {
  Fixture guarded([](auto&, auto&, Closure* done) {
    RunAtEnd guard(done);
    throw std::runtime_error("told");
  });
  CHECK(guarded.call() == "2001: told");
  Fixture caught([](auto&, auto&, Closure* done) {
    try {
      RunAtEnd guard(done);
      throw std::runtime_error("kept");
    } catch (const std::exception&) {
    }
  });
  CHECK(caught.call("fine") == "fine");
  Fixture stray([](auto&, auto&, Closure* done) {
    fastrpc::spawn_detached([done] { done->Run(); });
    throw std::runtime_error("first");
  });
  CHECK(stray.call() == "2001: first");
  CHECK(guarded.lives() && caught.lives() && stray.lives());
}

void an_exception_may_race_with_done() {
  fastrpc::ThreadPool pool(2);
  Fixture f([&pool](auto&, auto&, Closure* done) {
    pool.post([done] { done->Run(); });
    throw std::runtime_error("raced");
  });
  for (int i = 0; i < 300; ++i) {
    std::string outcome = f.call("run");
    CHECK(outcome == "run" || outcome == "2001: raced");
    CHECK(records().says("echo.EchoService.Echo", "raced"));
  }
  for (int i = 0; i < 2000 && f.server->stats().in_flight > 0; ++i) fastrpc::sleep_for(10ms);
  CHECK(f.server->stats().in_flight == 0);
}

void without_done_the_client_waits_for_its_timeout() {
  Closure* kept = nullptr;
  Fixture f([&kept](auto&, auto&, Closure* done) { kept = done; });
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  controller.set_timeout(30ms);
  Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
  CHECK(controller.IsTimeOut() && controller.ErrorCode() == 1008);
  CHECK(f.lives());
  CHECK(f.server->stats().in_flight >= 1);
  kept->Run();
}

void done_may_run_after_the_connection_and_the_server_have_gone() {
  fastrpc::queue<Closure*> kept(4);
  Fixture f([&kept](auto&, auto&, Closure* done) { kept.push(done); });
  auto lost = fastrpc::spawn([&f] { return f.call(); });
  Closure* first = kept.pop();
  f.client->close();
  CHECK(lost.join().rfind("2005", 0) == 0);
  first->Run();

  f.client = std::make_unique<fastrpc::RpcClient>("127.0.0.1", f.server->port());
  auto stopped = fastrpc::spawn([&f] { return f.call(); });
  Closure* second = kept.pop();
  f.server.reset();
  CHECK(stopped.join().rfind("2003", 0) == 0);
  second->Run();
}

void the_end_of_a_server_waits_for_its_methods() {
  std::atomic<bool> ended{false};
  fastrpc::WaitGroup entered(1);
  Fixture f([&](auto&, auto&, Closure* done) {
    entered.done();
    (void)fastrpc::sleep_for(100ms, std::nothrow);
    ended = true;
    done->Run();
  });
  auto call = fastrpc::spawn([&f] { return f.call(); });
  entered.wait();
  f.server.reset();
  CHECK(ended);
  CHECK(call.join().rfind("2003", 0) == 0);
}

void a_service_may_look_at_the_call() {
  Fixture f([](fastrpc::Controller& controller, auto& response, Closure* done) {
    auto left = controller.time_left();
    CHECK(left && *left > 1s && *left <= 5s);
    CHECK(!controller.IsCanceled());
    response.set_response(std::string(controller.request_id()));
    done->Run();
  });
  CHECK(f.call("x").empty());
  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  controller.set_request_id("r-1");
  controller.set_timeout(5s);
  controller.set_request_compression(fastrpc::Compression::gzip);
  Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
  CHECK(response.response() == "r-1");
}

void notify_on_cancel_runs_once() {
  std::atomic<int> runs{0};
  Fixture f([&runs](fastrpc::Controller& controller, auto&, Closure* done) {
    controller.NotifyOnCancel(new Function([&runs] { ++runs; }));
    done->Run();
  });
  CHECK(f.call("n") == "n");
  CHECK(runs == 1);

  echo::EchoRequest request;
  echo::EchoResponse response;
  fastrpc::CliController controller;
  request.set_message("plain");
  controller.NotifyOnCancel(new Function([&runs] { ++runs; }));
  Stub(f.client.get()).Echo(&controller, &request, &response, nullptr);
  CHECK(runs == 2 && !controller.IsCanceled());
}

void done_of_a_call_that_fails_runs_in_a_coroutine() {
  fastrpc::RpcClient nobody("127.0.0.1", 1);
  for (bool canceled : {false, true}) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    fastrpc::CliController controller;
    fastrpc::WaitGroup ended(1);
    if (canceled) controller.StartCancel();
    Stub(&nobody).Echo(&controller, &request, &response, new Function([&ended] {
      CHECK(fastrpc::this_coroutine::exists());
      ended.done();
    }));
    ended.wait();
    CHECK(controller.status() == (canceled ? FASTRPC_ECANCELED : FASTRPC_ECONNECT));
  }
}

void a_body_that_is_no_message_is_refused() {
  Fixture f([](auto&, auto&, Closure* done) { done->Run(); });
  std::string at = f.server->address();
  fastrpc_client* client = nullptr;
  CHECK(fastrpc_client_new(at.data(), at.size(), nullptr, &client, nullptr) == FASTRPC_OK);
  const std::uint8_t garbage[] = {0x0a, 0xff, 0xff};
  fastrpc_response* response = nullptr;
  fastrpc_error* error = nullptr;
  CHECK(fastrpc_client_call(client, "echo.EchoService", 16, "Echo", 4, garbage, 3, nullptr,
                            &response, &error) == FASTRPC_EREMOTE);
  CHECK(fastrpc_error_code(error) == 1003);
  fastrpc_error_free(error);
  fastrpc_client_free(client);
  CHECK(f.lives());
}

void a_hundred_coroutines_and_threads_call_at_once() {
  Fixture f([](auto&, auto&, Closure* done) {
    fastrpc::spawn_detached([done] {
      (void)fastrpc::sleep_for(5ms, std::nothrow);
      done->Run();
    });
  });
  std::atomic<int> right{0};
  auto work = [&](int i) { right += f.call(std::to_string(i)) == std::to_string(i); };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  std::vector<std::thread> threads;
  for (int i = 0; i < 100; ++i) coroutines.push_back(fastrpc::spawn([&work, i] { work(i); }));
  for (int i = 0; i < 8; ++i) threads.emplace_back(work, i);
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK(right == 108);
}

}  // namespace

int main() {
  configure_workers();
  records().listen();
  RUN(every_call_begins_with_an_empty_response);
  RUN(a_second_done_does_nothing);
  RUN(two_threads_may_race_to_run_done);
  RUN(done_may_run_in_a_thread_pool);
  RUN(an_exception_after_the_answer_changes_nothing);
  RUN(an_exception_is_the_answer_also_with_a_guard);
  RUN(an_exception_may_race_with_done);
  RUN(without_done_the_client_waits_for_its_timeout);
  RUN(done_may_run_after_the_connection_and_the_server_have_gone);
  RUN(the_end_of_a_server_waits_for_its_methods);
  RUN(a_service_may_look_at_the_call);
  RUN(notify_on_cancel_runs_once);
  RUN(done_of_a_call_that_fails_runs_in_a_coroutine);
  RUN(a_body_that_is_no_message_is_refused);
  RUN(a_hundred_coroutines_and_threads_call_at_once);
  google::protobuf::ShutdownProtobufLibrary();
}
