// The thread pool of the original (2016).
//
//   fastrpc::TPMgr pool(4);
//   int n = pool.TPRun(&slow_and_blocking, text);
//   pool.TPAsynRun(this, &Service::Write, record);
//
// New code uses fastrpc/thread_pool.hpp.
#pragma once

#include <fastrpc/thread_pool.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fastrpc {

namespace detail {

// Whether the arguments are an object, or a pointer to one, a method of it, and its arguments.
template <typename Object = void, typename Method = void, typename... Args>
constexpr bool kIsMethodCall = std::is_invocable_v<Method, Object, Args...>;

template <typename First, typename... Rest>
constexpr bool kIsCall = std::is_invocable_v<First, Rest...> || kIsMethodCall<First, Rest...>;

template <typename Object, typename Method, typename... Args>
auto call_method(Object&& object, Method&& method, Args&&... args) {
  return std::invoke(std::forward<Method>(method), std::forward<Object>(object),
                     std::forward<Args>(args)...);
}

// Calls the job passed to TPRun(): a function with arguments, an object with a method and
// arguments, or a pointer to a Closure.
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

// Calls a job with its stored arguments, once: as lvalues for functions that take references, or
// moved for those that take move-only types.
template <typename... Stored>
void call_stored(Stored&... stored) {
  if constexpr (kIsCall<Stored&...> || sizeof...(Stored) == 1) {
    call_job(stored...);
  } else {
    call_job(std::move(stored)...);
  }
}

}  // namespace detail

// Runs jobs on threads with ordinary stacks. A job is a function with its arguments, an object with
// a method and its arguments, or a pointer to a Closure, which is run. Any thread and any coroutine
// may use it.
class TPMgr {
 public:
  // `n`: maximum number of concurrent jobs, at least 1.
  explicit TPMgr(int n) : pool_(static_cast<std::size_t>(n > 0 ? n : 0)) {}

  // Runs a job and waits until it has finished, as ThreadPool::run() does.
  template <typename... Args>
  auto TPRun(Args&&... args) {
    return pool_.run([&] { return detail::call_job(std::forward<Args>(args)...); });
  }
  template <typename... Args>
  auto AddJob(Args&&... args) {
    return TPRun(std::forward<Args>(args)...);
  }

  // Queues a job, as ThreadPool::post() does, with copies of the arguments.
  template <typename... Args>
  void TPAsynRun(Args&&... args) {
    pool_.post([stored = std::tuple<std::decay_t<Args>...>(std::forward<Args>(args)...)]() mutable {
      std::apply([](auto&... each) { detail::call_stored(each...); }, stored);
    });
  }
  template <typename... Args>
  void AsynAddJob(Args&&... args) {
    TPAsynRun(std::forward<Args>(args)...);
  }

  // Returns the underlying ThreadPool.
  [[nodiscard]] ThreadPool& pool() { return pool_; }

 private:
  ThreadPool pool_;
};

}  // namespace fastrpc
