// Coroutines: plain blocking code, a real stack each, bound to one thread for life.
//
//   auto c = fastrpc::spawn([] { return answer(); });
//   int n = c.join();
#pragma once

#include <fastrpc/detail/outcome.hpp>
#include <fastrpc/runtime.hpp>

#include <memory>

namespace fastrpc {

struct SpawnOptions {
  // For messages.
  std::string_view name = {};
  // Bytes; 0 takes the runtime's default.
  std::size_t stack_size = 0;
  // From 0; -1 takes the spawning coroutine's own, or, in a thread, one after the other.
  std::int64_t worker = -1;
};

// A coroutine that gives a T. Destroying it does not end the coroutine: see detach(). One thread at
// a time.
template <typename T>
class [[nodiscard]] Coroutine {
 public:
  Coroutine() = default;

  // Waits for the end. Gives the result, or rethrows the exception that left the function; if
  // nobody joins, that is logged. Throws an Error if the wait was cancelled, or if it was joined
  // before.
  T join() {
    wait(detail::kNever).value();
    return outcome_->take();
  }
  Result<T> join(std::nothrow_t) {
    if (auto waited = wait(detail::kNever); !waited) return waited.error();
    return outcome_->take(std::nothrow);
  }

  // Waits for the end, but no longer than that. Whether it has ended.
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(wait_status(detail::nanoseconds(time)));
  }

  // Makes its waits fail from now on, with FASTRPC_ECANCELED. Nothing is unwound.
  void cancel() { detail::check(fastrpc_coroutine_cancel(handle_.get())).value(); }

  // Lets it run on with nobody to join it.
  void detach() { *this = Coroutine(); }

  [[nodiscard]] bool joinable() const { return handle_ != nullptr; }
  [[nodiscard]] bool is_finished() const { return fastrpc_coroutine_is_finished(handle_.get()); }
  [[nodiscard]] std::uint64_t id() const { return fastrpc_coroutine_id(handle_.get()); }

 private:
  template <typename F>
  friend auto spawn(const SpawnOptions& options, F function, std::nothrow_t)
      -> Result<Coroutine<std::invoke_result_t<F&>>>;

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
  fastrpc_spawn_options c;
  fastrpc_spawn_options_init(&c, sizeof c);
  c.name = options.name.data();
  c.name_size = options.name.size();
  c.stack_size = options.stack_size;
  c.worker = options.worker;
  return c;
}

}  // namespace detail

// Runs `function()` in a new coroutine.
template <typename F>
auto spawn(const SpawnOptions& options, F function, std::nothrow_t)
    -> Result<Coroutine<std::invoke_result_t<F&>>> {
  using T = std::invoke_result_t<F&>;
  static_assert(!std::is_reference_v<T>, "return a value or a pointer");
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
  if (auto spawned = error.check(status); !spawned) return spawned.error();
  return coroutine;
}
template <typename F>
auto spawn(const SpawnOptions& options, F function) {
  return spawn(options, std::move(function), std::nothrow).value();
}
template <typename F>
auto spawn(F function) {
  return spawn(SpawnOptions{}, std::move(function));
}

// Runs `function()` in a new coroutine that nobody joins. An exception that leaves it is logged.
template <typename F>
Result<void> spawn_detached(const SpawnOptions& options, F function, std::nothrow_t) {
  auto run = [](void* user) { (*static_cast<F*>(user))(); };
  fastrpc_spawn_options c = detail::to_c(options);
  detail::ErrorSlot error;
  return error.check(fastrpc_spawn(&c, run, new F(std::move(function)), detail::delete_user<F>,
                                   nullptr, error.out()));
}
template <typename F>
void spawn_detached(F function) {
  spawn_detached(SpawnOptions{}, std::move(function), std::nothrow).value();
}

// Lets the other coroutines of this worker run.
inline void yield() {
  detail::check(fastrpc_yield()).value();
}

// Suspends the coroutine, or blocks the thread. Throws an Error if the coroutine is cancelled.
template <typename Rep, typename Period>
Result<void> sleep_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
  return detail::check(fastrpc_sleep(detail::nanoseconds(time)));
}
template <typename Rep, typename Period>
void sleep_for(std::chrono::duration<Rep, Period> time) {
  sleep_for(time, std::nothrow).value();
}
template <typename Clock, typename Duration>
void sleep_until(std::chrono::time_point<Clock, Duration> time) {
  while (Clock::now() < time) sleep_for(time - Clock::now());
}

namespace this_coroutine {

// Whether the caller is a coroutine.
[[nodiscard]] inline bool exists() {
  return fastrpc_is_coroutine();
}

// Its number; 0 in a plain thread.
[[nodiscard]] inline std::uint64_t id() {
  return fastrpc_current_id();
}

// Its name; empty in a plain thread.
[[nodiscard]] inline std::string name() {
  std::string text(fastrpc_current_name(nullptr, 0), '\0');
  if (!text.empty()) fastrpc_current_name(text.data(), text.size() + 1);
  return text;
}

// The number of its worker, from 0; -1 in a plain thread.
[[nodiscard]] inline std::int64_t worker() {
  return fastrpc_worker_index();
}

}  // namespace this_coroutine

// One T per coroutine, and per thread outside of coroutines, made at its first use and destroyed
// when its coroutine ends. For variables that live as long as the program: `static local<T> x;`.
// (A thread_local variable is shared by all coroutines of a worker.)
template <typename T>
class local {
 public:
  local() { detail::check(fastrpc_key_new(detail::delete_user<T>, out())).value(); }
  local(const local&) = delete;
  local& operator=(const local&) = delete;
  ~local() { fastrpc_key_free(key_); }

  [[nodiscard]] T& operator*() {
    if (T* value = get()) return *value;
    auto value = std::make_unique<T>();
    detail::check(fastrpc_key_set(key_, value.get())).value();
    return *value.release();
  }
  [[nodiscard]] T* operator->() { return &**this; }

  // The caller's, if it is there already.
  [[nodiscard]] T* get() const { return static_cast<T*>(fastrpc_key_get(key_)); }

 private:
  fastrpc_key** out() { return &key_; }

  fastrpc_key* key_ = nullptr;
};

// The original's spelling: runs `work`, a callable or a pointer to a Closure (whose Run() is
// called), in a new coroutine and gives true; or, in a coroutine, runs it right here and gives
// false.
template <typename Work>
bool ProcessWithNewCro(Work work) {
  auto run = [work = std::move(work)]() mutable {
    if constexpr (std::is_invocable_v<Work&>) {
      work();
    } else {
      work->Run();
    }
  };
  if (this_coroutine::exists()) return run(), false;
  return spawn_detached(std::move(run)), true;
}

}  // namespace fastrpc
