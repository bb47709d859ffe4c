// The original's atomic integers, over std::atomic.
#pragma once

#include <atomic>

#include "xcore_define.h"

namespace xcore {

// The compound operators give the new value, set_value() and the postfix ones the old.
template <typename T>
class XAtomic {
 public:
  XAtomic(T value = 0) : value_(value) {}
  XAtomic(const XAtomic& other) : value_(other.get_value()) {}
  XAtomic& operator=(const XAtomic& other) { return *this = other.get_value(); }
  XAtomic& operator=(T value) {
    value_ = value;
    return *this;
  }

  T get_value() const { return value_; }
  T set_value(T value) { return value_.exchange(value); }
  // Adds 1 unless it is 0, and gives what it is then.
  T test_zero_inc() {
    T seen = value_;
    while (seen != 0)
      if (value_.compare_exchange_weak(seen, seen + 1)) return seen + 1;
    return 0;
  }

  operator T() const { return value_; }
  T operator+=(T value) { return value_ += value; }
  T operator-=(T value) { return value_ -= value; }
  T operator++() { return ++value_; }
  T operator--() { return --value_; }
  T operator++(int) { return value_++; }
  T operator--(int) { return value_--; }

 private:
  std::atomic<T> value_;
};

using XAtomic32 = XAtomic<int32>;
using XAtomic64 = XAtomic<int64>;

}  // namespace xcore

using xcore::XAtomic32;
using xcore::XAtomic64;
