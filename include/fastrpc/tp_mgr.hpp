// The thread pool of 2016.
//
//   fastrpc::TPMgr pool(4);
//   int n = pool.TPRun(&slow_and_blocking, text);
//   pool.TPAsynRun(this, &Service::Write, record);
//
// Today's is in fastrpc/thread_pool.hpp.
#pragma once

#include <fastrpc/thread_pool.hpp>

#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fastrpc {

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

// Runs jobs on threads with ordinary stacks. A job is a function with its arguments, an object with
// a method and its arguments, or a pointer to a Closure, which is run. Any thread and any coroutine
// may use it.
class TPMgr {
 public:
  // `n`: jobs that run at a time, at least 1.
  explicit TPMgr(int n) : pool_(static_cast<std::size_t>(n > 0 ? n : 0)) {}

  // Runs a job and waits for its end, as ThreadPool::run().
  template <typename... Args>
  auto TPRun(Args&&... args) {
    return pool_.run([&] { return detail::call_job(std::forward<Args>(args)...); });
  }
  template <typename... Args>
  auto AddJob(Args&&... args) {
    return TPRun(std::forward<Args>(args)...);
  }

  // Runs a job later, as ThreadPool::post(), with copies of the arguments.
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

  // Returns the pool in today's spelling.
  [[nodiscard]] ThreadPool& pool() { return pool_; }

 private:
  ThreadPool pool_;
};

}  // namespace fastrpc
