// Errors and results. A fallible function f(x) throws an Error; f(x, std::nothrow) returns a
// Result<T> instead, and also works in programs built with -fno-exceptions.
//
//   fastrpc::Result<int> n = coroutine.join(std::nothrow);
//   if (n) return *n;
//   if (n.error().is_timeout()) retry();
//   std::cerr << n.error().text();
//
// A wait with a timeout returns false, or nothing, when it times out; with std::nothrow that is an
// error whose is_timeout() is true, so that `if (result)` means success. Errors and results are
// values: not thread-safe, and none of their functions suspends.
#pragma once

#include <fastrpc/detail/handle.hpp>

#include <cassert>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <new>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>

namespace fastrpc {

// The kind of a failure. Compares with the FASTRPC_E numbers of the C ABI.
enum class Status : fastrpc_status {
  ok = FASTRPC_OK,
  invalid_argument = FASTRPC_EINVAL,
  out_of_memory = FASTRPC_ENOMEM,
  timed_out = FASTRPC_ETIMEDOUT,
  canceled = FASTRPC_ECANCELED,
  // The queue, client, server or file descriptor is closed.
  closed = FASTRPC_ECLOSED,
  // The operation would have to wait, and the caller asked not to.
  would_block = FASTRPC_EAGAIN,
  // The runtime was started before fork(): it does not work in the child.
  forked = FASTRPC_EFORKED,
  busy = FASTRPC_EBUSY,
  // The object is not in a state that allows this: too early, too late, or done before.
  bad_state = FASTRPC_ESTATE,
  // A system call failed; Error::code() is its errno.
  io = FASTRPC_EIO,
  // The function threw an exception; Error::text() is its what().
  exception = FASTRPC_EEXCEPTION,
  // The server could not be reached.
  connect = FASTRPC_ECONNECT,
  // The server responded with an error; Error::code() is its number.
  remote = FASTRPC_EREMOTE,
  // A limit set in the options was reached.
  limit = FASTRPC_ELIMIT,
  // A bug in the library.
  internal = FASTRPC_EINTERNAL,
};

// RPC error codes that the library itself sends or reports. Services add their own.
enum class Code : std::int32_t {
  // The server has no such service, or the service no such method.
  no_service = FASTRPC_CODE_ENOSERVICE,
  no_method = FASTRPC_CODE_ENOMETHOD,
  // The request or the response cannot be parsed.
  bad_request = FASTRPC_CODE_EREQUEST,
  bad_response = FASTRPC_CODE_ERESPONSE,
  timed_out = FASTRPC_CODE_ERPCTIMEDOUT,
  canceled = FASTRPC_CODE_ECANCELED,
  // The connection broke, or could not be established.
  failed_socket = FASTRPC_CODE_EFAILEDSOCKET,
  // The connection was closed on purpose.
  closed = FASTRPC_CODE_ECLOSE,
  // Too many calls are in flight, or too many bytes unsent.
  overcrowded = FASTRPC_CODE_EOVERCROWDED,
  // The handler did not respond, or threw an exception.
  internal = FASTRPC_CODE_EINTERNAL,
  // The server is stopping.
  stopping = FASTRPC_CODE_ELOGOFF,
  // The server has reached a limit.
  limit = FASTRPC_CODE_ELIMIT,
};

// Both compare with the plain numbers that the C ABI and Error::code() have.
constexpr bool operator==(Status a, fastrpc_status b) {
  return static_cast<fastrpc_status>(a) == b;
}
constexpr bool operator!=(Status a, fastrpc_status b) {
  return !(a == b);
}
constexpr bool operator==(std::int32_t a, Code b) {
  return a == static_cast<std::int32_t>(b);
}
constexpr bool operator!=(std::int32_t a, Code b) {
  return !(a == b);
}

// Returns a short English description of a status.
[[nodiscard]] inline std::string_view to_string(Status status) {
  return fastrpc_status_text(static_cast<fastrpc_status>(status));
}

// Why a call failed. The text is for people; programs test the status or the code.
class Error : public std::exception {
 public:
  explicit Error(Status status) : Error(status, std::string(to_string(status))) {}
  Error(Status status, std::string text)
      : Error(status, static_cast<std::int32_t>(status), std::move(text)) {}
  // `code`: the detailed number, as on the wire, or errno.
  Error(Status status, std::int32_t code, std::string text)
      : status_(status), code_(code), text_(std::move(text)) {}
  // From a number of the C ABI.
  explicit Error(fastrpc_status status) : Error(static_cast<Status>(status)) {}
  Error(fastrpc_status status, std::int32_t code, std::string text)
      : Error(static_cast<Status>(status), code, std::move(text)) {}

  // Returns an error for a service to respond with. `code`: a number of the service's own, none of
  // Code.
  [[nodiscard]] static Error service(std::int32_t code, std::string text) {
    Error error(Status::remote, code, std::move(text));
    error.is_service_ = true;
    return error;
  }

