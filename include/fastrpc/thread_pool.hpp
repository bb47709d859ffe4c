// A pool of threads with ordinary stacks, for what must not block a worker.
//
//   fastrpc::ThreadPool pool(4);
//   int n = pool.run([&] { return slow_and_blocking(text); });  // waits; may refer to locals
//   fastrpc::JobHandle<int> job = pool.submit([text] { return slow_and_blocking(text); });
//   pool.post([record] { write(record); });                     // fire and forget
//   n += job.get();
//
// A job that waits by means of this library (calls, sleep, locks, queues, joins), or in
// fastrpc::blocking(), lets another job run meanwhile. Any thread and any coroutine may use a pool;
// run(), get() and shutdown() wait: they suspend the coroutine, or block the thread.
#pragma once

#include <fastrpc/detail/job_state.hpp>
#include <fastrpc/detail/outcome.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <type_traits>
#include <utility>

namespace fastrpc {

namespace detail {
inline const fastrpc_pool_options& pool_defaults() {
  return defaults<fastrpc_pool_options, fastrpc_pool_options_init>();
}
}  // namespace detail

// How a pool is made. The defaults are those of the C ABI's fastrpc_pool_options.
struct ThreadPoolOptions {
  // Jobs that run at a time; that many threads stay when there is nothing to do. By default as many
  // as there are processors.
  std::size_t threads = detail::pool_defaults().threads;
  // Threads there may be beyond that while jobs wait.
  std::size_t extra_threads = detail::pool_defaults().extra_threads;
  // Jobs that may wait for their turn.
  std::size_t queue_size = detail::pool_defaults().queue_size;
  // Bytes of stack of a thread; virtual memory, used as it is touched.
  std::size_t stack_size = detail::pool_defaults().stack_size;
  // A thread beyond `threads` ends after that time without work; below 0 never.
  std::chrono::nanoseconds idle_timeout = detail::from_c(detail::pool_defaults().idle_timeout);
  // What the names of the threads begin with.
  std::string_view name = {detail::pool_defaults().name, detail::pool_defaults().name_size};
};

// What a pool does, and has done.
struct ThreadPoolStats {
  // Threads there are: those that run a job that does not wait, those whose job waits, and those
  // that have nothing to do.
  std::size_t threads;
  std::size_t running;
  std::size_t blocked;
  std::size_t idle;
  // The most threads there ever were at a time.
  std::size_t peak_threads;
  // Jobs that have not begun.
  std::size_t waiting;
  // Jobs that have ended.
  std::uint64_t finished;
};

// Owns the result of a job that was submitted. Destroying it neither ends the job nor waits. Moves,
// does not copy; not thread-safe.
template <typename T>
class [[nodiscard]] JobHandle {
 public:
  // None: valid() is false.
  JobHandle() = default;
  JobHandle(JobHandle&&) noexcept = default;
  JobHandle& operator=(JobHandle&&) noexcept = default;

  // Waits for the end of the job. Returns its result, or rethrows the exception that left it; once:
  // valid() is false afterwards. Throws an Error if the wait was canceled (it may be repeated), or
  // if the pool was shut down before the job began: Status::closed.
  T get() {
    wait_in(detail::kNever).value();
    return std::exchange(state_, nullptr)->take();
  }
  Result<T> get(std::nothrow_t) {
    if (auto waited = wait_in(detail::kNever); !waited) return waited.error();
    return std::exchange(state_, nullptr)->take(std::nothrow);
  }

  // Waits for the end of the job, but no longer than that. Returns whether it has ended.
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> time) {
    auto waited = wait_for(time, std::nothrow);
    if (!waited && (waited.error().is_timeout() || waited.error().is_would_block())) return false;
    waited.value();
    return true;
  }
  template <typename Rep, typename Period>
  Result<void> wait_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return wait_in(detail::nanoseconds(time));
  }

  // Returns whether there is a result to get.
  [[nodiscard]] bool valid() const { return state_ != nullptr; }

 private:
  friend class ThreadPool;

  explicit JobHandle(std::shared_ptr<detail::JobState<T>> state) : state_(std::move(state)) {}

  Result<void> wait_in(std::int64_t timeout) {
    if (state_ == nullptr) return Error(Status::bad_state, "the job's handle is empty");
    return state_->wait(timeout);
  }

  std::shared_ptr<detail::JobState<T>> state_;
};

