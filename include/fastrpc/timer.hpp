// Timers: what runs later, or every so often, in a coroutine of its own.
//
//   auto beat = fastrpc::every(1s, [] { send_heartbeat(); });
#pragma once

#include <fastrpc/detail/timer_job.hpp>

namespace fastrpc {

// A function that runs in a new coroutine once its time has come, never earlier. Destroying the
// handle leaves the timer armed.
class Timer {
 public:
  Timer() = default;

  // Runs `function()` after `delay`. An exception that leaves it is logged.
  template <typename Rep, typename Period, typename F>
  static Result<Timer> after(std::chrono::duration<Rep, Period> delay, F function, std::nothrow_t) {
    Timer timer;
    auto armed = detail::arm_timer(detail::nanoseconds(delay), std::move(function), timer.handle_);
    if (!armed) return armed.error();
    return timer;
  }
  template <typename Rep, typename Period, typename F>
  static Timer after(std::chrono::duration<Rep, Period> delay, F function) {
    return after(delay, std::move(function), std::nothrow).value();
  }

  // True if the function will not run because of this call; what it holds is gone then.
  bool cancel() { return fastrpc_timer_cancel(handle_.get()); }

 private:
  detail::TimerHandle handle_;
};

// A timer of after() or every(). Destroying it cancels it and waits for a run that has begun, if
// it is not destroyed by that very run: what the function refers to may go afterwards. One thread
// at a time.
class [[nodiscard]] ScopedTimer {
 public:
  ScopedTimer() = default;
  explicit ScopedTimer(std::shared_ptr<detail::TimerJob> job) : job_(std::move(job)) {}
  ScopedTimer(ScopedTimer&&) = default;
  ScopedTimer& operator=(ScopedTimer&& other) noexcept {
    ScopedTimer old(std::exchange(job_, std::move(other.job_)));
    return *this;
  }
  ~ScopedTimer() {
    if (job_ == nullptr) return;
    job_->cancel();
    job_->wait_idle();
  }

  // No run begins from now on. False if the timer was over. Does not wait for a run that has begun.
  bool cancel() { return job_ != nullptr && job_->cancel(); }
  // Lets it run on with nobody to cancel it.
  void detach() { job_.reset(); }
  // Whether a run is still to come, or is going on without a cancel().
  [[nodiscard]] bool is_active() const { return job_ != nullptr && !job_->is_over(); }

 private:
  std::shared_ptr<detail::TimerJob> job_;
};

namespace detail {

template <typename F>
Result<ScopedTimer> start_timer(std::int64_t period, std::int64_t runs, F function) {
  auto task = std::make_unique<FunctionTask<F>>(std::move(function));
  auto job = std::make_shared<TimerJob>(std::move(task), period, runs);
  if (auto started = job->start(); !started) return started.error();
  return ScopedTimer(std::move(job));
}

}  // namespace detail

// Runs `function()` in a new coroutine after `delay`. An exception that leaves it is logged.
template <typename Rep, typename Period, typename F>
Result<ScopedTimer> after(std::chrono::duration<Rep, Period> delay, F function, std::nothrow_t) {
  return detail::start_timer(detail::nanoseconds(delay), 1, std::move(function));
}
template <typename Rep, typename Period, typename F>
ScopedTimer after(std::chrono::duration<Rep, Period> delay, F function) {
  return after(delay, std::move(function), std::nothrow).value();
}

// Runs `function()` every `period`, first after one, each time in a new coroutine. Runs never
// overlap: while one goes on, the times that pass are left out. An exception that leaves it is
// logged, and the next run comes all the same. Fails with FASTRPC_EINVAL if `period` is not above
// 0.
template <typename Rep, typename Period, typename F>
Result<ScopedTimer> every(std::chrono::duration<Rep, Period> period, F function, std::nothrow_t) {
  std::int64_t time = detail::nanoseconds(period);
  if (time == 0) return Error(FASTRPC_EINVAL);
  return detail::start_timer(time, detail::TimerJob::kForEver, std::move(function));
}
template <typename Rep, typename Period, typename F>
ScopedTimer every(std::chrono::duration<Rep, Period> period, F function) {
  return every(period, std::move(function), std::nothrow).value();
}

}  // namespace fastrpc
