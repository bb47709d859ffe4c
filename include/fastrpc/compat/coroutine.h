// The original's coroutines: see fastrpc/coroutine.hpp.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/pbext.hpp>

#include "closure.h"

using fastrpc::PbClosure;
using fastrpc::ProcessWithNewCro;

// Coroutines run on the workers of the runtime, which starts by itself: nothing to do.
inline void SetCoroutineUsedByCurThread() {}

namespace fastrpc::compat {

// Whether the socket calls of the calling coroutine are to be hooked.
inline bool& hook_wanted() {
  // Lives as long as the process: coroutines may use it to the end.
  static auto& wanted = *new local<bool>;
  return *wanted;
}

}  // namespace fastrpc::compat

// Asks for hooked socket calls in the calling coroutine. XSocket suspends the coroutine in any
// case; where the library has no hooks, other blocking calls block the worker.
inline void co_enable_hook_sys() {
  if (fastrpc::this_coroutine::exists()) fastrpc::compat::hook_wanted() = true;
}
inline void co_disable_hook_sys() {
  if (fastrpc::this_coroutine::exists()) fastrpc::compat::hook_wanted() = false;
}
// False in a plain thread.
inline bool co_is_enable_sys_hook() {
  return fastrpc::this_coroutine::exists() && fastrpc::compat::hook_wanted();
}
