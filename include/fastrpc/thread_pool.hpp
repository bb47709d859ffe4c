// A pool of threads with ordinary stacks, for what must not block a worker.
//
//   fastrpc::thread_pool pool(4);
//   int n = pool.run([&] { return slow_and_blocking(text); });
//
// A job that waits by means of this library (calls, sleep, locks, queues, joins), or in
// fastrpc::blocking(), lets another job run meanwhile.
#pragma once

#include <fastrpc/detail/outcome.hpp>

#include <functional>
#include <string_view>
#include <tuple>

namespace fastrpc {

struct ThreadPoolOptions {
  // Jobs that run at a time; that many threads stay when there is nothing to do. 0: as many as
  // there are processors.
  std::size_t threads = 0;
  // Threads there may be beyond that while jobs wait.
  std::size_t extra_threads = 128;
  // Jobs that may wait for their turn.
  std::size_t queue_size = 10000;
  // Bytes of stack of a thread; virtual memory, used as it is touched.
  std::size_t stack_size = 8 * 1024 * 1024;
  // Without work for so long, a thread beyond `threads` ends.
  std::chrono::nanoseconds idle_timeout = std::chrono::seconds(10);
  // What the names of the threads begin with.
  std::string_view name = "pool";
};

// Any thread and any coroutine may use it. Destroying it waits until all jobs have ended, except in
// one of its own jobs, or after a shutdown_for() that gave false: the threads then end by
// themselves.
class thread_pool {
 public:
  explicit thread_pool(std::size_t threads) : thread_pool(with(threads)) {}
  explicit thread_pool(const ThreadPoolOptions& options)
      : thread_pool(make(options, std::nothrow).value()) {}
  static Result<thread_pool> make(const ThreadPoolOptions& options, std::nothrow_t) {
    fastrpc_pool_options c = to_c(options);
    fastrpc_pool* pool = nullptr;
    detail::ErrorSlot error;
    fastrpc_status status = fastrpc_pool_new(&c, &pool, error.out());
    if (auto made = error.check(status); !made) return made.error();
    return thread_pool(pool);
  }

  // Runs `function()` on a thread of the pool and gives its result, or rethrows its exception, of
  // which there is a record of level INFO. The function may refer to what is the caller's: once it
  // has begun, this waits for its end, even in a cancelled coroutine. In a job of this pool, calls
  // it right here. May suspend; throws an Error if it did not run.
  template <typename F>
  auto run(F&& function) -> std::invoke_result_t<F&> {
    detail::Outcome<std::invoke_result_t<F&>> outcome(kJob);
    run_into(outcome, function).value();
    return outcome.take();
  }
  template <typename F>
  auto run(F&& function, std::nothrow_t) -> Result<std::invoke_result_t<F&>> {
    detail::Outcome<std::invoke_result_t<F&>> outcome(kJob);
    if (auto ran = run_into(outcome, function); !ran) return ran.error();
    return outcome.take(std::nothrow);
  }

  // The same, for no longer than that. A function that has not begun then never will; one that has
  // goes on: it must not refer to what may be gone, and an exception is logged. Throws an Error
  // after the time.
  template <typename Rep, typename Period, typename F>
  auto run_for(std::chrono::duration<Rep, Period> time, F function) -> std::invoke_result_t<F&> {
    auto job = make_job(std::move(function));
    start_and_wait(job, detail::nanoseconds(time)).value();
    return job->take();
  }
  template <typename Rep, typename Period, typename F>
  auto run_for(std::chrono::duration<Rep, Period> time, F function, std::nothrow_t)
      -> Result<std::invoke_result_t<F&>> {
    auto job = make_job(std::move(function));
    if (auto ran = start_and_wait(job, detail::nanoseconds(time)); !ran) return ran.error();
    return job->take(std::nothrow);
  }

  // Runs `function()` on a thread of the pool, later. An exception that leaves it is logged. Does
  // not wait; throws an Error if too many jobs wait.
  template <typename F>
  void async(F function) {
    async(std::move(function), std::nothrow).value();
  }
  template <typename F>
  Result<void> async(F function, std::nothrow_t) {
    auto run = [](void* user) { (*static_cast<F*>(user))(); };
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_post(handle_.get(), run, new F(std::move(function)),
                                         detail::delete_user<F>, error.out()));
  }

