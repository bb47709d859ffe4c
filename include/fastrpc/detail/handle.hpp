// Machinery of the C++ layer: owned C objects, times, whether there are exceptions.
#pragma once

#include <fastrpc/fastrpc.h>
#include <fastrpc/detail/cxx17.hpp>

#include <chrono>
#include <cstdint>
#include <limits>
#include <memory>

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS)
#define FASTRPC_HAS_EXCEPTIONS 1
#else
#define FASTRPC_HAS_EXCEPTIONS 0
#endif

namespace fastrpc::detail {

template <typename T, void (*Free)(T*)>
struct Freer {
  void operator()(T* object) const noexcept { Free(object); }
};

// Owns a C object; moves, does not copy.
template <typename T, void (*Free)(T*)>
using Handle = std::unique_ptr<T, Freer<T, Free>>;

// For the `user` pointer of a callback: frees what `new T` made.
template <typename T>
void delete_user(void* user) {
  delete static_cast<T*>(user);
}

constexpr std::int64_t kNever = -1;

// A time span as the C ABI takes it. Rounded up: nothing ends early. A span below 0 is over.
template <typename Rep, typename Period>
std::int64_t nanoseconds(std::chrono::duration<Rep, Period> span) {
  using Wide = std::chrono::duration<long double, std::nano>;
  if (span <= span.zero()) return 0;
  if (Wide(span).count() >= 9.2e18L) return std::numeric_limits<std::int64_t>::max();
  return std::chrono::ceil<std::chrono::nanoseconds>(span).count();
}

template <typename Clock, typename Duration>
std::int64_t nanoseconds_until(std::chrono::time_point<Clock, Duration> time) {
  return nanoseconds(time - Clock::now());
}

}  // namespace fastrpc::detail
