// Hooks of libc: in a coroutine that enables them, blocking calls (read, connect, poll, sleep,
// getaddrinfo ...) suspend the coroutine instead of blocking its worker. See docs/hooks.md.
//
//   fastrpc::spawn([] {
//     fastrpc::hook::Guard hooked;                            // until the end of the block
//     redisContext* redis = redisConnect("127.0.0.1", 6379);  // other coroutines run meanwhile
//   });
//
// Each coroutine has its own switch, initially RuntimeOptions::hook. Switching never suspends.
#pragma once

#include <fastrpc/error.hpp>

#include <cstdint>
#include <string>

namespace fastrpc::hook {

// Turns the hooks of the calling coroutine on, until it ends or turns them off. Fails in a plain
// thread, and with a library built without hooks: Status::bad_state, with a text that says what to
// do.
inline Result<void> enable(std::nothrow_t) {
  detail::ErrorSlot error;
  return error.check(fastrpc_hook_enable(error.out()));
}
inline void enable() {
  enable(std::nothrow).value();
}
// Turns the hooks of the calling coroutine off. Fails as enable() does.
inline Result<void> disable(std::nothrow_t) {
  detail::ErrorSlot error;
  return error.check(fastrpc_hook_disable(error.out()));
}
inline void disable() {
  disable(std::nothrow).value();
}

// Returns whether blocking libc calls suspend the caller; false in a plain thread.
[[nodiscard]] inline bool is_enabled() {
  return fastrpc_hook_is_enabled();
}

// Returns a human-readable report: which functions are hooked in this process, and which loaded
// objects bypass the hooks.
[[nodiscard]] inline std::string report() {
  // The text may grow meanwhile, as objects are loaded.
  std::string text(fastrpc_hook_report(nullptr, 0), '\0');
  fastrpc_hook_report(text.data(), text.size() + 1);
  return text;
}

// Returns how many waits were entered by a coroutine that held a pthread mutex or reader-writer
// lock, blocking others from it. Each pair of call sites is logged once.
[[nodiscard]] inline std::uint64_t waits_with_locks() {
  return fastrpc_hook_waits_with_locks();
}

// Returns how often a coroutine locked one that another coroutine of its worker held across a wait,
// and was suspended instead of deadlocking the worker. Each pair of call sites is logged once.
[[nodiscard]] inline std::uint64_t deadlocks_averted() {
  return fastrpc_hook_deadlocks_averted();
}

// Turns the hooks of the calling coroutine on, or off, and restores the previous setting when it is
// destroyed. Does nothing in a plain thread.
class [[nodiscard]] Guard {
 public:
  explicit Guard(bool on = true) : before_(is_enabled()) { set(on); }
  ~Guard() { set(before_); }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  static void set(bool on) { on ? fastrpc_hook_enable(nullptr) : fastrpc_hook_disable(nullptr); }

  bool before_;
};

}  // namespace fastrpc::hook
