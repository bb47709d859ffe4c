// Timers: what runs later, or every so often, in a coroutine of its own.
//
//   auto heartbeat = fastrpc::every(1s, [&] { send_heartbeat(); });  // until it is destroyed
//   fastrpc::after(5s, [] { reload(); }).detach();                   // whatever becomes of the
//   Timer
//
// A timer belongs to its Timer: destroying that cancels it and waits for a run that has begun, so
// that what the function refers to may go afterwards. detach() lets it run on alone. Any thread and
// any coroutine may make one; to make or cancel one never suspends.
#pragma once

#include <fastrpc/detail/timer_job.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace fastrpc {

// Owns a timer of after() or every(). Destroying it cancels the timer and waits for a run that has
// begun, if it is not destroyed by that very run: suspends the coroutine, or blocks the thread. Not
// thread-safe.
class [[nodiscard]] Timer {
 public:
  // None.
  Timer() = default;
  explicit Timer(std::shared_ptr<detail::TimerJob> job) : job_(std::move(job)) {}
  Timer(Timer&&) = default;
  Timer& operator=(Timer&& other) noexcept {
    Timer old(std::exchange(job_, std::move(other.job_)));
    return *this;
  }
  ~Timer() {
    if (job_ == nullptr) return;
    job_->cancel();
    job_->wait_idle();
  }

  // Lets no run begin from now on. Returns whether one was to come. Does not wait for a run that
  // has begun.
  bool cancel() { return job_ != nullptr && job_->cancel() == detail::TimerJob::Found::next_run; }
  // Lets it run on with nobody to cancel it.
  void detach() { job_.reset(); }
  // Returns whether a run is still to come, or is going on without a cancel().
  [[nodiscard]] bool is_active() const { return job_ != nullptr && !job_->is_over(); }

 private:
  std::shared_ptr<detail::TimerJob> job_;
};

namespace detail {

template <typename F>
Result<Timer> start_timer(std::int64_t period, std::int64_t runs, F function) {
  static_assert(std::is_invocable_v<F&>,
                "fastrpc::after(time, f) and every(time, f): f is called without arguments; let it "
                "capture what it needs: [x] { work(x); }");
  auto task = std::make_unique<FunctionTask<F>>(std::move(function));
  auto job = std::make_shared<TimerJob>(std::move(task), period, runs);
  if (auto started = job->start(); !started) return started.error();
  return Timer(std::move(job));
}

}  // namespace detail

// Runs `function()` in a new coroutine after `delay`, never earlier. An exception that leaves it is
// logged.
template <typename Rep, typename Period, typename F>
Result<Timer> after(std::chrono::duration<Rep, Period> delay, F function, std::nothrow_t) {
  return detail::start_timer(detail::nanoseconds(delay), 1, std::move(function));
}
template <typename Rep, typename Period, typename F>
Timer after(std::chrono::duration<Rep, Period> delay, F function) {
  return after(delay, std::move(function), std::nothrow).value();
}

// Runs `function()` every `period`, first after one, each time in a new coroutine. Runs never
// overlap: while one goes on, the times that pass are left out. An exception that leaves it is
// logged, and the next run comes all the same. Fails with Status::invalid_argument if `period` is
// not above 0.
template <typename Rep, typename Period, typename F>
Result<Timer> every(std::chrono::duration<Rep, Period> period, F function, std::nothrow_t) {
  std::int64_t time = detail::nanoseconds(period);
  if (time == 0) return Error(Status::invalid_argument, "a timer that repeats without a pause");
  return detail::start_timer(time, detail::TimerJob::kForEver, std::move(function));
}
template <typename Rep, typename Period, typename F>
Timer every(std::chrono::duration<Rep, Period> period, F function) {
  return every(period, std::move(function), std::nothrow).value();
}

}  // namespace fastrpc