// Runs jobs on threads with ordinary stacks. Any thread and any coroutine may use it. Destroying it
// waits until all jobs have ended, except in one of its own jobs, or after a shutdown_for() that
// returned false: the threads then end by themselves.
class ThreadPool {
 public:
  explicit ThreadPool(std::size_t threads) : ThreadPool(with(threads)) {}
  explicit ThreadPool(const ThreadPoolOptions& options = {})
      : ThreadPool(make(options, std::nothrow).value()) {}
  static Result<ThreadPool> make(const ThreadPoolOptions& options, std::nothrow_t) {
    fastrpc_pool_options c = to_c(options);
    fastrpc_pool* pool = nullptr;
    detail::ErrorSlot error;
    fastrpc_status status = fastrpc_pool_new(&c, &pool, error.out());
    if (auto made = error.check(status); !made) return made.error();
    return ThreadPool(pool);
  }

  // Runs `function()` on a thread of the pool and waits for its end. Returns its result, or
  // rethrows its exception, which is logged as LogLevel::info. The function may refer to what is
  // the caller's: once it has begun, this waits for its end, even in a canceled coroutine. In a job
  // of this pool, calls it right here. Throws an Error if it did not run.
  template <typename F>
  auto run(F&& function) {
    check_job<F>();
    detail::Outcome<detail::ResultOf<F&>> outcome(kJob);
    run_into(outcome, function).value();
    return outcome.take();
  }
  template <typename F>
  auto run(F&& function, std::nothrow_t) {
    check_job<F>();
    using T = detail::ResultOf<F&>;
    detail::Outcome<T> outcome(kJob);
    if (auto ran = run_into(outcome, function); !ran) return Result<T>(ran.error());
    return outcome.take(std::nothrow);
  }

  // Runs it and waits no longer than that. A function that has not begun then never will; one that
  // has goes on: it must not refer to what may be gone, and an exception is logged. Throws an
  // Error, is_timeout(), after the time.
  template <typename Rep, typename Period, typename F>
  auto run_for(std::chrono::duration<Rep, Period> time, F function) {
    auto job = make_job(std::move(function));
    start_and_wait(job, detail::nanoseconds(time)).value();
    return job->take();
  }
  template <typename Rep, typename Period, typename F>
  auto run_for(std::chrono::duration<Rep, Period> time, F function, std::nothrow_t) {
    auto job = make_job(std::move(function));
    using T = detail::ResultOf<F&>;
    if (auto ran = start_and_wait(job, detail::nanoseconds(time)); !ran)
      return Result<T>(ran.error());
    return job->take(std::nothrow);
  }

  // Runs `function()` on a thread of the pool, later. Returns a JobHandle<T> for its result, a T;
  // an exception that leaves it travels to get(), and is logged if nobody gets it. Does not wait;
  // fails with Status::limit if too many jobs wait already.
  template <typename F>
  auto submit(F function) {
    return submit(std::move(function), std::nothrow).value();
  }
  template <typename F>
  auto submit(F function, std::nothrow_t) {
    check_job<F>();
    using T = detail::ResultOf<F&>;
    using Job = detail::SubmittedJob<F, T>;
    using Owner = typename Job::Owner;
    auto unended = WaitGroup::make(1, std::nothrow);
    if (!unended) return Result<JobHandle<T>>(unended.error());
    auto job = std::make_shared<Job>(kJob, std::move(function), std::move(*unended));
    JobHandle<T> handle(job);
    auto run = [](void* user) { static_cast<Owner*>(user)->run(); };
    auto posted = post(run, new Owner(std::move(job)), detail::delete_user<Owner>);
    if (!posted) return Result<JobHandle<T>>(posted.error());
    return Result<JobHandle<T>>(std::move(handle));
  }

  // Runs `function()` on a thread of the pool, later, for nobody: an exception that leaves it is
  // logged. Does not wait; fails with Status::limit if too many jobs wait already.
  template <typename F>
  void post(F function) {
    post(std::move(function), std::nothrow).value();
  }
  template <typename F>
  Result<void> post(F function, std::nothrow_t) {
    check_job<F>();
    auto run = [](void* user) { (*static_cast<F*>(user))(); };
    return post(run, new F(std::move(function)), detail::delete_user<F>);
  }

