// Stackful coroutines: plain blocking code, each pinned to one worker thread.
//
//   auto coroutine = fastrpc::spawn([] { return fetch("http://..."); });
//   fastrpc::sleep_for(100ms);  // the other coroutines of this worker run meanwhile
//   std::string page = coroutine.join();
//
// A coroutine runs on a worker of the runtime: that of the coroutine that spawned it, or, if a
// plain thread spawned it, one chosen round robin. Its stack has a fixed size: see SpawnOptions.
// Functions that wait say so; they suspend a coroutine and block a plain thread.
#pragma once

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>

#include <chrono>
#include <memory>

namespace fastrpc {

namespace detail {
inline const fastrpc_spawn_options& spawn_defaults() {
  return defaults<fastrpc_spawn_options, fastrpc_spawn_options_init>();
}
}  // namespace detail

// Options of a coroutine. The defaults are those of the C ABI's fastrpc_spawn_options.
struct SpawnOptions {
  // Name for log messages.
  std::string_view name = {detail::spawn_defaults().name, detail::spawn_defaults().name_size};
  // Stack size in bytes; 0 for the runtime's default.
  std::size_t stack_size = detail::spawn_defaults().stack_size;
  // Worker index, from 0; -1 for the worker of the spawning coroutine, or round robin in a plain
  // thread.
  std::int64_t worker = detail::spawn_defaults().worker;
};

// Owns the result of a coroutine. Destroying it detaches the coroutine: it neither cancels it nor
// waits. Not thread-safe.
template <typename T>
class [[nodiscard]] Coroutine {
 public:
  Coroutine() = default;

  // Waits until the coroutine has finished. Returns its result, or rethrows its exception; without
  // a join, the exception is logged. Throws an Error if the wait was canceled, or if it was joined
  // before.
  T join() {
    wait(detail::kNever).value();
    return outcome_->take();
  }
  Result<T> join(std::nothrow_t) {
    if (auto waited = wait(detail::kNever); !waited) return waited.error();
    return outcome_->take(std::nothrow);
  }

