// Waits on file descriptors: the coroutine suspends, a plain thread blocks. The descriptors stay
// yours, blocking or not.
#pragma once

#include <poll.h>

#include <fastrpc/error.hpp>

namespace fastrpc {

// Waits until `fd` is ready for one of `events` (FASTRPC_READABLE, FASTRPC_WRITABLE) and gives the
// POLL bits of poll(2) that hold. `timeout` in nanoseconds; -1 never ends.
inline Result<std::int32_t> wait_fd(int fd, std::int32_t events, std::int64_t timeout,
                                    std::nothrow_t) {
  std::int32_t ready = 0;
  detail::ErrorSlot error;
  fastrpc_status status = fastrpc_wait_fd(fd, events, timeout, &ready, error.out());
  if (auto waited = error.check(status); !waited) return waited.error();
  return ready;
}

namespace detail {

inline bool wait_fd_timed(int fd, std::int32_t events, std::int64_t timeout) {
  auto ready = wait_fd(fd, events, timeout, std::nothrow);
  if (!ready && ready.error().is_timeout()) return false;
  return ready.value() != 0;
}

}  // namespace detail

// Waits until there is something to read, to accept, or the end. Throws an Error: is_canceled(),
// is_closed().
inline void wait_readable(int fd) {
  detail::wait_fd_timed(fd, FASTRPC_READABLE, detail::kNever);
}
template <typename Rep, typename Period>
[[nodiscard]] bool wait_readable(int fd, std::chrono::duration<Rep, Period> time) {
  return detail::wait_fd_timed(fd, FASTRPC_READABLE, detail::nanoseconds(time));
}

// Waits until there is room to write, or a connect has ended.
inline void wait_writable(int fd) {
  detail::wait_fd_timed(fd, FASTRPC_WRITABLE, detail::kNever);
}
template <typename Rep, typename Period>
[[nodiscard]] bool wait_writable(int fd, std::chrono::duration<Rep, Period> time) {
  return detail::wait_fd_timed(fd, FASTRPC_WRITABLE, detail::nanoseconds(time));
}

// poll(2): waits until one of `fds` is ready, sets their `revents` and gives how many are; 0 when
// the time has passed. `timeout` in nanoseconds; -1 never ends.
inline std::size_t poll(pollfd* fds, std::size_t count, std::int64_t timeout) {
  static_assert(sizeof(pollfd) == sizeof(fastrpc_pollfd), "one layout");
  std::size_t ready = 0;
  detail::ErrorSlot error;
  auto* array = reinterpret_cast<fastrpc_pollfd*>(fds);
  auto waited = error.check(fastrpc_poll_fds(array, count, timeout, &ready, error.out()));
  if (!waited && waited.error().is_timeout()) return 0;
  waited.value();
  return ready;
}

// To be called before close(2): who waits on `fd` wakes, with an Error that is_closed().
inline void notify_close(int fd) {
  fastrpc_notify_close(fd);
}

}  // namespace fastrpc
