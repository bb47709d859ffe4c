// Errors: thrown by default; as a Result<T> from the overloads that take std::nothrow, which also
// work in programs built with -fno-exceptions.
#pragma once

#include <fastrpc/detail/handle.hpp>

#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <utility>
#include <variant>

namespace fastrpc {

// Why a call failed.
class Error : public std::exception {
 public:
  // `status` is a FASTRPC_E number, `code` the detailed number (as on the wire, or errno).
  Error(fastrpc_status status, std::int32_t code, std::string text)
      : status_(status), code_(code), text_(std::move(text)) {}
  explicit Error(fastrpc_status status) : Error(status, status, fastrpc_status_text(status)) {}

  [[nodiscard]] fastrpc_status status() const noexcept { return status_; }
  [[nodiscard]] std::int32_t code() const noexcept { return code_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  const char* what() const noexcept override { return text_.c_str(); }

  [[nodiscard]] bool is_timeout() const noexcept { return status_ == FASTRPC_ETIMEDOUT; }
  [[nodiscard]] bool is_canceled() const noexcept { return status_ == FASTRPC_ECANCELED; }
  [[nodiscard]] bool is_closed() const noexcept { return status_ == FASTRPC_ECLOSED; }
  [[nodiscard]] bool is_connect() const noexcept { return status_ == FASTRPC_ECONNECT; }
  [[nodiscard]] bool is_remote() const noexcept { return status_ == FASTRPC_EREMOTE; }

 private:
  fastrpc_status status_;
  std::int32_t code_;
  std::string text_;
};

namespace detail {

// Throws; in a program without exceptions, says why and ends it.
[[noreturn]] inline void raise(const Error& error) {
#if FASTRPC_HAS_EXCEPTIONS
  throw error;
#else
  std::fprintf(stderr, "fastrpc: fatal: %s\n", error.what());
  std::abort();
#endif
}

}  // namespace detail

// A value or an Error.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }

  // The error; only if there is one.
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

  // The value; throws the error if there is none.
  [[nodiscard]] T& value() & {
    if (!ok()) detail::raise(error());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T value() && { return std::move(value()); }

 private:
  std::variant<T, Error> state_;
};

// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : state_(std::move(error)) {}

  [[nodiscard]] bool ok() const noexcept { return state_.index() == 0; }
  explicit operator bool() const noexcept { return ok(); }
  [[nodiscard]] const Error& error() const { return *std::get_if<1>(&state_); }

  // Throws the error if there is one.
  void value() const {
    if (!ok()) detail::raise(error());
  }

 private:
  std::variant<std::monostate, Error> state_;
};

namespace detail {

inline Result<void> check(fastrpc_status status) {
  if (status == FASTRPC_OK) return {};
  return Error(status);
}

// The place for a call's error object: `slot.check(fastrpc_x(..., slot.out()))`.
class ErrorSlot {
 public:
  fastrpc_error** out() { return &error_; }

  Result<void> check(fastrpc_status status) {
    if (status == FASTRPC_OK) return {};
    return take(status, error_);
  }

  // Turns an error object into an Error and frees it.
  static Error take(fastrpc_status status, fastrpc_error* object) {
    Handle<fastrpc_error, fastrpc_error_free> error(object);
    if (!error) return Error(status);
    return {status, fastrpc_error_code(object), fastrpc_error_text(object)};
  }

 private:
  fastrpc_error* error_ = nullptr;
};

// Ends a wait that was given a time: true, false when the time has passed, or an exception.
inline bool check_timed(fastrpc_status status) {
  if (status == FASTRPC_ETIMEDOUT || status == FASTRPC_EAGAIN) return false;
  check(status).value();
  return true;
}

}  // namespace detail
}  // namespace fastrpc
