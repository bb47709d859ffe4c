// The closures of the original (2016): a function or method with some of its arguments, and
// coroutines that run them.
//
//   Closure<void, int>* closure = NewClosure(this, &Server::Add, 1);  // void Add(int, int)
//   closure->Run(2);
//   AsynRun(&work, 7);  // in a new coroutine
//
// New code uses lambdas: see fastrpc/coroutine.hpp.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/detail/bind.hpp>

#include <memory>
#include <utility>

namespace fastrpc {

// A callable with some arguments bound. The holder of the pointer owns it: run it, which frees one
// made by NewClosure(), or delete it. Not thread-safe.
template <typename R, typename... Args>
class Closure {
 public:
  // Deletes a self-deleting closure at the end of a scope.
  class AutoDeleter {
   public:
    explicit AutoDeleter(Closure* closure) : closure_(closure) {}
    AutoDeleter(const AutoDeleter&) = delete;
    AutoDeleter& operator=(const AutoDeleter&) = delete;
    ~AutoDeleter() {
      if (closure_ != nullptr && closure_->IsSelfDelete()) delete closure_;
    }

   private:
    Closure* closure_;
  };

  Closure() = default;
  Closure(const Closure&) = delete;
  Closure& operator=(const Closure&) = delete;
  virtual ~Closure() = default;

  // Calls the function. A closure made by NewClosure() is freed afterwards, even if it throws.
  virtual R Run(Args... arguments) = 0;
  // Returns whether Run() frees the closure.
  [[nodiscard]] virtual bool IsSelfDelete() const = 0;
};

namespace detail {

template <bool SelfDelete, typename R, typename F, typename Bound, typename Kept, typename... Free>
class BoundClosure;

template <bool SelfDelete, typename R, typename F, typename... Bound, typename... Kept,
          typename... Free>
class BoundClosure<SelfDelete, R, F, Types<Bound...>, Types<Kept...>, Free...> final
    : public Closure<R, Free...> {
 public:
  template <typename... Given>
  explicit BoundClosure(F function, Given&&... given)
      : function_(std::move(function)), kept_(std::forward<Given>(given)...) {}

  R Run(Free... free) override {
    typename Closure<R, Free...>::AutoDeleter deleter(this);
    return std::apply(
        [&](auto&... kept) -> R {
          return std::invoke(function_, hand_on<SelfDelete, Bound>(kept)...,
                             std::forward<Free>(free)...);
        },
        kept_);
  }
  bool IsSelfDelete() const override { return SelfDelete; }

 private:
  F function_;
  std::tuple<Kept...> kept_;
};

template <bool SelfDelete, typename Callable, std::size_t... B, std::size_t... Rest, typename F,
          typename... Given>
auto make_closure(std::index_sequence<B...>, std::index_sequence<Rest...>, F function,
                  Given&&... given) {
  using R = typename Callable::Result;
  using Made =
      BoundClosure<SelfDelete, R, F, Types<typename Callable::template Parameter<B>...>,
                   Types<typename Kept<typename Callable::template Parameter<B>, Given>::Type...>,
                   typename Callable::template Parameter<sizeof...(B) + Rest>...>;
  Closure<R, typename Callable::template Parameter<sizeof...(B) + Rest>...>* closure =
      new Made(std::move(function), std::forward<Given>(given)...);
  return closure;
}

template <bool SelfDelete, typename Callable, typename F, typename... Given>
auto make_closure(F function, Given&&... given) {
  static_assert(sizeof...(Given) <= Callable::kCount, "more arguments than the function takes");
  return make_closure<SelfDelete, Callable>(
      std::index_sequence_for<Given...>(),
      std::make_index_sequence<Callable::kCount - sizeof...(Given)>(), std::move(function),
      std::forward<Given>(given)...);
}

}  // namespace detail

// Returns a closure that frees itself after it has run. `function` is any callable; `given` are its
// first arguments, copied or moved into the closure, and moved on to the function.
template <typename F, typename... Given,
          std::enable_if_t<!detail::FirstIsMethod<Given...>::value, int> = 0>
[[nodiscard]] auto NewClosure(F function, Given&&... given) {
  return detail::make_closure<true, detail::SignatureFor<void, F, Given...>>(
      std::move(function), std::forward<Given>(given)...);
}
// Does the same for a method of `*object`, which must outlive the closure.
template <typename Object, typename Method, typename... Given,
          std::enable_if_t<detail::kIsMethod<Method>, int> = 0>
[[nodiscard]] auto NewClosure(Object object, Method method, Given&&... given) {
  return detail::make_closure<true, detail::Signature<Method>>(
      detail::BoundMethod<Object, Method>{std::move(object), method},
      std::forward<Given>(given)...);
}

// Returns a closure that can run any number of times; the caller deletes it.
template <typename F, typename... Given,
          std::enable_if_t<!detail::FirstIsMethod<Given...>::value, int> = 0>
[[nodiscard]] auto NewPermanentClosure(F function, Given&&... given) {
  return detail::make_closure<false, detail::SignatureFor<void, F, Given...>>(
      std::move(function), std::forward<Given>(given)...);
}
template <typename Object, typename Method, typename... Given,
          std::enable_if_t<detail::kIsMethod<Method>, int> = 0>
[[nodiscard]] auto NewPermanentClosure(Object object, Method method, Given&&... given) {
  return detail::make_closure<false, detail::Signature<Method>>(
      detail::BoundMethod<Object, Method>{std::move(object), method},
      std::forward<Given>(given)...);
}

// Runs a function or method in a new coroutine, with arguments as NewClosure() takes them. An
// exception that leaves it is logged. Throws an Error if the coroutine cannot be created.
template <typename... Given>
void AsynRun(Given&&... given) {
  auto* closure = NewClosure(std::forward<Given>(given)...);
  auto run = [owned = std::unique_ptr<std::remove_pointer_t<decltype(closure)>>(
                  closure)]() mutable { owned.release()->Run(); };
  spawn_detached(std::move(run));
}

// Runs `work`, a callable or a pointer to a Closure (whose Run() is called), in a new coroutine and
// returns true; or, in a coroutine, runs it directly and returns false. An exception that leaves a
// new coroutine is logged.
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
