// The original's timers with call-back objects: see fastrpc/timer_mgr.hpp for closures.
#pragma once

#include <fastrpc/timer_mgr.hpp>

#include <memory>
#include <mutex>
#include <vector>

#include "xcore_define.h"

namespace xcore {

// Runs call-backs at their time, each run in a new coroutine. Any thread.
class XTimer {
 public:
  class ICallBack {
   public:
    virtual ~ICallBack() = default;
    // `id` is what schedule() gave, `ptr` what it was given.
    virtual void on_timer(XTimer* timer, uint32 id, void* ptr) = 0;
  };

  XTimer() = default;
  XTimer(const XTimer&) = delete;
  XTimer& operator=(const XTimer&) = delete;
  ~XTimer() { stop(); }

  // Runs `callback`, which it takes over and deletes in the end, every `interval_ms` milliseconds,
  // `repeat` times; below 0 for ever. Gives a number, never 0; 0, and deletes the callback, if it
  // is stopped or `repeat` is 0.
  uint32 schedule(ICallBack* callback, uint32 interval_ms, int repeat = 1, void* ptr = nullptr) {
    std::shared_ptr<ICallBack> owned(callback);
    std::lock_guard<std::recursive_mutex> lock(registry_->mutex);
    if (timers_ == nullptr || owned == nullptr) return 0;
    auto entry = std::make_shared<Entry>(registry_, ptr);
    uint32 id = entry->id;
    auto run = [this, owned, entry, ptr] { owned->on_timer(this, entry->id, ptr); };
    owned.reset();
    entry.reset();
    unsigned job =
        timers_->AddJob(interval_ms, fastrpc::NewPermanentClosure(std::move(run)), repeat);
    auto found = registry_->jobs.find(id);
    if (found != registry_->jobs.end()) found->second.job = job;
    return job != 0 ? id : 0;
  }

  // No run begins from now on. Gives how many were canceled: 0 or 1. May be called by the run.
  uint32 cancel(uint32 id) {
    return cancel_if([id](uint32 each, void*) { return each == id; });
  }
  // The same for all that were scheduled with that pointer.
  uint32 cancel(void* ptr) {
    return cancel_if([ptr](uint32, void* each) { return each == ptr; });
  }

  // It runs from the start on: this is for one that was stopped.
  bool start() {
    std::lock_guard<std::recursive_mutex> lock(registry_->mutex);
    if (timers_ == nullptr) timers_ = std::make_shared<fastrpc::TimerMgr>();
    return true;
  }
  // Cancels all, and waits for runs that have begun, but not for the one that calls.
  bool stop() {
    std::shared_ptr<fastrpc::TimerMgr> timers;
    {
      std::lock_guard<std::recursive_mutex> lock(registry_->mutex);
      timers = std::move(timers_);
    }
    return true;
  }

 private:
  struct Job {
    void* ptr;
    unsigned job = 0;
  };
  struct Registry {
    // Recursive: a job that is refused is forgotten inside schedule().
    std::recursive_mutex mutex;
    std::map<uint32, Job> jobs;
    uint32 last_id = 0;
  };
  // Is in the registry for as long as the job lives.
  struct Entry {
    Entry(std::shared_ptr<Registry> r, void* ptr) : registry(std::move(r)) {
      do {
        id = ++registry->last_id;
      } while (id == 0 || registry->jobs.count(id) != 0);
      registry->jobs.emplace(id, Job{ptr});
    }
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    ~Entry() {
      std::lock_guard<std::recursive_mutex> lock(registry->mutex);
      registry->jobs.erase(id);
    }

    std::shared_ptr<Registry> registry;
    uint32 id;
  };

  template <typename Wanted>
  uint32 cancel_if(Wanted wanted) {
    std::shared_ptr<fastrpc::TimerMgr> timers;
    std::vector<unsigned> jobs;
    {
      std::lock_guard<std::recursive_mutex> lock(registry_->mutex);
      timers = timers_;
      for (const auto& [id, job] : registry_->jobs)
        if (wanted(id, job.ptr)) jobs.push_back(job.job);
    }
    uint32 canceled = 0;
    for (unsigned job : jobs)
      if (timers != nullptr) canceled += timers->DelJob(job);
    return canceled;
  }

  std::shared_ptr<Registry> registry_ = std::make_shared<Registry>();
  std::shared_ptr<fastrpc::TimerMgr> timers_ = std::make_shared<fastrpc::TimerMgr>();
};

}  // namespace xcore

using xcore::XTimer;
