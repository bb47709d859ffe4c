// The original's sleep.
#pragma once

#include <fastrpc/coroutine.hpp>

#include "xcore_define.h"

namespace xcore {

// Suspends the coroutine, or blocks the thread, for `msec` milliseconds. Ends early in a coroutine
// that is canceled.
inline void sleep(uint32 msec) {
  (void)fastrpc::sleep_for(std::chrono::milliseconds(msec), std::nothrow);
}

}  // namespace xcore
