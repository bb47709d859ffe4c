// Hooks of libc: blocking calls (read, connect, poll, sleep, getaddrinfo ...) suspend the coroutine
// that makes them, or the library that it uses. See docs/hooks.md.
#pragma once

#include <fastrpc/error.hpp>

#include <cstdint>
#include <string>

namespace fastrpc::hook {

// Turn the hooks of the calling coroutine on or off. In a plain thread, and with a library that was
// built without hooks, an Error: FASTRPC_ESTATE.
inline Result<void> enable(std::nothrow_t) {
  return detail::check(fastrpc_hook_enable());
}
inline void enable() {
  enable(std::nothrow).value();
}
inline Result<void> disable(std::nothrow_t) {
  return detail::check(fastrpc_hook_disable());
}
inline void disable() {
  disable(std::nothrow).value();
}

// Whether blocking calls suspend the caller; false in a plain thread.
[[nodiscard]] inline bool is_enabled() {
  return fastrpc_hook_is_enabled();
}

// Which functions are hooked in this process, and who calls libc past the hooks.
[[nodiscard]] inline std::string report() {
  // The text may grow by what is loaded meanwhile.
  std::string text(fastrpc_hook_report(nullptr, 0), '\0');
  fastrpc_hook_report(text.data(), text.size() + 1);
  return text;
}

// How many waits have begun so far while their coroutine held a lock of pthreads, and how often
// one wanted a mutex that another coroutine of the same worker held in a wait: it was suspended,
// where it would have blocked for ever. Both are logged, each pair of places once.
[[nodiscard]] inline std::uint64_t waits_with_locks() {
  return fastrpc_hook_waits_with_locks();
}
[[nodiscard]] inline std::uint64_t deadlocks_averted() {
  return fastrpc_hook_deadlocks_averted();
}

// Hooks on, or off, as long as it lives; then as before. In a plain thread it does nothing.
class [[nodiscard]] Guard {
 public:
  explicit Guard(bool on = true) : before_(is_enabled()) { set(on); }
  ~Guard() { set(before_); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  static void set(bool on) { on ? fastrpc_hook_enable() : fastrpc_hook_disable(); }

  bool before_;
};

}  // namespace fastrpc::hook
