// Whether a call suspends its coroutine.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/hook.hpp>

#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <chrono>

#include "check.hpp"

// Calls `wait` on one end of a socket pair in a hooked coroutine, and checks that it answers 'x'.
// Another coroutine of the same worker writes that to the other end: if the call blocked the
// worker, it never would.
template <typename Wait>
void suspends(Wait wait) {
  fastrpc::spawn([wait] {
    int fds[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
    // It must not last for ever if it blocks.
    timeval limit{10, 0};
    CHECK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0);
    auto writer = fastrpc::spawn([fd = fds[1]] {
      fastrpc::sleep_for(std::chrono::milliseconds(5));
      CHECK(write(fd, "x", 1) == 1);
    });
    {
      fastrpc::hook::Guard hooked;
      CHECK(wait(fds[0]) == 'x');
    }
    writer.join();
    CHECK(close(fds[0]) == 0);
    CHECK(close(fds[1]) == 0);
  }).join();
}