  // Waits for at most `time`. Returns whether the coroutine has finished.
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(wait_status(detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> wait_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return detail::check(wait_status(detail::nanoseconds(time)));
  }

  // Cancels the coroutine: its waits fail from now on with Status::canceled. Its stack is not
  // unwound.
  void cancel() { cancel(std::nothrow).value(); }
  Result<void> cancel(std::nothrow_t) {
    return detail::check(fastrpc_coroutine_cancel(handle_.get()));
  }

  // Detaches the coroutine, which keeps running.
  void detach() { *this = Coroutine(); }

  [[nodiscard]] bool joinable() const { return handle_ != nullptr; }
  [[nodiscard]] bool is_finished() const { return fastrpc_coroutine_is_finished(handle_.get()); }
  [[nodiscard]] std::uint64_t id() const { return fastrpc_coroutine_id(handle_.get()); }

 private:
  template <typename F>
  friend auto spawn(const SpawnOptions& options, F function, std::nothrow_t);

  fastrpc_status wait_status(std::int64_t timeout) {
    return fastrpc_coroutine_join(handle_.get(), timeout, nullptr);
  }
  Result<void> wait(std::int64_t timeout) {
    detail::ErrorSlot error;
    return error.check(fastrpc_coroutine_join(handle_.get(), timeout, error.out()));
  }

  detail::Handle<fastrpc_coroutine, fastrpc_coroutine_free> handle_;
  std::shared_ptr<detail::Outcome<T>> outcome_;
};

namespace detail {

inline fastrpc_spawn_options to_c(const SpawnOptions& options) {
  fastrpc_spawn_options c = spawn_defaults();
  c.name = options.name.data();
  c.name_size = options.name.size();
  c.stack_size = options.stack_size;
  c.worker = options.worker;
  return c;
}

// Rejects, with a readable message, what spawn() and spawn_detached() cannot run.
template <typename F>
constexpr void check_coroutine_function() {
  static_assert(std::is_invocable_v<F&>,
                "fastrpc::spawn(f): f is called without arguments; let it capture what it needs: "
                "[x] { return work(x); }");
  static_assert(!kReturnsReference<F&>,
                "fastrpc::spawn(f): f returns a value or a pointer, not a reference");
}

}  // namespace detail

// Runs `function()` in a new coroutine. Returns a Coroutine<T> for its result of type T. Never
// suspends.
template <typename F>
auto spawn(const SpawnOptions& options, F function, std::nothrow_t) {
  detail::check_coroutine_function<F>();
  using T = detail::ResultOf<F&>;
  using Shared = std::shared_ptr<detail::Job<F, T>>;
  auto job = std::make_shared<detail::Job<F, T>>("a coroutine", std::move(function));
  Coroutine<T> coroutine;
  coroutine.outcome_ = job;
  auto run = [](void* user) { (*static_cast<Shared*>(user))->run_once(); };
  fastrpc_spawn_options c = detail::to_c(options);
  fastrpc_coroutine* handle = nullptr;
  detail::ErrorSlot error;
  fastrpc_status status = fastrpc_spawn(&c, run, new Shared(std::move(job)),
                                        detail::delete_user<Shared>, &handle, error.out());
  coroutine.handle_.reset(handle);
  if (auto spawned = error.check(status); !spawned) return Result<Coroutine<T>>(spawned.error());
  return Result<Coroutine<T>>(std::move(coroutine));
}
template <typename F>
auto spawn(const SpawnOptions& options, F function) {
  return spawn(options, std::move(function), std::nothrow).value();
}
template <typename F>
auto spawn(F function, std::nothrow_t) {
  return spawn(SpawnOptions{}, std::move(function), std::nothrow);
}
template <typename F>
auto spawn(F function) {
  return spawn(SpawnOptions{}, std::move(function), std::nothrow).value();
}

// Runs `function()` in a new, detached coroutine. An exception that leaves it is logged. Never
// suspends.
template <typename F>
Result<void> spawn_detached(const SpawnOptions& options, F function, std::nothrow_t) {
  detail::check_coroutine_function<F>();
  auto run = [](void* user) { (*static_cast<F*>(user))(); };
  fastrpc_spawn_options c = detail::to_c(options);
  detail::ErrorSlot error;
  return error.check(fastrpc_spawn(&c, run, new F(std::move(function)), detail::delete_user<F>,
                                   nullptr, error.out()));
}
template <typename F>
void spawn_detached(const SpawnOptions& options, F function) {
  spawn_detached(options, std::move(function), std::nothrow).value();
}
template <typename F>
Result<void> spawn_detached(F function, std::nothrow_t) {
  return spawn_detached(SpawnOptions{}, std::move(function), std::nothrow);
}
template <typename F>
void spawn_detached(F function) {
  spawn_detached(SpawnOptions{}, std::move(function), std::nothrow).value();
}

// Yields to the other coroutines of this worker, or, in a plain thread, to other threads.
inline Result<void> yield(std::nothrow_t) {
  return detail::check(fastrpc_yield());
}
inline void yield() {
  yield(std::nothrow).value();
}

// Suspends the coroutine, or blocks the thread, for that time. Fails with Status::canceled if the
// coroutine is canceled.
template <typename Rep, typename Period>
Result<void> sleep_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
  return detail::check(fastrpc_sleep(detail::nanoseconds(time)));
}
template <typename Rep, typename Period>
void sleep_for(std::chrono::duration<Rep, Period> time) {
  sleep_for(time, std::nothrow).value();
}
template <typename Clock, typename Duration>
Result<void> sleep_until(std::chrono::time_point<Clock, Duration> time, std::nothrow_t) {
  while (Clock::now() < time)
    if (auto slept = sleep_for(time - Clock::now(), std::nothrow); !slept) return slept;
  return {};
}
template <typename Clock, typename Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> time) {
  sleep_until(time, std::nothrow).value();
}

namespace this_coroutine {

// Returns whether the caller is a coroutine.
[[nodiscard]] inline bool exists() {
  return fastrpc_is_coroutine();
}

// Returns its id; 0 in a plain thread.
[[nodiscard]] inline std::uint64_t id() {
  return fastrpc_current_id();
}

// Returns its name; empty in a plain thread.
[[nodiscard]] inline std::string name() {
  std::string text(fastrpc_current_name(nullptr, 0), '\0');
  if (!text.empty()) fastrpc_current_name(text.data(), text.size() + 1);
  return text;
}

// Returns the index of its worker, from 0; -1 in a plain thread.
[[nodiscard]] inline std::int64_t worker() {
  return fastrpc_worker_index();
}

}  // namespace this_coroutine

// Coroutine-local storage: one T per coroutine, and per plain thread, created lazily and destroyed
// when the coroutine or thread ends; unlike thread_local, which all coroutines of a worker share.
// For variables with static storage duration:
//
//   static fastrpc::coroutine_local<Session> session;
//   session->user = "ann";
template <typename T>
class coroutine_local {
 public:
  coroutine_local() { detail::check(fastrpc_key_new(detail::delete_user<T>, out())).value(); }
  coroutine_local(const coroutine_local&) = delete;
  coroutine_local& operator=(const coroutine_local&) = delete;
  ~coroutine_local() { fastrpc_key_free(key_); }

  // Access the caller's value, creating it on first use.
  [[nodiscard]] T& operator*() {
    if (T* value = get()) return *value;
    auto value = std::make_unique<T>();
    detail::check(fastrpc_key_set(key_, value.get())).value();
    return *value.release();
  }
  [[nodiscard]] T* operator->() { return &**this; }

  // Returns the caller's value, or NULL if there is none yet.
  [[nodiscard]] T* get() const { return static_cast<T*>(fastrpc_key_get(key_)); }

 private:
  fastrpc_key** out() { return &key_; }

  fastrpc_key* key_ = nullptr;
};

}  // namespace fastrpc