  // Lets no more jobs in, and waits until all have ended. Fails with Status::busy in a job of this
  // pool.
  void shutdown() { shutdown(std::nothrow).value(); }
  Result<void> shutdown(std::nothrow_t) { return shutdown_in(detail::kNever); }
  // Waits no longer than that; jobs that have not begun then are dropped. Returns whether all have
  // ended.
  template <typename Rep, typename Period>
  [[nodiscard]] bool shutdown_for(std::chrono::duration<Rep, Period> time) {
    auto ended = shutdown_for(time, std::nothrow);
    if (!ended && ended.error().is_timeout()) return false;
    ended.value();
    return true;
  }
  template <typename Rep, typename Period>
  Result<void> shutdown_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return shutdown_in(detail::nanoseconds(time));
  }

  // Returns what it does at this moment, and has done.
  [[nodiscard]] ThreadPoolStats stats() const {
    fastrpc_pool_stats c;
    c.size = sizeof c;
    detail::check(fastrpc_pool_stats_get(handle_.get(), &c)).value();
    return {c.threads, c.running, c.blocked, c.idle, c.peak_threads, c.waiting, c.finished};
  }

 private:
  static constexpr const char* kJob = "a job of a thread pool";

  explicit ThreadPool(fastrpc_pool* handle) : handle_(handle) {}

  static ThreadPoolOptions with(std::size_t threads) {
    ThreadPoolOptions options;
    options.threads = threads;
    return options;
  }

  static fastrpc_pool_options to_c(const ThreadPoolOptions& options) {
    fastrpc_pool_options c = detail::pool_defaults();
    c.threads = options.threads;
    c.extra_threads = options.extra_threads;
    c.queue_size = options.queue_size;
    c.stack_size = options.stack_size;
    c.idle_timeout = detail::to_c(options.idle_timeout);
    c.name = options.name.data();
    c.name_size = options.name.size();
    return c;
  }

  // Says what a pool wants, where it gets something else.
  template <typename F>
  static constexpr void check_job() {
    static_assert(std::is_invocable_v<F&>,
                  "fastrpc::ThreadPool::run(f), submit(f), post(f): f is called without arguments; "
                  "let it capture what it needs: [x] { return work(x); }");
    static_assert(!detail::kReturnsReference<F&>,
                  "fastrpc::ThreadPool: a job returns a value or a pointer, not a reference");
  }

  template <typename T, typename F>
  Result<void> run_into(detail::Outcome<T>& outcome, F& function) {
    auto job = [&] { outcome.run(function); };
    auto run = [](void* user) { (*static_cast<decltype(job)*>(user))(); };
    detail::ErrorSlot error;
    return error.check(
        fastrpc_pool_run(handle_.get(), run, &job, nullptr, detail::kNever, error.out()));
  }

  template <typename F>
  static auto make_job(F function) {
    check_job<F>();
    return std::make_shared<detail::Job<F, detail::ResultOf<F&>>>(kJob, std::move(function));
  }

  template <typename Job>
  Result<void> start_and_wait(const std::shared_ptr<Job>& job, std::int64_t timeout) {
    using Shared = std::shared_ptr<Job>;
    auto run = [](void* user) { (*static_cast<Shared*>(user))->run_once(); };
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_run(handle_.get(), run, new Shared(job),
                                        detail::delete_user<Shared>, timeout, error.out()));
  }

  Result<void> post(fastrpc_function run, void* user, fastrpc_drop drop) {
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_post(handle_.get(), run, user, drop, error.out()));
  }

  Result<void> shutdown_in(std::int64_t timeout) {
    detail::ErrorSlot error;
    return error.check(fastrpc_pool_shutdown(handle_.get(), timeout, error.out()));
  }

  detail::Handle<fastrpc_pool, fastrpc_pool_free> handle_;
};

namespace detail {

template <typename T, typename F>
Result<void> call_blocking(Outcome<T>& outcome, F& function) {
  auto call = [&] { outcome.run(function); };
  auto run = [](void* user) { (*static_cast<decltype(call)*>(user))(); };
  ErrorSlot error;
  return error.check(fastrpc_blocking(run, &call, error.out()));
}

}  // namespace detail

// Calls `function()`, which is about to block by means that this library does not see, right here:
// in a job of a pool, another job may run meanwhile. In a coroutine it blocks the worker: use
// ThreadPool::run() there.
template <typename F>
auto blocking(F&& function, std::nothrow_t) {
  static_assert(std::is_invocable_v<F&>,
                "fastrpc::blocking(f): f is called without arguments: [&] { return read(x); }");
  using T = detail::ResultOf<F&>;
  static_assert(!detail::kReturnsReference<F&>,
                "fastrpc::blocking(f): f returns a value or a pointer, not a reference");
  detail::Outcome<T> outcome("a blocking call");
  if (auto called = detail::call_blocking(outcome, function); !called)
    return Result<T>(called.error());
  return outcome.take(std::nothrow);
}
template <typename F>
auto blocking(F&& function) {
  static_assert(std::is_invocable_v<F&>,
                "fastrpc::blocking(f): f is called without arguments: [&] { return read(x); }");
  using T = detail::ResultOf<F&>;
  static_assert(!detail::kReturnsReference<F&>,
                "fastrpc::blocking(f): f returns a value or a pointer, not a reference");
  detail::Outcome<T> outcome("a blocking call");
  detail::call_blocking(outcome, function).value();
  return outcome.take();
}

}  // namespace fastrpc
