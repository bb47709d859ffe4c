// Machinery of CliController: canceling a call, by any thread, while it begins or ends.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>

#include <atomic>
#include <exception>

namespace fastrpc::detail {

// Runs a callback of NotifyOnCancel(), if there is one.
inline void notify_canceled(google::protobuf::Closure* callback) {
  if (callback == nullptr) return;
  (void)run_logged("the callback of NotifyOnCancel", [callback] { callback->Run(); });
}

// Whether a controller is canceled, what its call is ended by, and who is told.
class Cancellation {
 public:
  using Closure = google::protobuf::Closure;

  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;
  ~Cancellation() {
    end();
    fastrpc_cancellation_reset(&call_);
  }

  // True a little before a call that begins fails with it.
  [[nodiscard]] bool is_canceled() const { return canceled_.load(std::memory_order_acquire); }
  // Only between two calls.
  void reset() {
    canceled_.store(false, std::memory_order_release);
    fastrpc_cancellation_reset(&call_);
  }

  // For the options of a call.
  [[nodiscard]] fastrpc_cancellation* get() { return &call_; }

  // A call has ended, or there will be none: runs the callback, if it has not run.
  void end() {
    if (callback_.load(std::memory_order_acquire) != nullptr) run();
  }

  void notify(Closure* callback) {
    callback_.store(callback);
    if (canceled_.load()) run();
  }

  void cancel() {
    canceled_.store(true);
    // It comes first: the call's end may be the end of what it uses, and of this object.
    run();
    fastrpc_cancellation_cancel(&call_);
  }

 private:
  void run() { notify_canceled(callback_.exchange(nullptr)); }

  // Each side writes one of the two and then reads the other.
  std::atomic<bool> canceled_{false};
  std::atomic<Closure*> callback_{nullptr};
  fastrpc_cancellation call_{};
};

}  // namespace fastrpc::detail
