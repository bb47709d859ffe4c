// The timers of 2016: closures that run once, a number of times, or for ever.
//
//   fastrpc::TimerMgr timers;
//   timers.AddJob(1000, NewPermanentClosure(this, &Service::Push, id), 5);
//
// Today's are in fastrpc/timer.hpp.
#pragma once

#include <fastrpc/closure.hpp>
#include <fastrpc/timer.hpp>

#include <unordered_map>
#include <vector>

namespace fastrpc {

namespace detail {

// A closure as a task: one that runs once is gone with its run, another with the task.
template <typename R>
class ClosureTask final : public TimerTask {
 public:
  explicit ClosureTask(Closure<R>* closure) : closure_(closure) {}

  void run() override {
    Closure<R>* closure = closure_.get();
    if (closure->IsSelfDelete()) closure_.release();
    closure->Run();
  }

 private:
  std::unique_ptr<Closure<R>> closure_;
};

// The jobs of a TimerMgr by number.
class TimerJobs final : public TimerJob::Owner {
 public:
  unsigned add(const std::shared_ptr<TimerJob>& job, const std::shared_ptr<TimerJobs>& self) {
    std::lock_guard<std::mutex> lock(mutex_);
    do {
      ++last_id_;
    } while (last_id_ == 0 || jobs_.count(last_id_) != 0);
    jobs_.emplace(last_id_, job);
    job->set_owner(self, last_id_);
    return last_id_;
  }

  std::shared_ptr<TimerJob> find(unsigned id) const {
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = jobs_.find(id);
    return found != jobs_.end() ? found->second : nullptr;
  }

  std::vector<std::shared_ptr<TimerJob>> all() const {
    std::lock_guard<std::mutex> lock(mutex_);
    std::vector<std::shared_ptr<TimerJob>> jobs;
    jobs.reserve(jobs_.size());
    for (const auto& [id, job] : jobs_) jobs.push_back(job);
    return jobs;
  }

  void job_over(unsigned id) override {
    std::shared_ptr<TimerJob> job;
    std::lock_guard<std::mutex> lock(mutex_);
    auto found = jobs_.find(id);
    if (found == jobs_.end()) return;
    job = std::move(found->second);
    jobs_.erase(found);
  }

 private:
  mutable std::mutex mutex_;
  std::unordered_map<unsigned, std::shared_ptr<TimerJob>> jobs_;
  unsigned last_id_ = 0;
};

}  // namespace detail

// Runs closures at their time, each run in a new coroutine, so that one that waits delays no other.
// Runs of one job never overlap: while one goes on, the times of that job that pass are left out.
// An exception that leaves a run is logged, and the job goes on. Any thread.
class TimerMgr {
 public:
  TimerMgr() = default;
  TimerMgr(const TimerMgr&) = delete;
  TimerMgr& operator=(const TimerMgr&) = delete;
  // Deletes all jobs and waits for runs that have begun, but not for the one that calls it. No run
  // may wait for what destroys the manager.
  ~TimerMgr() {
    auto jobs = jobs_->all();
    for (const auto& job : jobs) job->cancel();
    for (const auto& job : jobs) job->wait_idle();
  }

  // Runs `closure`, which it takes over, every `ms` milliseconds, `repeat` times; below 0 for ever.
  // Gives the number of the job, never 0. Gives 0, with a record in the log, and frees the closure
  // if `repeat` is 0, or not 1 though the closure is one that runs once (see
  // NewPermanentClosure()), or if there is no memory.
  template <typename R>
  unsigned AddJob(unsigned ms, Closure<R>* closure, int repeat = 1) {
    if (closure == nullptr) return 0;
    auto task = std::make_unique<detail::ClosureTask<R>>(closure);
    if (repeat == 0) return refuse("a job that repeats 0 times");
    if (repeat != 1 && closure->IsSelfDelete())
      return refuse("a job that repeats needs a permanent closure");
    std::int64_t period = std::int64_t{ms} * 1000000;
    // Without a pause, a job for ever would leave no time for others.
    if (repeat != 1) period = std::max(period, std::int64_t{1000000});
    auto job = std::make_shared<detail::TimerJob>(std::move(task), period, repeat);
    unsigned id = jobs_->add(job, jobs_);
    if (auto started = job->start(); !started) {
      job->cancel();
      return refuse(started.error().text());
    }
    return id;
  }

  // Deletes a job: no run of it begins from now on. Gives 1, or 0 if there is none of that number.
  // Does not wait for a run that has begun, which may be the caller.
  unsigned DelJob(unsigned id) {
    auto job = jobs_->find(id);
    return job != nullptr && job->cancel() != detail::TimerJob::Found::over ? 1 : 0;
  }

 private:
  static unsigned refuse(const std::string& why) {
    fastrpc::log(LogLevel::error, "a timer job was refused: " + why);
    return 0;
  }

  std::shared_ptr<detail::TimerJobs> jobs_ = std::make_shared<detail::TimerJobs>();
};

}  // namespace fastrpc
