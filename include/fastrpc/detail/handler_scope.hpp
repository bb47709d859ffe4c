// Machinery of servers: which handlers run, so that the end of a server can wait for them.
#pragma once

#include <fastrpc/sync.hpp>

#include <atomic>
#include <chrono>

namespace fastrpc::detail {

// Counts the handlers of a server that run.
class RunningHandlers {
 public:
  void enter() { count_.fetch_add(1, std::memory_order_relaxed); }
  void leave() {
    if (count_.fetch_sub(1, std::memory_order_acq_rel) == 1) idle_.done();
  }
  // For the server, once: gives up its own share and waits. Returns whether all handlers have
  // ended.
  template <typename Rep, typename Period>
  bool wait_for_others(std::chrono::duration<Rep, Period> time) {
    leave();
    return idle_.wait_for(time, std::nothrow).ok();
  }

 private:
  std::atomic<int> count_{1};
  WaitGroup idle_{1};
};

// The time for which a handler runs.
class HandlerScope {
 public:
  explicit HandlerScope(RunningHandlers& running) : running_(running) { running_.enter(); }
  HandlerScope(const HandlerScope&) = delete;
  HandlerScope& operator=(const HandlerScope&) = delete;
  ~HandlerScope() { running_.leave(); }

 private:
  RunningHandlers& running_;
};

}  // namespace fastrpc::detail
