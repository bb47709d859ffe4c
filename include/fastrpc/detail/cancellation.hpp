// Machinery of CliController: cancelling a call, by any thread, while it begins or ends.
#pragma once

#include <google/protobuf/service.h>

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>

namespace fastrpc::detail {

// Runs a callback of NotifyOnCancel(), if there is one.
inline void notify_canceled(google::protobuf::Closure* callback) {
  if (callback == nullptr) return;
  (void)run_logged("the callback of NotifyOnCancel", [callback] { callback->Run(); });
}

// Whether a controller is cancelled, and the handle of its asynchronous call. Shared by the
// controller, by who is starting a call and by who cancels it: each may be the last.
class Cancellation {
 public:
  using Closure = google::protobuf::Closure;

  // For the first holder.
  Cancellation() = default;
  Cancellation(const Cancellation&) = delete;
  Cancellation& operator=(const Cancellation&) = delete;

  static void release(Cancellation* shared) {
    if (shared->holders_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete shared;
  }
  using Hold = Handle<Cancellation, release>;

  // For a further holder.
  [[nodiscard]] Hold hold() {
    holders_.fetch_add(1, std::memory_order_relaxed);
    return Hold(this);
  }

  [[nodiscard]] bool is_canceled() const { return canceled_.load(std::memory_order_acquire); }
  // Only between two calls.
  void reset() { canceled_.store(false, std::memory_order_release); }

  // An asynchronous call begins: its number, or 0 if it is cancelled before.
  [[nodiscard]] std::uint64_t begin() {
    std::lock_guard<std::mutex> guard(lock_);
    return canceled_ ? 0 : ++call_;
  }

  // The handle of the call `call`, which may have ended meanwhile.
  void set_handle(std::uint64_t call, fastrpc_async_call* handle) {
    Owned owned(handle);
    {
      std::lock_guard<std::mutex> guard(lock_);
      if (call != call_) return;
      if (!canceled_) return handle_.swap(owned);
    }
    fastrpc_async_call_cancel(handle);
  }

  // A call has ended, or there will be none: runs the callback, if it has not run.
  void end() {
    Owned owned;
    Closure* callback = nullptr;
    {
      std::lock_guard<std::mutex> guard(lock_);
      ++call_;
      handle_.swap(owned);
      callback = std::exchange(callback_, nullptr);
    }
    notify_canceled(callback);
  }

  void notify(Closure* callback) {
    {
      std::lock_guard<std::mutex> guard(lock_);
      if (!canceled_) {
        callback_ = callback;
        return;
      }
    }
    notify_canceled(callback);
  }

  void cancel() {
    Closure* callback = nullptr;
    std::uint64_t call = 0;
    {
      std::lock_guard<std::mutex> guard(lock_);
      canceled_ = true;
      call = call_;
      callback = std::exchange(callback_, nullptr);
    }
    // It comes first: the call's end may be the end of what it uses.
    notify_canceled(callback);
    Owned owned;
    {
      std::lock_guard<std::mutex> guard(lock_);
      if (call == call_) handle_.swap(owned);
    }
    if (owned) fastrpc_async_call_cancel(owned.get());
  }

 private:
  using Owned = Handle<fastrpc_async_call, fastrpc_async_call_free>;

  ~Cancellation() = default;

  std::atomic<int> holders_{1};
  std::mutex lock_;
  std::atomic<bool> canceled_{false};
  // Changes when a call begins and when it ends.
  std::uint64_t call_ = 0;
  Owned handle_;
  Closure* callback_ = nullptr;
};

}  // namespace fastrpc::detail
