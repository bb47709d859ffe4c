// The original's threads, over std::thread.
#pragma once

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>
#include <fastrpc/sync.hpp>

#include <sys/syscall.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <system_error>
#include <thread>

#include "xcore_noncopyable.h"

namespace xcore {

// The kernel's number of the calling thread.
inline uint32 thread_id() {
  return static_cast<uint32>(syscall(SYS_gettid));
}

// What a thread runs.
class XRunnable {
 public:
  virtual ~XRunnable() = default;
  virtual void run() = 0;
};

// A thread that is asked to stop, and stops itself: its work looks at wait_quit(). To be used by
// one other thread. The destructor stops and joins it.
class XThread : XNoncopyable {
 public:
  enum State { STATE_INIT, STATE_RUNNING, STATE_STOPPED };

  explicit XThread(XRunnable* target = nullptr) : target_(target) {}
  virtual ~XThread() {
    stop();
    join();
  }

  // Runs `target`, which stays yours, or the one of the constructor. False if it runs already, has
  // nothing to run, or there is no thread to be had. An exception that leaves it is logged.
  bool start(XRunnable* target = nullptr) {
    if (target != nullptr) target_ = target;
    if (target_ == nullptr || state_ == STATE_RUNNING) return false;
    join();
    quit_ = std::make_unique<fastrpc::semaphore>(0);
    state_ = STATE_RUNNING;
#if FASTRPC_HAS_EXCEPTIONS
    try {
      thread_ = std::thread([this] { body(); });
    } catch (const std::system_error&) {
      state_ = STATE_STOPPED;
      return false;
    }
#else
    thread_ = std::thread([this] { body(); });
#endif
    return true;
  }
  // Asks it to stop; does not wait.
  void stop() {
    if (quit_ != nullptr) quit_->release();
  }
  // Waits for its end.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

  // For the thread itself: waits for `msec` milliseconds at most, for ever by default. Whether it
  // is to stop.
  bool wait_quit(int msec = -1) {
    if (msec < 0) {
      quit_->acquire();
    } else if (!quit_->try_acquire_for(std::chrono::milliseconds(msec))) {
      return false;
    }
    // Whoever asks again gets the same answer.
    quit_->release();
    return true;
  }

  // The kernel's number of the thread; 0 before it runs.
  uint32 id() const {
    return id_;
  }
  int state() const {
    return state_;
  }

 private:
  void body() {
    id_ = thread_id();
    (void)fastrpc::detail::run_logged("a thread", [this] { target_->run(); });
    state_ = STATE_STOPPED;
  }

  XRunnable* target_;
  std::thread thread_;
  std::unique_ptr<fastrpc::semaphore> quit_;
  std::atomic<uint32> id_{0};
  std::atomic<int> state_{STATE_INIT};
};

}  // namespace xcore

using xcore::XRunnable;
using xcore::XThread;
