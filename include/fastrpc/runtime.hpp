// The runtime as a whole: set-up, version, log.
#pragma once

#include <fastrpc/error.hpp>

#include <string_view>

namespace fastrpc {

struct RuntimeOptions {
  // Worker threads. Coroutines of one worker never run in parallel. If the program never calls
  // configure(), the environment variable FASTRPC_WORKERS decides.
  std::size_t workers = 1;
  // Bytes of stack of a coroutine that does not say; virtual memory, used as it is touched.
  std::size_t stack_size = 256 * 1024;
  // Whether coroutines begin with their hooks on: see fastrpc/hook.hpp.
  bool hook = false;
  // Whether waits of coroutines that hold a lock of pthreads, a std::mutex for example, are
  // logged.
  bool lock_check = true;
  // Whether locks and condition variables of pthreads suspend coroutines with hooks on.
  bool hook_locks = false;
};

// Sets the runtime up; only before its first use.
inline Result<void> configure(const RuntimeOptions& options, std::nothrow_t) {
  fastrpc_runtime_options c;
  fastrpc_runtime_options_init(&c, sizeof c);
  c.workers = options.workers;
  c.stack_size = options.stack_size;
  c.hook = options.hook;
  c.lock_check = options.lock_check;
  c.hook_locks = options.hook_locks;
  detail::ErrorSlot error;
  return error.check(fastrpc_runtime_configure(&c, error.out()));
}
inline void configure(const RuntimeOptions& options) {
  configure(options, std::nothrow).value();
}

// The version of the library in use, such as "1.2.3".
[[nodiscard]] inline std::string_view version() {
  return fastrpc_version();
}

[[nodiscard]] inline std::size_t worker_count() {
  return fastrpc_worker_count();
}

// How much a log record matters, and up to which level records are wanted.
enum class LogLevel : std::int32_t {
  // No records at all.
  off = FASTRPC_LOG_OFF,
  // Something was lost or refused, and somebody should look.
  error = FASTRPC_LOG_ERROR,
  // Something is odd, and the library went on.
  warn = FASTRPC_LOG_WARN,
  // Something noteworthy and normal.
  info = FASTRPC_LOG_INFO,
  // For people who debug a program that uses the library.
  debug = FASTRPC_LOG_DEBUG,
  // For people who debug the library.
  trace = FASTRPC_LOG_TRACE,
};

// Writes a record to where the library's own records go.
inline void log(LogLevel level, std::string_view text) {
  fastrpc_log(static_cast<std::int32_t>(level), text.data(), text.size());
}
// The same with a FASTRPC_LOG_ number.
inline void log(std::int32_t level, std::string_view text) {
  log(static_cast<LogLevel>(level), text);
}

// Sends the library's log records up to `level` to `sink(int level, std::string_view target,
// std::string_view text)`, which is called by several threads at the same time and must not wait.
template <typename Sink>
void set_log(std::int32_t level, Sink sink) {
  auto call = [](void* user, std::int32_t l, const char* target, std::size_t target_size,
                 const char* text, std::size_t text_size) {
    (*static_cast<Sink*>(user))(l, std::string_view(target, target_size),
                                std::string_view(text, text_size));
  };
  detail::ErrorSlot error;
  auto* user = new Sink(std::move(sink));
  error.check(fastrpc_set_log(level, call, user, detail::delete_user<Sink>, error.out())).value();
}

}  // namespace fastrpc
