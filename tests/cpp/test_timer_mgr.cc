// Timers that repeat: how often they run, never twice at a time, and when they are stopped.
#include <fastrpc/sync.hpp>
#include <fastrpc/timer_mgr.hpp>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "workers.hpp"

using fastrpc::NewClosure;
using fastrpc::NewPermanentClosure;
using fastrpc::TimerMgr;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

namespace {

// Counts itself: what a job holds must go with it, once.
struct Token {
  static std::atomic<int> alive;
  Token() { ++alive; }
  Token(const Token&) { ++alive; }
  ~Token() { --alive; }
};
std::atomic<int> Token::alive{0};

// Waits for what happens soon.
template <typename Condition>
bool soon(Condition condition) {
  for (auto end = Clock::now() + 20s; Clock::now() < end; fastrpc::sleep_for(1ms))
    if (condition()) return true;
  return condition();
}

void a_job_runs_once_in_a_coroutine_and_not_early() {
  fastrpc::queue<bool> ran(4);
  auto begin = Clock::now();
  TimerMgr timers;
  auto job = [&ran](const Token&) { ran.push(fastrpc::this_coroutine::exists()); };
  unsigned id = timers.AddJob(30, NewClosure(job, Token()));
  CHECK(id != 0);
  CHECK(ran.pop());
  CHECK(Clock::now() - begin >= 30ms);
  CHECK(soon([] { return Token::alive == 0; }));
  timers.DelJob(id);
  CHECK(timers.DelJob(id) == 0 && !ran.pop_for(50ms));
}

void a_job_repeats_as_often_as_it_should() {
  std::atomic<int> runs{0};
  TimerMgr timers;
  auto job = [&runs](const Token&) { ++runs; };
  unsigned id = timers.AddJob(2, NewPermanentClosure(job, Token()), 5);
  CHECK(soon([&] { return runs == 5 && Token::alive == 0; }));
  fastrpc::sleep_for(20ms);
  CHECK(runs == 5 && timers.DelJob(id) == 0);
}

void a_job_for_ever_runs_until_it_is_deleted() {
  std::atomic<int> runs{0};
  TimerMgr timers;
  auto job = [&runs](const Token&) { ++runs; };
  unsigned id = timers.AddJob(1, NewPermanentClosure(job, Token()), -1);
  CHECK(soon([&] { return runs > 20; }));
  CHECK(timers.DelJob(id) == 1 && timers.DelJob(id) == 0);
  CHECK(soon([] { return Token::alive == 0; }));
  int seen = runs;
  fastrpc::sleep_for(20ms);
  CHECK_EQ(runs, seen);
}

// Each time is a multiple of the period from the start, however long the runs before it took.
void repetitions_do_not_drift() {
  fastrpc::queue<Clock::duration> times(1000);
  auto begin = Clock::now();
  auto timer = fastrpc::every(50ms, [&times, begin] {
    times.push(Clock::now() - begin);
    fastrpc::sleep_for(20ms);
  });
  // A pause from run to run would put the second out of step, and at the latest the third.
  int in_step = 0;
  for (int i = 1; in_step < 3; ++i) {
    auto time = times.pop();
    CHECK(time >= i * 50ms && time < 20s);
    in_step = time % 50ms < 20ms ? in_step + 1 : 0;
  }
}

void a_run_that_waits_delays_nobody_and_never_meets_itself() {
  fastrpc::semaphore gate(0);
  std::atomic<int> inside{0}, most{0}, runs{0}, others{0};
  TimerMgr timers;
  auto waits = [&] {
    int now = ++inside;
    if (now > most) most = now;
    ++runs;
    gate.acquire();
    --inside;
  };
  timers.AddJob(1, NewPermanentClosure(waits), -1);
  timers.AddJob(1, NewPermanentClosure([&others] { ++others; }), -1);
  CHECK(soon([&] { return runs == 1 && others > 20; }));
  CHECK_EQ(runs, 1);
  gate.release(10);
  CHECK(soon([&] { return runs == 11; }));
  CHECK_EQ(most, 1);
  gate.release(1000000);
}

void deleting_from_inside_the_job_is_safe() {
  std::atomic<unsigned> id{0};
  std::atomic<int> runs{0}, deleted{0};
  TimerMgr timers;
  auto job = [&](const Token&) {
    while (id == 0) fastrpc::yield();
    ++runs;
    deleted += static_cast<int>(timers.DelJob(id));
    // What the job holds is still there.
    CHECK_EQ(Token::alive, 1);
  };
  auto* closure = NewPermanentClosure(job, Token());
  id = timers.AddJob(1, closure, -1);
  CHECK(soon([] { return Token::alive == 0; }));
  CHECK(runs == 1 && deleted == 1);
}

void deleting_from_threads_while_jobs_run_is_safe() {
  std::atomic<int> runs{0}, deleted{0};
  constexpr int kJobs = 400;
  std::vector<unsigned> ids;
  TimerMgr timers;
  for (int i = 0; i < kJobs; ++i) {
    auto job = [&runs](const Token&) { ++runs; };
    ids.push_back(timers.AddJob(1, NewPermanentClosure(job, Token()), -1));
  }
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      for (unsigned id : ids) deleted += static_cast<int>(timers.DelJob(id));
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK_EQ(deleted, kJobs);
  CHECK(soon([] { return Token::alive == 0; }));
}

void destroying_the_manager_deletes_pending_jobs() {
  auto timers = std::make_unique<TimerMgr>();
  for (int i = 0; i < 100; ++i)
    CHECK(timers->AddJob(3600000, NewClosure([](const Token&) { CHECK(false); }, Token())) != 0);
  CHECK_EQ(Token::alive, 100);
  timers.reset();
  CHECK_EQ(Token::alive, 0);
}

void destroying_the_manager_waits_for_running_jobs() {
  for (bool in_coroutine : {false, true}) {
    auto timers = std::make_unique<TimerMgr>();
    std::atomic<bool> began{false}, ended{false};
    auto job = [&](const Token&) {
      began = true;
      fastrpc::sleep_for(50ms);
      ended = true;
    };
    timers->AddJob(0, NewPermanentClosure(job, Token()), -1);
    CHECK(soon([&] { return began.load(); }));
    auto destroy = [&] {
      timers.reset();
      CHECK(ended && Token::alive == 0);
    };
    if (in_coroutine) {
      fastrpc::spawn(destroy).join();
    } else {
      destroy();
    }
  }
}

void a_job_may_destroy_its_manager() {
  auto* timers = new TimerMgr;
  fastrpc::WaitGroup others(1);
  std::atomic<bool> other_ended{false};
  timers->AddJob(0, NewClosure([&] {
                   others.done();
                   fastrpc::sleep_for(30ms);
                   other_ended = true;
                 }));
  fastrpc::queue<bool> gone(1);
  auto job = [&](const Token&) {
    others.wait();
    delete timers;
    // The other job was waited for; this one still has what it holds.
    bool waited = other_ended;
    gone.push(waited && Token::alive == 1);
  };
  auto* closure = NewPermanentClosure(job, Token());
  timers->AddJob(1, closure, -1);
  CHECK(gone.pop());
  CHECK(soon([] { return Token::alive == 0; }));
}

void exceptions_are_logged_and_the_job_goes_on() {
  fastrpc::queue<std::string> records(64);
  fastrpc::set_log(fastrpc::LogLevel::error,
                   [&records](fastrpc::LogLevel, std::string_view, std::string_view text) {
                     std::string copy(text);
                     (void)records.try_push(copy);
                   });
  {
    std::atomic<int> runs{0};
    TimerMgr timers;
    auto job = [&runs] {
      ++runs;
      throw std::runtime_error("as asked");
    };
    timers.AddJob(1, NewPermanentClosure(job), 3);
    for (int i = 0; i < 3; ++i) {
      auto record = records.pop_for(20s);
      CHECK(record && record->find("as asked") != std::string::npos);
    }
    CHECK_EQ(runs, 3);

    CHECK_EQ(timers.AddJob(1, NewClosure([] { CHECK(false); }), 2), 0);
    auto record = records.pop_for(20s);
    CHECK(record && record->find("permanent") != std::string::npos);
    CHECK_EQ(timers.AddJob(1, NewClosure([](const Token&) { CHECK(false); }, Token()), 0), 0);
    CHECK_EQ(Token::alive, 0);
    CHECK_EQ(timers.AddJob(1, static_cast<fastrpc::Closure<void>*>(nullptr)), 0);
  }
  fastrpc::set_log(fastrpc::LogLevel::off,
                   [](fastrpc::LogLevel, std::string_view, std::string_view) {});
}

void closures_that_give_something_are_jobs_too() {
  fastrpc::WaitGroup group(1);
  TimerMgr timers;
  timers.AddJob(0, NewClosure([&group] {
                  group.done();
                  return 5;
                }));
  group.wait();
}

void a_handle_stops_its_timer() {
  std::atomic<int> runs{0};
  {
    auto timer = fastrpc::every(1ms, [&runs, token = Token()] { ++runs; });
    CHECK(timer.is_active());
    CHECK(soon([&] { return runs > 5; }));
    fastrpc::Timer moved = std::move(timer);
    CHECK(!timer.is_active() && moved.is_active());
    moved = fastrpc::after(1h, [token = Token()] { CHECK(false); });
    CHECK_EQ(Token::alive, 1);
  }
  CHECK_EQ(Token::alive, 0);
  int seen = runs;
  fastrpc::sleep_for(10ms);
  CHECK_EQ(runs, seen);

  std::atomic<bool> began{false}, ended{false};
  {
    auto timer = fastrpc::after(0ms, [&] {
      began = true;
      fastrpc::sleep_for(30ms);
      ended = true;
    });
    CHECK(soon([&] { return began.load(); }));
  }
  CHECK(ended);
}

void a_handle_can_be_let_go_or_canceled() {
  fastrpc::queue<int> ran(8);
  fastrpc::after(1ms, [&ran] { ran.push(1); }).detach();
  CHECK_EQ(ran.pop(), 1);
  auto timer = fastrpc::after(1h, [token = Token()] {});
  CHECK(timer.cancel() && Token::alive == 0);
  CHECK(!timer.cancel() && !timer.is_active());
  CHECK(!fastrpc::Timer().cancel());
  auto refused = fastrpc::every(
      0ms, [] {}, std::nothrow);
  CHECK(!refused && refused.error().status() == FASTRPC_EINVAL);
  // A timer that ends itself; of the same worker as this, so that the handle is there by then.
  fastrpc::spawn([] {
    auto self = std::make_shared<fastrpc::Timer>();
    int runs = 0;
    *self = fastrpc::every(1ms, [&runs, self] {
      ++runs;
      self->cancel();
    });
    CHECK(soon([&] { return runs == 1 && self.use_count() == 1; }));
  }).join();
}

void many_timers_come_and_go() {
  constexpr int kTimers = 20000;
  std::atomic<int> runs{0};
  std::vector<unsigned> ids;
  ids.reserve(kTimers);
  TimerMgr timers;
  for (int i = 0; i < kTimers; ++i)
    ids.push_back(timers.AddJob(i % 2 == 0 ? 1 : 3600000, NewClosure([&runs] { ++runs; })));
  CHECK(soon([&] { return runs == kTimers / 2; }));
  int deleted = 0;
  for (unsigned id : ids) deleted += static_cast<int>(timers.DelJob(id));
  CHECK_EQ(deleted, kTimers / 2);
}

}  // namespace

int main() {
  configure_workers();
  RUN(a_job_runs_once_in_a_coroutine_and_not_early);
  RUN(a_job_repeats_as_often_as_it_should);
  RUN(a_job_for_ever_runs_until_it_is_deleted);
  RUN(repetitions_do_not_drift);
  RUN(a_run_that_waits_delays_nobody_and_never_meets_itself);
  RUN(deleting_from_inside_the_job_is_safe);
  RUN(deleting_from_threads_while_jobs_run_is_safe);
  RUN(destroying_the_manager_deletes_pending_jobs);
  RUN(destroying_the_manager_waits_for_running_jobs);
  RUN(a_job_may_destroy_its_manager);
  RUN(exceptions_are_logged_and_the_job_goes_on);
  RUN(closures_that_give_something_are_jobs_too);
  RUN(a_handle_stops_its_timer);
  RUN(a_handle_can_be_let_go_or_canceled);
  RUN(many_timers_come_and_go);
}
