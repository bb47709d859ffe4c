// The thread pool from C++: results, exceptions, the original's spelling, RPC around it.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "check.hpp"
#include "echo.pb.h"
#include "workers.hpp"

using google::protobuf::Closure;
using google::protobuf::RpcController;
using Stub = echo::EchoService::Stub;
using namespace std::chrono_literals;

namespace {

// What jobs block on without the library's knowledge.
class Gate {
 public:
  void open() {
    std::lock_guard<std::mutex> guard(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void pass() {
    std::unique_lock<std::mutex> lock(mutex_);
    ++came_;
    changed_.notify_all();
    CHECK(changed_.wait_for(lock, 30s, [this] { return open_; }));
  }
  bool has_seen(int count) {
    std::lock_guard<std::mutex> guard(mutex_);
    return came_ >= count;
  }
  void wait_for(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    CHECK(changed_.wait_for(lock, 30s, [&] { return came_ >= count; }));
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int came_ = 0;
};

template <typename Condition>
void eventually(Condition condition) {
  for (int i = 0; i < 3000 && !condition(); ++i) fastrpc::sleep_for(10ms);
  CHECK(condition());
}

// Runs it in a plain thread and in a coroutine.
template <typename F>
void everywhere(F f) {
  f();
  fastrpc::spawn(f).join();
}

void results_and_exceptions_come_back() {
  everywhere([] {
    fastrpc::ThreadPool pool(2);
    std::string text = "a";
    auto id = pool.run([&] {
      text += "b";
      CHECK(!fastrpc::this_coroutine::exists());
      return std::this_thread::get_id();
    });
    CHECK(text == "ab" && id != std::this_thread::get_id());
    CHECK_EQ(*pool.run([] { return std::make_unique<int>(8); }), 8);
    pool.run([] {});
    struct Own : std::runtime_error {
      using std::runtime_error::runtime_error;
      int code = 7;
    };
    int code = 0;
    try {
      pool.run([] { throw Own("told"); });
    } catch (const Own& error) {
      code = error.code;
      CHECK_EQ(std::string(error.what()), "told");
    }
    CHECK_EQ(code, 7);
    auto failed = pool.run([]() -> int { throw std::runtime_error("again"); }, std::nothrow);
    CHECK(!failed.ok() && failed.error().status() == FASTRPC_EEXCEPTION);
    CHECK_EQ(failed.error().text(), "again");
    CHECK_EQ(pool.run([] { return 5; }, std::nothrow).value(), 5);
    CHECK_EQ(pool.run_for(30s, [] { return 6; }), 6);
  });
}

void a_time_out_leaves_what_has_begun() {
  everywhere([] {
    fastrpc::ThreadPool pool(1);
    auto gate = std::make_shared<Gate>();
    auto result = pool.run_for(
        20ms, [gate] { gate->pass(); }, std::nothrow);
    CHECK(!result.ok() && result.error().is_timeout());
    auto unbegun = std::make_shared<int>(0);
    auto second = pool.run_for(
        1ms, [unbegun] { ++*unbegun; }, std::nothrow);
    CHECK(!second.ok() && second.error().is_timeout());
    CHECK_EQ(unbegun.use_count(), 1);
    gate->open();
    pool.shutdown();
    CHECK(*unbegun == 0 && gate.use_count() == 1);
  });
}

struct Counter {
  int add(int by, std::string& note) {
    note += '+';
    return count += by;
  }
  void twice() { count *= 2; }
  int value() const { return count; }
  int count = 0;
};

int triple(int n) {
  return 3 * n;
}

std::atomic<int> marks{0};
void mark(std::unique_ptr<int> by) {
  marks += *by;
}
void lengthen(std::string& kept) {
  kept += "!";
  marks += static_cast<int>(kept.size());
}

// Deletes itself, as the original's do.
struct Task {
  void Run() {
    ++marks;
    delete this;
  }
};

void the_original_spelling_works() {
  everywhere([] {
    marks = 0;
    auto mgr = std::make_unique<fastrpc::TPMgr>(2);
    Counter counter;
    std::string note;
    CHECK(mgr->TPRun(&counter, &Counter::add, 4, note) == 4 && note == "+");
    mgr->TPRun(counter, &Counter::twice);
    CHECK_EQ(mgr->AddJob(&counter, &Counter::value), 8);
    CHECK_EQ(mgr->TPRun(triple, 5), 15);
    CHECK_EQ(mgr->TPRun([&note] { return note.size(); }), 1);
    mgr->TPRun(new Task);
    bool thrown = false;
    try {
      mgr->TPRun([] { throw std::logic_error("from a job"); });
    } catch (const std::logic_error&) {
      thrown = true;
    }
    CHECK(thrown);
    auto shared = std::make_shared<Counter>();
    mgr->TPAsynRun(shared, &Counter::add, 2, std::string("copied"));
    mgr->TPAsynRun(mark, std::make_unique<int>(100));
    mgr->AsynAddJob(lengthen, note);
    mgr->TPAsynRun(new Task);
    mgr.reset();
    CHECK(shared->count == 2 && shared.use_count() == 1);
    CHECK(marks == 1 + 100 + 2 + 1 && note == "+");
  });
}

void nested_jobs_run_right_there() {
  fastrpc::TPMgr mgr(1);
  std::function<int(int)> nest = [&](int depth) -> int {
    return depth == 0 ? 0 : 1 + mgr.TPRun([&] { return nest(depth - 1); });
  };
  CHECK_EQ(mgr.TPRun([&] { return nest(200); }), 200);
  std::string what;
  try {
    mgr.TPRun([&] { mgr.TPRun([] { throw std::runtime_error("deep"); }); });
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK(what == "deep" && mgr.pool().stats().peak_threads == 1);
}

void the_log_says_what_left_a_job() {
  auto seen = std::make_shared<std::atomic<bool>>(false);
  fastrpc::set_log(fastrpc::LogLevel::warn,
                   [seen](fastrpc::LogLevel, std::string_view, std::string_view text) {
                     if (text.find("thread pool") != text.npos && text.find("lonely") != text.npos)
                       *seen = true;
                   });
  fastrpc::TPMgr mgr(1);
  mgr.TPAsynRun([] { throw std::runtime_error("lonely"); });
  eventually([&] { return seen->load(); });
  CHECK_EQ(mgr.TPRun([] { return 1; }), 1);
  fastrpc_set_log(FASTRPC_LOG_WARN, nullptr, nullptr, nullptr, nullptr);
}

void shutdown_runs_what_was_accepted() {
  everywhere([] {
    auto ran = std::make_shared<std::atomic<int>>(0);
    {
      fastrpc::ThreadPool pool(2);
      for (int i = 0; i < 50; ++i) pool.post([ran] { ++*ran; });
    }
    CHECK(*ran == 50 && ran.use_count() == 1);

    Gate gate;
    fastrpc::ThreadPool pool(1);
    pool.post([&gate] { gate.pass(); });
    gate.wait_for(1);
    pool.post([ran] { ++*ran; });
    CHECK(!pool.shutdown_for(10ms));
    CHECK(*ran == 50 && ran.use_count() == 1);
    CHECK(pool.post([] {}, std::nothrow).error().is_closed());
    CHECK(pool.run([] {}, std::nothrow).error().is_closed());
    gate.open();
    pool.shutdown();
    CHECK_EQ(pool.stats().threads, 0);
  });
}

void its_own_job_cannot_wait_for_it() {
  auto pool = std::make_unique<fastrpc::ThreadPool>(1);
  auto status = pool->run([&] { return pool->shutdown(std::nothrow).error().status(); });
  CHECK_EQ(status, FASTRPC_EBUSY);
  // A job may destroy it all the same: the threads end by themselves.
  fastrpc::WaitGroup gone;
  gone.add(1);
  Gate gate;
  auto* owned = pool.release();
  owned->post([owned, &gate, &gone] {
    gate.pass();
    delete owned;
    gone.done();
  });
  gate.open();
  gone.wait();
}

void a_cancelled_coroutine_waits_for_what_has_begun() {
  fastrpc::ThreadPool pool(1);
  Gate gate;
  auto waiter = fastrpc::spawn([&] {
    int lent = 0;
    pool.run([&] {
      gate.pass();
      lent = 9;
    });
    return lent;
  });
  gate.wait_for(1);
  waiter.cancel();
  CHECK(!waiter.wait_for(20ms));
  gate.open();
  CHECK_EQ(waiter.join(), 9);
}

void a_full_pool_says_so() {
  fastrpc::ThreadPoolOptions options;
  options.threads = 1;
  options.extra_threads = 0;
  options.queue_size = 1;
  fastrpc::ThreadPool pool(options);
  Gate gate;
  pool.post([&gate] { gate.pass(); });
  gate.wait_for(1);
  pool.post([] {});
  CHECK_EQ(pool.post([] {}, std::nothrow).error().status(), FASTRPC_ELIMIT);
  gate.open();
  bool refused = false;
  try {
    fastrpc::TPMgr mgr(0);
  } catch (const fastrpc::Error& error) {
    refused = error.status() == FASTRPC_EINVAL;
  }
  CHECK(refused);
}

void a_marked_call_gives_its_place_up() {
  fastrpc::ThreadPool pool(1);
  Gate gate;
  pool.post([&gate] { CHECK_EQ(fastrpc::blocking([&gate] { return gate.pass(), 4; }), 4); });
  gate.wait_for(1);
  pool.run([&gate] { gate.open(); });
  std::string what;
  try {
    pool.run([] { fastrpc::blocking([] { throw std::runtime_error("inside"); }); });
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK(what == "inside" && fastrpc::blocking([] { return 3; }) == 3);
  CHECK_EQ(pool.stats().peak_threads, 2);
}

void a_handle_gets_the_result_later() {
  everywhere([] {
    fastrpc::ThreadPool pool(1);
    Gate gate;
    fastrpc::JobHandle<std::string> text = pool.submit([&gate] {
      gate.pass();
      return std::string("later");
    });
    CHECK(text.valid() && !text.wait_for(0ms) && !text.wait_for(1ms));
    CHECK(text.wait_for(1ms, std::nothrow).error().is_timeout());
    gate.open();
    CHECK(text.wait_for(30s));
    fastrpc::JobHandle<std::string> moved = std::move(text);
    CHECK(!text.valid() && moved.valid());
    CHECK_EQ(moved.get(), "later");
    CHECK(!moved.valid());
    CHECK_EQ(moved.get(std::nothrow).error().status(), fastrpc::Status::bad_state);
    // What only moves goes both ways.
    auto number = pool.submit([n = std::make_unique<int>(7)]() mutable { return std::move(n); });
    CHECK_EQ(*number.get(), 7);
    pool.submit([] {}).get();
  });
  static_assert(!std::is_copy_constructible_v<fastrpc::JobHandle<int>>);
}

void exceptions_travel_to_who_gets_the_result() {
  fastrpc::ThreadPool pool(1);
  auto failing = pool.submit([]() -> int { throw std::runtime_error("inside"); });
  std::string what;
  try {
    failing.get();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK_EQ(what, "inside");
  auto failed = pool.submit([] { throw std::runtime_error("again"); }).get(std::nothrow);
  CHECK_EQ(failed.error().status(), fastrpc::Status::exception);
  CHECK_EQ(failed.error().text(), "again");
}

void a_handle_that_goes_waits_for_nothing() {
  fastrpc::ThreadPool pool(1);
  Gate gate;
  auto ran = std::make_shared<std::atomic<bool>>(false);
  {
    auto dropped = pool.submit([&gate, ran] { gate.pass(), *ran = true; });
  }
  CHECK(!*ran);
  gate.open();
  pool.shutdown();
  CHECK(*ran);
}

void a_job_that_never_begins_ends_its_handle() {
  Gate gate;
  auto held = std::make_shared<int>(1);
  auto pool = std::make_unique<fastrpc::ThreadPool>(1);
  pool->post([&gate] { gate.pass(); });
  gate.wait_for(1);
  auto waiting = pool->submit([held] { return 1; });
  CHECK(!pool->shutdown_for(1ms));
  CHECK(waiting.get(std::nothrow).error().is_closed());
  CHECK_EQ(held.use_count(), 1);
  CHECK(pool->submit([] {}, std::nothrow).error().is_closed());
  gate.open();
}

void a_canceled_wait_leaves_the_handle_whole() {
  fastrpc::ThreadPool pool(1);
  Gate gate;
  auto job = pool.submit([&gate] { return gate.pass(), 5; });
  gate.wait_for(1);
  auto waiter = fastrpc::spawn([&job] { return job.get(std::nothrow).error().is_canceled(); });
  waiter.cancel();
  CHECK(waiter.join());
  gate.open();
  CHECK_EQ(job.get(), 5);
}

// Echo answers from a job; SlowEcho waits in the handler.
class Service : public echo::EchoService {
 public:
  explicit Service(fastrpc::TPMgr& mgr) : mgr_(mgr) {}

  void Echo(RpcController*, const echo::EchoRequest* request, echo::EchoResponse* response,
            Closure* done) override {
    mgr_.TPAsynRun(this, &Service::answer, request, response, done);
  }
  void SlowEcho(RpcController*, const echo::EchoRequest* request, echo::EchoResponse* response,
                Closure* done) override {
    fastrpc::sleep_for(300ms);
    response->set_response(request->message());
    done->Run();
  }

 private:
  void answer(const echo::EchoRequest* request, echo::EchoResponse* response, Closure* done) {
    CHECK(!fastrpc::this_coroutine::exists());
    response->set_response(request->message());
    done->Run();
  }

  fastrpc::TPMgr& mgr_;
};

void calls_are_answered_and_made_from_pool_threads() {
  fastrpc::TPMgr mgr(2);
  fastrpc::RpcServer server("127.0.0.1", 0);
  server.add_service(std::make_shared<Service>(mgr));
  server.listen();
  fastrpc::RpcClient client("127.0.0.1", server.port());
  auto call = [&](const std::string& text, bool slow) {
    echo::EchoRequest request;
    echo::EchoResponse response;
    request.set_message(text);
    fastrpc::CliController controller;
    Stub stub(&client);
    slow ? stub.SlowEcho(&controller, &request, &response, nullptr)
         : stub.Echo(&controller, &request, &response, nullptr);
    return controller.Failed() ? controller.ErrorText() : response.response();
  };
  CHECK_EQ(call("plain", false), "plain");
  // A job that waits for a call which another job of the same pool answers.
  CHECK_EQ(mgr.TPRun([&] { return call("from a job", false); }), "from a job");

  auto start = std::chrono::steady_clock::now();
  std::vector<fastrpc::Coroutine<std::string>> coroutines;
  for (int i = 0; i < 100; ++i)
    coroutines.push_back(
        fastrpc::spawn([&, i] { return mgr.TPRun(call, "n" + std::to_string(i), true); }));
  for (int i = 0; i < 100; ++i) CHECK_EQ(coroutines[i].join(), "n" + std::to_string(i));
  // Two by two they take 15 seconds; a busy machine needs more than the 0.3 of an idle one.
  CHECK(std::chrono::steady_clock::now() - start < 10s || !times_count());
  auto stats = mgr.pool().stats();
  CHECK(stats.peak_threads > 2 && stats.peak_threads <= 130);
}

}  // namespace

int main() {
  configure_workers();
  RUN(results_and_exceptions_come_back);
  RUN(a_time_out_leaves_what_has_begun);
  RUN(the_original_spelling_works);
  RUN(nested_jobs_run_right_there);
  RUN(the_log_says_what_left_a_job);
  RUN(shutdown_runs_what_was_accepted);
  RUN(its_own_job_cannot_wait_for_it);
  RUN(a_cancelled_coroutine_waits_for_what_has_begun);
  RUN(a_full_pool_says_so);
  RUN(a_marked_call_gives_its_place_up);
  RUN(a_handle_gets_the_result_later);
  RUN(exceptions_travel_to_who_gets_the_result);
  RUN(a_handle_that_goes_waits_for_nothing);
  RUN(a_job_that_never_begins_ends_its_handle);
  RUN(a_canceled_wait_leaves_the_handle_whole);
  RUN(calls_are_answered_and_made_from_pool_threads);
  google::protobuf::ShutdownProtobufLibrary();
}
