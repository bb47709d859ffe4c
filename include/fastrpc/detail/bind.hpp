// Machinery of closures: a function or method with its first arguments, and what is left to give.
#pragma once

#include <cstddef>
#include <functional>
#include <tuple>
#include <type_traits>
#include <utility>

namespace fastrpc::detail {

template <typename... T>
struct Types {};

// The result and the parameters of what can be called in one way only.
template <typename R, typename... P>
struct Callable {
  using Result = R;
  static constexpr std::size_t kCount = sizeof...(P);
  template <std::size_t I>
  using Parameter = std::tuple_element_t<I, std::tuple<P...>>;
};

template <typename F, typename = void>
struct Signature;
template <typename R, typename... P>
struct Signature<R (*)(P...)> : Callable<R, P...> {};
template <typename R, typename... P>
struct Signature<R (*)(P...) noexcept> : Callable<R, P...> {};
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...)> : Callable<R, P...> {};
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...) const> : Callable<R, P...> {};
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...) noexcept> : Callable<R, P...> {};
template <typename R, typename C, typename... P>
struct Signature<R (C::*)(P...) const noexcept> : Callable<R, P...> {};
// Lambdas and other objects, unless they can be called in several ways.
template <typename F>
struct Signature<F, std::void_t<decltype(&F::operator())>> : Signature<decltype(&F::operator())> {};

// What may be called in several ways: the arguments that are there say in which.
template <typename Void, typename F, typename... B>
struct SignatureFor : Callable<std::invoke_result_t<F&, std::decay_t<B>...>, std::decay_t<B>...> {};
template <typename F, typename... B>
struct SignatureFor<std::void_t<typename Signature<F>::Result>, F, B...> : Signature<F> {};

// A method of an object, called as a function.
template <typename Object, typename Method>
struct BoundMethod {
  template <typename... A>
  decltype(auto) operator()(A&&... arguments) {
    return std::invoke(method, object, std::forward<A>(arguments)...);
  }

  Object object;
  Method method;
};

// As what a bound argument is kept: text as the std::string that the function wants rather than as
// a pointer that may dangle, objects as they are, references as copies unless std::ref made them.
template <typename Parameter, typename Argument>
struct Kept {
  using Wanted = std::decay_t<Parameter>;
  using Given = std::decay_t<Argument>;
  static constexpr bool kOutput =
      std::is_lvalue_reference_v<Parameter> && !std::is_const_v<std::remove_reference_t<Parameter>>;
  static constexpr bool kAsWanted =
      !kOutput && !std::is_class_v<Given> && std::is_constructible_v<Wanted, Argument&&>;
  using Type = std::conditional_t<kAsWanted, Wanted, Given>;
};

// Hands a kept argument on; `Last` if it is not needed again.
template <bool Last, typename Parameter, typename T>
decltype(auto) hand_on(T& kept) {
  if constexpr (Last && !std::is_lvalue_reference_v<Parameter>) {
    return std::move(kept);
  } else {
    return (kept);
  }
}

template <typename T>
inline constexpr bool kIsMethod = std::is_member_function_pointer_v<std::decay_t<T>>;
// Whether the first of `T` is a method.
template <typename... T>
struct FirstIsMethod : std::false_type {};
template <typename T, typename... Rest>
struct FirstIsMethod<T, Rest...> : std::bool_constant<kIsMethod<T>> {};

}  // namespace fastrpc::detail
