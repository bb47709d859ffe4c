// Waits for file descriptors: sockets, pipes and whatever else poll(2) supports.
//
//   while (fastrpc::wait_readable(fd, 5s)) {
//     ssize_t n = ::read(fd, buffer, sizeof buffer);
//     if (n <= 0) break;
//   }
//
// A wait suspends the coroutine, or blocks a plain thread. The caller keeps ownership of the
// descriptors, blocking or not; any number of coroutines and threads may wait on one. Waits fail
// with Status::canceled when their coroutine is canceled, and with Status::closed after
// notify_close().
#pragma once

#include <poll.h>

#include <fastrpc/error.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fastrpc {

// The readiness to wait for.
enum class Interest : std::int32_t {
  // Data to read, a connection to accept, or end of stream.
  readable = FASTRPC_READABLE,
  // Space to write, or completion of a connect.
  writable = FASTRPC_WRITABLE,
  either = FASTRPC_READABLE | FASTRPC_WRITABLE,
};

namespace detail {

inline Result<int> wait_fd_in(int fd, Interest interest, std::int64_t timeout) {
  std::int32_t ready = 0;
  ErrorSlot error;
  auto events = static_cast<std::int32_t>(interest);
  auto waited = error.check(fastrpc_wait_fd(fd, events, timeout, &ready, error.out()));
  if (!waited) return waited.error();
  return ready;
}

// Returns T() on a timeout, throws any other error.
template <typename T>
T value_or_timeout(const Result<T>& waited) {
  return !waited && waited.error().is_timeout() ? T() : waited.value();
}

inline Result<void> without_value(const Result<int>& waited) {
  return waited ? Result<void>() : waited.error();
}

inline Result<std::size_t> poll_in(pollfd* fds, std::size_t count, std::int64_t timeout) {
  static_assert(sizeof(pollfd) == sizeof(fastrpc_pollfd), "one layout");
  std::size_t ready = 0;
  ErrorSlot error;
  auto* array = reinterpret_cast<fastrpc_pollfd*>(fds);
  auto waited = error.check(fastrpc_poll_fds(array, count, timeout, &ready, error.out()));
  if (!waited) return waited.error();
  return ready;
}

}  // namespace detail

// Waits until `fd` is ready. Returns the poll(2) event bits that are set; 0 on a timeout.
inline int wait_fd(int fd, Interest interest) {
  return detail::wait_fd_in(fd, interest, detail::kNever).value();
}
inline Result<int> wait_fd(int fd, Interest interest, std::nothrow_t) {
  return detail::wait_fd_in(fd, interest, detail::kNever);
}
template <typename Rep, typename Period>
int wait_fd(int fd, Interest interest, std::chrono::duration<Rep, Period> time) {
  return detail::value_or_timeout(detail::wait_fd_in(fd, interest, detail::nanoseconds(time)));
}
template <typename Rep, typename Period>
Result<int> wait_fd(int fd, Interest interest, std::chrono::duration<Rep, Period> time,
                    std::nothrow_t) {
  return detail::wait_fd_in(fd, interest, detail::nanoseconds(time));
}

// Waits until there is data to read, a connection to accept, or end of stream. Returns false on a
// timeout.
inline void wait_readable(int fd) {
  wait_fd(fd, Interest::readable);
}
inline Result<void> wait_readable(int fd, std::nothrow_t) {
  return detail::without_value(wait_fd(fd, Interest::readable, std::nothrow));
}
template <typename Rep, typename Period>
[[nodiscard]] bool wait_readable(int fd, std::chrono::duration<Rep, Period> time) {
  return wait_fd(fd, Interest::readable, time) != 0;
}
template <typename Rep, typename Period>
Result<void> wait_readable(int fd, std::chrono::duration<Rep, Period> time, std::nothrow_t) {
  return detail::without_value(wait_fd(fd, Interest::readable, time, std::nothrow));
}

// Waits until there is space to write, or a connect has completed. Returns false on a timeout.
inline void wait_writable(int fd) {
  wait_fd(fd, Interest::writable);
}
inline Result<void> wait_writable(int fd, std::nothrow_t) {
  return detail::without_value(wait_fd(fd, Interest::writable, std::nothrow));
}
template <typename Rep, typename Period>
[[nodiscard]] bool wait_writable(int fd, std::chrono::duration<Rep, Period> time) {
  return wait_fd(fd, Interest::writable, time) != 0;
}
template <typename Rep, typename Period>
Result<void> wait_writable(int fd, std::chrono::duration<Rep, Period> time, std::nothrow_t) {
  return detail::without_value(wait_fd(fd, Interest::writable, time, std::nothrow));
}

// Waits until one of `fds` is ready and sets their `revents`, like poll(2). Returns how many are
// ready; 0 on a timeout.
inline std::size_t poll(pollfd* fds, std::size_t count) {
  return detail::poll_in(fds, count, detail::kNever).value();
}
inline Result<std::size_t> poll(pollfd* fds, std::size_t count, std::nothrow_t) {
  return detail::poll_in(fds, count, detail::kNever);
}
template <typename Rep, typename Period>
std::size_t poll(pollfd* fds, std::size_t count, std::chrono::duration<Rep, Period> time) {
  return detail::value_or_timeout(detail::poll_in(fds, count, detail::nanoseconds(time)));
}
template <typename Rep, typename Period>
Result<std::size_t> poll(pollfd* fds, std::size_t count, std::chrono::duration<Rep, Period> time,
                         std::nothrow_t) {
  return detail::poll_in(fds, count, detail::nanoseconds(time));
}

// Wakes all waiters of `fd` with Status::closed. Call it before close(2). Never suspends.
inline void notify_close(int fd) noexcept {
  fastrpc_notify_close(fd);
}

}  // namespace fastrpc
