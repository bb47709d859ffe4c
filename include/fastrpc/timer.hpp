// Timers.
#pragma once

#include <fastrpc/error.hpp>

namespace fastrpc {

// A function that runs in a new coroutine once its time has come, never earlier. Destroying the
// handle leaves the timer armed.
class Timer {
 public:
  Timer() = default;

  // Runs `function()` after `delay`. An exception that leaves it is logged.
  template <typename Rep, typename Period, typename F>
  static Result<Timer> after(std::chrono::duration<Rep, Period> delay, F function, std::nothrow_t) {
    auto run = [](void* user) { (*static_cast<F*>(user))(); };
    auto* user = new F(std::move(function));
    fastrpc_timer* made = nullptr;
    detail::ErrorSlot error;
    fastrpc_status status = fastrpc_timer_after(detail::nanoseconds(delay), run, user,
                                                detail::delete_user<F>, &made, error.out());
    if (auto armed = error.check(status); !armed) return armed.error();
    return Timer(made);
  }
  template <typename Rep, typename Period, typename F>
  static Timer after(std::chrono::duration<Rep, Period> delay, F function) {
    return after(delay, std::move(function), std::nothrow).value();
  }

  // True if the function will not run because of this call; what it holds is gone then.
  bool cancel() { return fastrpc_timer_cancel(handle_.get()); }

 private:
  explicit Timer(fastrpc_timer* handle) : handle_(handle) {}

  detail::Handle<fastrpc_timer, fastrpc_timer_free> handle_;
};

}  // namespace fastrpc
