// Machinery of timers that repeat: a task, when it runs next, and how it is stopped.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/sync.hpp>

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

namespace fastrpc::detail {

// A C timer. Freeing the handle leaves the timer armed.
using TimerHandle = Handle<fastrpc_timer, fastrpc_timer_free>;

// Runs `function()` in a new coroutine, `delay` nanoseconds from now.
template <typename F>
Result<void> arm_timer(std::int64_t delay, F function, TimerHandle& handle) {
  auto run = [](void* user) { (*static_cast<F*>(user))(); };
  fastrpc_timer* made = nullptr;
  ErrorSlot error;
  fastrpc_status status = fastrpc_timer_after(delay, run, new F(std::move(function)),
                                              delete_user<F>, &made, error.out());
  handle.reset(made);
  return error.check(status);
}

// What a timer runs.
class TimerTask {
 public:
  virtual ~TimerTask() = default;
  virtual void run() = 0;
};

// A function as a task.
template <typename F>
class FunctionTask final : public TimerTask {
 public:
  explicit FunctionTask(F function) : function_(std::move(function)) {}
  void run() override { function_(); }

 private:
  F function_;
};

// A task that runs once or every so often. Runs of one job never overlap: it is armed again when a
// run has ended, for the next of the times that it was given at the start, so that it neither
// drifts nor comes early; times that passed during a run are left out. Any thread.
class TimerJob : public std::enable_shared_from_this<TimerJob> {
 public:
  // Told, outside of all locks, when the job is over and its task gone.
  class Owner {
   public:
    virtual ~Owner() = default;
    virtual void job_over(unsigned id) = 0;
  };

  static constexpr std::int64_t kForEver = -1;

  // `period`: nanoseconds to each run, above 0 if there are several. `runs`: how many.
  TimerJob(std::unique_ptr<TimerTask> task, std::int64_t period, std::int64_t runs)
      : task_(std::move(task)), period_(period), left_(runs) {}

  // To be called once.
  Result<void> start() {
    std::lock_guard<std::mutex> lock(mutex_);
    next_ = after(now(), period_);
    return arm();
  }

  void set_owner(std::weak_ptr<Owner> owner, unsigned id) {
    owner_ = std::move(owner);
    id_ = id;
  }

  // What cancel() found: nothing left, the last run under way, or a run to come.
  enum class Found { over, last_run, next_run };

  // Lets no run begin from now on. Does not wait for one that has begun.
  Found cancel() {
    TimerHandle timer;
    std::unique_ptr<TimerTask> task;
    Found found;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (std::exchange(over_, true)) return Found::over;
      found = runner_ != 0 && left_ == 1 ? Found::last_run : Found::next_run;
      timer = std::move(timer_);
      // A run that has begun takes it along.
      if (runner_ == 0) task = std::move(task_);
    }
    // Outside of the lock: the task may own anything.
    fastrpc_timer_cancel(timer.get());
    if (task != nullptr) finish(std::move(task), nullptr);
    return found;
  }

  // Waits for a run that has begun, unless it is the caller. Only after cancel().
  void wait_idle() {
    std::shared_ptr<WaitGroup> idle;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (runner_ == 0 || runner_ == this_coroutine::id()) return;
      if (idle_ == nullptr) idle_ = std::make_shared<WaitGroup>(1);
      idle = idle_;
    }
    for (;;) {
      Result<void> waited = idle->wait(std::nothrow);
      // After fork() the run is the parent's.
      if (waited || waited.error().status() == Status::forked) return;
      // In a canceled coroutine no wait succeeds; to go on before the run has ended would be worse
      // than to be busy.
      fastrpc_yield();
    }
  }

  [[nodiscard]] bool is_over() const {
    std::lock_guard<std::mutex> lock(mutex_);
    return over_;
  }

 private:
  // Ends a run, also when an exception leaves it.
  struct Run {
    TimerJob& job;
    ~Run() { job.end_run(); }
  };

  static std::int64_t now() {
    return nanoseconds(std::chrono::steady_clock::now().time_since_epoch());
  }
  static std::int64_t after(std::int64_t time, std::int64_t span) {
    constexpr auto kEnd = std::numeric_limits<std::int64_t>::max();
    return span > kEnd - time ? kEnd : time + span;
  }

  // With the lock held: the timer may come on another worker before the handle is stored.
  Result<void> arm() {
    auto run = [self = shared_from_this()] { self->run(); };
    return arm_timer(std::max<std::int64_t>(next_ - now(), 0), std::move(run), timer_);
  }

  void run() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (over_) return;
      runner_ = this_coroutine::id();
    }
    Run guard{*this};
    task_->run();
  }

  void end_run() {
    std::unique_ptr<TimerTask> task;
    if (arm_next()) return;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      over_ = true;
      task = std::move(task_);
    }
    // It still counts as running: who waits for the end waits for the task to be gone as well.
    task.reset();
    std::shared_ptr<WaitGroup> idle;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      runner_ = 0;
      idle = std::move(idle_);
    }
    finish(nullptr, std::move(idle));
  }

  // Arms the timer for the next run, if there is to be one.
  bool arm_next() {
    Result<void> armed;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      if (left_ > 0) --left_;
      if (over_ || left_ == 0) return false;
      std::int64_t late = now() - next_;
      std::int64_t missed = late > 0 ? (late - 1) / period_ : 0;
      next_ = after(after(next_, missed * period_), period_);
      armed = arm();
      if (armed) runner_ = 0;
    }
    if (!armed) fastrpc::log(LogLevel::error, "a timer cannot repeat: " + armed.error().text());
    return armed.ok();
  }

  void finish(std::unique_ptr<TimerTask> task, std::shared_ptr<WaitGroup> idle) {
    task.reset();
    if (auto owner = owner_.lock()) owner->job_over(id_);
    if (idle != nullptr) idle->done();
  }

  std::weak_ptr<Owner> owner_;
  unsigned id_ = 0;

  mutable std::mutex mutex_;
  std::unique_ptr<TimerTask> task_;
  const std::int64_t period_;
  std::int64_t left_;
  std::int64_t next_ = 0;
  // The coroutine of the run that has begun, 0 between runs.
  std::uint64_t runner_ = 0;
  bool over_ = false;
  TimerHandle timer_;
  std::shared_ptr<WaitGroup> idle_;
};

}  // namespace fastrpc::detail
