// The original's semaphore, between threads and coroutines: see fastrpc::semaphore.
#pragma once

#include <fastrpc/sync.hpp>

#include "xcore_define.h"

namespace xcore {

class XSemaphore {
 public:
  explicit XSemaphore(uint32 init_count = 0) : semaphore_(init_count) {}

  // Throws a fastrpc::Error if the coroutine is canceled.
  void wait() { semaphore_.acquire(); }
  // Waits for `msec` milliseconds at most. Whether it got one.
  bool trywait(uint32 msec = 0) {
    if (msec == 0) return semaphore_.try_acquire();
    return semaphore_.try_acquire_for(std::chrono::milliseconds(msec));
  }
  bool post(uint32 count = 1) {
    semaphore_.release(count);
    return true;
  }
  uint32 get_value() { return static_cast<uint32>(semaphore_.available()); }

 private:
  fastrpc::semaphore semaphore_;
};

}  // namespace xcore

using xcore::XSemaphore;