  // Lets no more jobs in, and waits until all have ended. Throws an Error in a job of this pool.
  void shutdown() { shutdown(std::nothrow).value(); }
  Result<void> shutdown(std::nothrow_t) {
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_shutdown(handle_.get(), detail::kNever, error.out()));
  }
  // The same for no longer than that; jobs that have not begun then are dropped. Whether all have
  // ended.
  template <typename Rep, typename Period>
  [[nodiscard]] bool shutdown_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(
        fastrpc_pool_shutdown(handle_.get(), detail::nanoseconds(time), nullptr));
  }

  // What it does at this moment, and has done.
  [[nodiscard]] fastrpc_pool_stats stats() const {
    fastrpc_pool_stats c;
    c.size = sizeof c;
    detail::check(fastrpc_pool_stats_get(handle_.get(), &c)).value();
    return c;
  }

 private:
  static constexpr const char* kJob = "a job of a thread pool";

  explicit thread_pool(fastrpc_pool* handle) : handle_(handle) {}

  static ThreadPoolOptions with(std::size_t threads) {
    if (threads == 0) detail::raise({FASTRPC_EINVAL, FASTRPC_EINVAL, "a pool without threads"});
    ThreadPoolOptions options;
    options.threads = threads;
    return options;
  }

  static fastrpc_pool_options to_c(const ThreadPoolOptions& options) {
    fastrpc_pool_options c;
    fastrpc_pool_options_init(&c, sizeof c);
    if (options.threads != 0) c.threads = options.threads;
    c.extra_threads = options.extra_threads;
    c.queue_size = options.queue_size;
    c.stack_size = options.stack_size;
    c.idle_timeout = detail::nanoseconds(options.idle_timeout);
    c.name = options.name.data();
    c.name_size = options.name.size();
    return c;
  }

  template <typename T, typename F>
  Result<void> run_into(detail::Outcome<T>& outcome, F& function) {
    static_assert(!std::is_reference_v<T>, "return a value or a pointer");
    auto job = [&] { outcome.run(function); };
    auto run = [](void* user) { (*static_cast<decltype(job)*>(user))(); };
    detail::ErrorSlot error;
    return error.check(
        fastrpc_pool_run(handle_.get(), run, &job, nullptr, detail::kNever, error.out()));
  }

  template <typename F>
  static auto make_job(F function) {
    using T = std::invoke_result_t<F&>;
    static_assert(!std::is_reference_v<T>, "return a value or a pointer");
    return std::make_shared<detail::Job<F, T>>(kJob, std::move(function));
  }

  template <typename Job>
  Result<void> start_and_wait(const std::shared_ptr<Job>& job, std::int64_t timeout) {
    using Shared = std::shared_ptr<Job>;
    auto run = [](void* user) { (*static_cast<Shared*>(user))->run_once(); };
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_run(handle_.get(), run, new Shared(job),
                                        detail::delete_user<Shared>, timeout, error.out()));
  }

  detail::Handle<fastrpc_pool, fastrpc_pool_free> handle_;
};

// Calls `function()`, which is about to block by means that this library does not see, right here:
// in a job of a pool, another job may run meanwhile. In a coroutine it blocks the worker: use
// thread_pool::run() there.
template <typename F>
auto blocking(F&& function) -> std::invoke_result_t<F&> {
  using T = std::invoke_result_t<F&>;
  static_assert(!std::is_reference_v<T>, "return a value or a pointer");
  detail::Outcome<T> outcome("a blocking call");
  auto call = [&] { outcome.run(function); };
  auto run = [](void* user) { (*static_cast<decltype(call)*>(user))(); };
  detail::ErrorSlot error;
  error.check(fastrpc_blocking(run, &call, error.out())).value();
  return outcome.take();
}

namespace detail {

// Whether it is an object, or a pointer to one, and a method of it with arguments.
template <typename Object = void, typename Method = void, typename... Args>
constexpr bool kIsMethodCall = std::is_invocable_v<Method, Object, Args...>;

template <typename First, typename... Rest>
constexpr bool kIsCall = std::is_invocable_v<First, Rest...> || kIsMethodCall<First, Rest...>;

template <typename Object, typename Method, typename... Args>
auto call_method(Object&& object, Method&& method, Args&&... args) {
  return std::invoke(std::forward<Method>(method), std::forward<Object>(object),
                     std::forward<Args>(args)...);
}

// Calls what TPRun() was given: a function with arguments, an object with a method and arguments,
// or a pointer to a Closure.
template <typename First, typename... Rest>
auto call_job(First&& first, Rest&&... rest) {
  if constexpr (std::is_invocable_v<First, Rest...>) {
    return std::invoke(std::forward<First>(first), std::forward<Rest>(rest)...);
  } else if constexpr (kIsMethodCall<First, Rest...>) {
    return call_method(std::forward<First>(first), std::forward<Rest>(rest)...);
  } else {
    static_assert(sizeof...(Rest) == 0, "a function and its arguments, or obj, &T::method, ...");
    return first->Run();
  }
}

// The same with what was kept for the one call: for functions that take references, and for those
// that take what only moves.
template <typename... Stored>
void call_stored(Stored&... stored) {
  if constexpr (kIsCall<Stored&...> || sizeof...(Stored) == 1) {
    call_job(stored...);
  } else {
    call_job(std::move(stored)...);
  }
}

}  // namespace detail

// The original's thread pool. A job is a function with its arguments, an object with a method and
// its arguments, or a pointer to a Closure, which is run.
class TPMgr {
 public:
  // `n`: jobs that run at a time, at least 1.
  explicit TPMgr(int n) : pool_(static_cast<std::size_t>(n > 0 ? n : 0)) {}

  // As thread_pool::run().
  template <typename... Args>
  auto TPRun(Args&&... args) {
    return pool_.run([&] { return detail::call_job(std::forward<Args>(args)...); });
  }
  template <typename... Args>
  auto AddJob(Args&&... args) {
    return TPRun(std::forward<Args>(args)...);
  }

  // As thread_pool::async(), with copies of the arguments.
  template <typename... Args>
  void TPAsynRun(Args&&... args) {
    pool_.async(
        [stored = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable {
          std::apply([](auto&... each) { detail::call_stored(each...); }, stored);
        });
  }
  template <typename... Args>
  void AsynAddJob(Args&&... args) {
    TPAsynRun(std::forward<Args>(args)...);
  }

  // Today's spelling of it.
  [[nodiscard]] thread_pool& pool() { return pool_; }

 private:
  thread_pool pool_;
};

}  // namespace fastrpc
