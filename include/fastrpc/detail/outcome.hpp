// Machinery of Coroutine<T> and ThreadPool: the function to run, and what became of it.
#pragma once

#include <fastrpc/detail/exceptions.hpp>
#include <fastrpc/runtime.hpp>

#include <exception>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>

namespace fastrpc::detail {

// What an F returns that is called without arguments. Void if it cannot be called so, and no
// reference: callers refuse both, in their own words.
template <typename F, bool = std::is_invocable_v<F>>
struct CallResult {
  using Type = void;
  static constexpr bool kIsReference = false;
};
template <typename F>
struct CallResult<F, true> {
  using Type = std::remove_reference_t<std::invoke_result_t<F>>;
  static constexpr bool kIsReference = std::is_reference_v<std::invoke_result_t<F>>;
};
template <typename F>
using ResultOf = typename CallResult<F>::Type;
template <typename F>
constexpr bool kReturnsReference = CallResult<F>::kIsReference;

// The result of a function run elsewhere: its value, or the exception that left it. The exception
// is in the log in any case: as news of level INFO when somebody takes it, as an error when nobody
// does.
template <typename T>
class Outcome {
 public:
  using Stored = std::conditional_t<std::is_void_v<T>, std::monostate, T>;

  // `what` the function is, for the log: lives for ever.
  explicit Outcome(const char* what) : what_(what) {}
  Outcome(const Outcome&) = delete;
  Outcome& operator=(const Outcome&) = delete;
  ~Outcome() {
    if (exception_) tell(LogLevel::error);
  }

  template <typename F>
  void run(F& function) {
    run_catching([&] { store(function); },
                 [this](std::exception_ptr exception) { exception_ = std::move(exception); });
  }

  // Moves the value out, or rethrows.
  T take() {
    if (exception_) {
      tell(LogLevel::info);
      std::rethrow_exception(std::exchange(exception_, nullptr));
    }
    if (!value_) raise(Error(FASTRPC_ESTATE));
    if constexpr (std::is_void_v<T>) {
      value_.reset();
    } else {
      std::optional<Stored> value = std::exchange(value_, std::nullopt);
      return std::move(*value);
    }
  }

  // The same without exceptions; `level` of the record.
  Result<T> take(std::nothrow_t, LogLevel level = LogLevel::info);

 private:
  template <typename F>
  void store(F& function) {
    if constexpr (std::is_void_v<T>) {
      function();
      value_.emplace();
    } else {
      value_.emplace(function());
    }
  }

  void tell(LogLevel level) const;

  const char* const what_;
  std::optional<Stored> value_;
  std::exception_ptr exception_;
};

template <typename T>
void Outcome<T>::tell(LogLevel level) const {
  log(level, "an exception left " + std::string(what_) + ": " + describe(exception_));
}

template <typename T>
Result<T> Outcome<T>::take(std::nothrow_t, LogLevel level) {
  if (exception_) {
    tell(level);
    auto exception = std::exchange(exception_, nullptr);
    return Error(FASTRPC_EEXCEPTION, FASTRPC_EEXCEPTION, describe(exception));
  }
  if (!value_) return Error(FASTRPC_ESTATE);
  if constexpr (std::is_void_v<T>) {
    take();
    return {};
  } else {
    return take();
  }
}

// Runs a function; an exception that leaves it is logged as an error, and is the result.
template <typename F>
Result<void> run_logged(const char* what, F function) {
  Outcome<void> outcome(what);
  outcome.run(function);
  return outcome.take(std::nothrow, LogLevel::error);
}

// A function on its way to where it runs, and its outcome.
template <typename F, typename T>
struct Job : Outcome<T> {
  Job(const char* what, F f) : Outcome<T>(what), function(std::move(f)) {}

  // Runs once; what the function holds is gone when this returns.
  void run_once() {
    this->run(*function);
    function.reset();
  }

  std::optional<F> function;
};

}  // namespace fastrpc::detail
