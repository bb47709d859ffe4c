// The original's signal that one waits for and another gives.
#pragma once

#include <fastrpc/sync.hpp>

#include <atomic>

#include "xcore_define.h"

// Once notified it stays so. Between threads and coroutines.
class Monitor {
 public:
  // Throws a fastrpc::Error if the coroutine is canceled.
  void Wait() {
    std::unique_lock<fastrpc::mutex> lock(mutex_);
    notified_.wait(lock, [this] { return m_has_notify.load(); });
  }
  // Waits for `timeout_ms` milliseconds at most. Whether it was notified.
  bool TimeWait(xcore::uint64 timeout_ms) {
    auto time = std::chrono::milliseconds(std::min<xcore::uint64>(timeout_ms, kLongest));
    std::unique_lock<fastrpc::mutex> lock(mutex_);
    return notified_.wait_for(lock, time, [this] { return m_has_notify.load(); });
  }
  void Notify() {
    std::lock_guard<fastrpc::mutex> lock(mutex_);
    m_has_notify = true;
    notified_.notify_all();
  }

  std::atomic<bool> m_has_notify{false};

 private:
  // A year: more does not fit the clock's arithmetic.
  static constexpr xcore::uint64 kLongest = 365ULL * 24 * 3600 * 1000;

  fastrpc::mutex mutex_;
  fastrpc::condition_variable notified_;
};
