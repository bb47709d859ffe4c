// The runtime: options, version, logging.
//
//   fastrpc::RuntimeOptions options;
//   options.workers = 4;
//   fastrpc::configure(options);  // before anything else uses the runtime
//   fastrpc::set_log(fastrpc::LogLevel::info, [](auto level, auto target, auto text) { ... });
//   fastrpc::log(fastrpc::LogLevel::info, "ready");
//
// The runtime starts on first use and lives as long as the process. Any thread may call these
// functions; none suspends.
#pragma once

#include <fastrpc/detail/options.hpp>
#include <fastrpc/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fastrpc {

namespace detail {
inline const fastrpc_runtime_options& runtime_defaults() {
  return defaults<fastrpc_runtime_options, fastrpc_runtime_options_init>();
}
}  // namespace detail

// Options of the runtime. The defaults are those of the C ABI's fastrpc_runtime_options.
struct RuntimeOptions {
  // Worker threads. Coroutines of one worker never run in parallel. If the program never calls
  // configure(), the environment variable FASTRPC_WORKERS decides.
  std::size_t workers = detail::runtime_defaults().workers;
  // Default stack size of coroutines in bytes; virtual memory, committed as it is touched.
  std::size_t stack_size = detail::runtime_defaults().stack_size;
  // Whether coroutines start with hooks on: see fastrpc/hook.hpp.
  bool hook = detail::runtime_defaults().hook != 0;
  // Whether waits of coroutines that hold a pthread mutex or reader-writer lock, a std::mutex for
  // example, are logged.
  bool lock_check = detail::runtime_defaults().lock_check != 0;
  // Whether pthread mutexes, reader-writer locks and condition variables suspend coroutines with
  // hooks on.
  bool hook_locks = detail::runtime_defaults().hook_locks != 0;
};

// Configures the runtime. Fails with Status::bad_state once it has started.
inline Result<void> configure(const RuntimeOptions& options, std::nothrow_t) {
  fastrpc_runtime_options c = detail::runtime_defaults();
  c.workers = options.workers;
  c.stack_size = options.stack_size;
  c.hook = options.hook ? 1 : 0;
  c.lock_check = options.lock_check ? 1 : 0;
  c.hook_locks = options.hook_locks ? 1 : 0;
  detail::ErrorSlot error;
  return error.check(fastrpc_runtime_configure(&c, error.out()));
}
inline void configure(const RuntimeOptions& options) {
  configure(options, std::nothrow).value();
}

// Returns the version of the library in use, such as "1.2.3".
[[nodiscard]] inline std::string_view version() {
  return fastrpc_version();
}

// Returns the number of worker threads, started or not.
[[nodiscard]] inline std::size_t worker_count() {
  return fastrpc_worker_count();
}

// Severity of a log record, and the maximum level to be logged.
enum class LogLevel : std::int32_t {
  // No records at all.
  off = FASTRPC_LOG_OFF,
  // Something was lost or refused, and needs attention.
  error = FASTRPC_LOG_ERROR,
  // Something is unusual, and the library carried on.
  warn = FASTRPC_LOG_WARN,
  // Something noteworthy and normal.
  info = FASTRPC_LOG_INFO,
  // Details for debugging programs that use the library.
  debug = FASTRPC_LOG_DEBUG,
  // Details for debugging the library itself.
  trace = FASTRPC_LOG_TRACE,
};

// Writes a log record to the same sink as the library's own.
inline void log(LogLevel level, std::string_view text) {
  fastrpc_log(static_cast<std::int32_t>(level), text.data(), text.size());
}

// Sends the library's log records up to `level` to `sink(LogLevel level, std::string_view target,
// std::string_view text)`, which several threads may call concurrently and which must not block.
template <typename Sink>
Result<void> set_log(LogLevel level, Sink sink, std::nothrow_t) {
  static_assert(std::is_invocable_v<Sink&, LogLevel, std::string_view, std::string_view>,
                "fastrpc::set_log(level, f): f takes (fastrpc::LogLevel level, std::string_view "
                "target, std::string_view text)");
  auto call = [](void* user, std::int32_t l, const char* target, std::size_t target_size,
                 const char* text, std::size_t text_size) {
    (*static_cast<Sink*>(user))(static_cast<LogLevel>(l), std::string_view(target, target_size),
                                std::string_view(text, text_size));
  };
  detail::ErrorSlot error;
  return error.check(fastrpc_set_log(static_cast<std::int32_t>(level), call,
                                     new Sink(std::move(sink)), detail::delete_user<Sink>,
                                     error.out()));
}
template <typename Sink>
void set_log(LogLevel level, Sink sink) {
  set_log(level, std::move(sink), std::nothrow).value();
}

}  // namespace fastrpc