  [[nodiscard]] Status status() const noexcept { return status_; }
  // Returns the detailed number: of an RPC error one of Code or the service's own, of a failed
  // system call its errno, otherwise that of the status.
  [[nodiscard]] std::int32_t code() const noexcept { return code_; }
  [[nodiscard]] const std::string& text() const noexcept { return text_; }
  const char* what() const noexcept override { return text_.c_str(); }

  [[nodiscard]] bool is_timeout() const noexcept { return status_ == Status::timed_out; }
  [[nodiscard]] bool is_canceled() const noexcept { return status_ == Status::canceled; }
  [[nodiscard]] bool is_closed() const noexcept { return status_ == Status::closed; }
  [[nodiscard]] bool is_would_block() const noexcept { return status_ == Status::would_block; }
  [[nodiscard]] bool is_connect() const noexcept { return status_ == Status::connect; }
  // Returns whether the server responded with it: the service, or the library there.
  [[nodiscard]] bool is_remote() const noexcept { return status_ == Status::remote; }
  // Returns whether the service itself responded with it, by a code of its own: the call was
  // dispatched.
  [[nodiscard]] bool is_service_error() const noexcept { return is_service_; }

 private:
  Status status_;
  bool is_service_ = false;
  std::int32_t code_;
  std::string text_;
};

namespace detail {

// Throws the error; in a program without exceptions, prints it and aborts.
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
  using value_type = T;
  using error_type = Error;

  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}
  // Accepts what converts to a T, such as a literal for a std::string.
  template <typename U,
            std::enable_if_t<std::is_convertible_v<U&&, T> && !std::is_same_v<std::decay_t<U>, T> &&
                                 !std::is_base_of_v<Error, std::decay_t<U>> &&
                                 !std::is_same_v<std::decay_t<U>, Result>,
                             int> = 0>
  Result(U&& value) : state_(std::in_place_index<0>, std::forward<U>(value)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] bool ok() const noexcept { return has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  // Return the value, or throw the error.
  [[nodiscard]] T& value() & {
    check();
    return **this;
  }
  [[nodiscard]] const T& value() const& {
    check();
    return **this;
  }
  [[nodiscard]] T value() && {
    check();
    return std::move(**this);
  }
  template <typename U>
  [[nodiscard]] T value_or(U&& other) const& {
    return has_value() ? **this : static_cast<T>(std::forward<U>(other));
  }
  template <typename U>
  [[nodiscard]] T value_or(U&& other) && {
    return has_value() ? std::move(**this) : static_cast<T>(std::forward<U>(other));
  }

  // Access the value; has_value() must be true.
  [[nodiscard]] T& operator*() & noexcept {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] const T& operator*() const& noexcept {
    assert(has_value());
    return *std::get_if<0>(&state_);
  }
  [[nodiscard]] T operator*() && {
    T& value = **this;
    return std::move(value);
  }
  [[nodiscard]] T* operator->() noexcept { return &**this; }
  [[nodiscard]] const T* operator->() const noexcept { return &**this; }

  // Returns the error; has_value() must be false.
  [[nodiscard]] const Error& error() const noexcept {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  void check() const {
    if (!has_value()) detail::raise(error());
  }

  std::variant<T, Error> state_;
};

// Success or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  using value_type = void;
  using error_type = Error;

  Result() = default;
  Result(Error error) : state_(std::move(error)) {}

  [[nodiscard]] bool has_value() const noexcept { return state_.index() == 0; }
  [[nodiscard]] bool ok() const noexcept { return has_value(); }
  explicit operator bool() const noexcept { return has_value(); }

  // Throws the error, if there is one.
  void value() const {
    if (!has_value()) detail::raise(error());
  }

  // Returns the error; has_value() must be false.
  [[nodiscard]] const Error& error() const noexcept {
    assert(!has_value());
    return *std::get_if<1>(&state_);
  }

 private:
  std::variant<std::monostate, Error> state_;
};

namespace detail {

inline Result<void> check(fastrpc_status status) {
  if (status == FASTRPC_OK) return {};
  return Error(status);
}

// Tag of constructors that create no C object, used by make(..., std::nothrow).
struct Empty {};

// Makes a C object by its _new function.
template <auto New, typename Owner, typename... Args>
Result<void> make(Owner& owner, Args... arguments) {
  typename Owner::pointer made = nullptr;
  fastrpc_status status = New(arguments..., &made);
  owner.reset(made);
  return check(status);
}

// Out-parameter for the error object of a C call: `slot.check(fastrpc_x(..., slot.out()))`.
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
    std::int32_t code = fastrpc_error_code(object);
    if (fastrpc_error_is_service(object)) return Error::service(code, fastrpc_error_text(object));
    return {status, code, fastrpc_error_text(object)};
  }

 private:
  fastrpc_error* error_ = nullptr;
};

// Converts the status of a timed wait: returns true, or false on a timeout; throws otherwise.
inline bool check_timed(fastrpc_status status) {
  if (status == FASTRPC_ETIMEDOUT || status == FASTRPC_EAGAIN) return false;
  check(status).value();
  return true;
}

}  // namespace detail
}  // namespace fastrpc
