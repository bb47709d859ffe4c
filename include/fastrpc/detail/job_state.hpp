// Machinery of ThreadPool::submit(): a job, its end and its result.
#pragma once

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/sync.hpp>

#include <chrono>
#include <memory>
#include <utility>

namespace fastrpc::detail {

// What a JobHandle sees of its job.
template <typename T>
class JobState : public Outcome<T> {
 public:
  JobState(const char* what, WaitGroup unended) : Outcome<T>(what), unended_(std::move(unended)) {}

  // Waits for the end. `timeout`: nanoseconds; below 0 never.
  Result<void> wait(std::int64_t timeout) {
    auto waited = timeout < 0 ? unended_.wait(std::nothrow)
                              : unended_.wait_for(std::chrono::nanoseconds(timeout), std::nothrow);
    if (waited && !has_run_)
      return Error(Status::closed, "the pool was shut down before the job began");
    return waited;
  }

 protected:
  // Says that the job has ended, once.
  void end(bool has_run) {
    has_run_ = has_run;
    (void)unended_.done(std::nothrow);
  }

 private:
  WaitGroup unended_;
  // Set before the group is done, and read after.
  bool has_run_ = false;
};

// The job itself, run or dropped by the pool.
template <typename F, typename T>
class SubmittedJob final : public JobState<T> {
 public:
  // The pool's share: its end is the job's.
  class Owner {
   public:
    explicit Owner(std::shared_ptr<SubmittedJob> job) : job_(std::move(job)) {}
    Owner(const Owner&) = delete;
    Owner& operator=(const Owner&) = delete;
    ~Owner() {
      bool has_run = !job_->function_;
      job_->function_.reset();
      job_->end(has_run);
    }

    // Runs once; what the function holds is gone when this returns.
    void run() {
      job_->run(*job_->function_);
      job_->function_.reset();
    }

   private:
    std::shared_ptr<SubmittedJob> job_;
  };

  SubmittedJob(const char* what, F function, WaitGroup unended)
      : JobState<T>(what, std::move(unended)), function_(std::move(function)) {}

 private:
  std::optional<F> function_;
};

}  // namespace fastrpc::detail
