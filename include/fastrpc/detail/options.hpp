// Machinery of options: their defaults, which are those of the library.
#pragma once

#include <fastrpc/fastrpc.h>

#include <chrono>
#include <cstddef>
#include <cstdint>

namespace fastrpc::detail {

// The defaults of a struct of options, as its _init function sets them.
template <typename Options, void (*Init)(Options*, std::size_t)>
const Options& defaults() {
  static const Options options = [] {
    Options made;
    Init(&made, sizeof made);
    return made;
  }();
  return options;
}

// Times of options: below 0 they never pass, which is so in C as well.
constexpr std::chrono::nanoseconds from_c(std::int64_t time) {
  return std::chrono::nanoseconds(time);
}
constexpr std::int64_t to_c(std::chrono::nanoseconds time) {
  return time.count();
}

}  // namespace fastrpc::detail
