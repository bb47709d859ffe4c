// The original's mutex, between threads and coroutines: see fastrpc::mutex.
#pragma once

#include <fastrpc/sync.hpp>

#include "xcore_define.h"

namespace xcore {

// Not recursive. May be held while a coroutine waits.
class XMutex {
 public:
  // False if the coroutine is canceled.
  bool lock() { return mutex_.lock(std::nothrow).ok(); }
  bool trylock() { return mutex_.try_lock(); }
  void unlock() { mutex_.unlock(); }

 private:
  fastrpc::mutex mutex_;
};

}  // namespace xcore

using xcore::XMutex;
