// The original's coroutines: see fastrpc/coroutine.hpp.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/hook.hpp>
#include <fastrpc/pbext.hpp>

#include <sys/socket.h>

#include "closure.h"

using fastrpc::PbClosure;
using fastrpc::ProcessWithNewCro;

// Coroutines run on the workers of the runtime, which starts by itself: nothing to do.
inline void SetCoroutineUsedByCurThread() {}

// Blocking calls of libc suspend the calling coroutine from now on, or block its worker again. A
// plain thread, and a library that was built without hooks, are left as they are.
inline void co_enable_hook_sys() {
  fastrpc_hook_enable(nullptr);
}
inline void co_disable_hook_sys() {
  fastrpc_hook_disable(nullptr);
}
// accept(2). What it gives is like any other descriptor, and need not be made known to the hooks.
inline int co_accept(int fd, sockaddr* address, socklen_t* size) {
  return ::accept(fd, address, size);
}
// False in a plain thread.
inline bool co_is_enable_sys_hook() {
  return fastrpc_hook_is_enabled();
}
