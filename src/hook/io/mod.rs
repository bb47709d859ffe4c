//! Hooked I/O on one fd: `read`, `write`, `send`, `recv`, `connect`, `accept`, `close` and their kin.
//
// Each call first tries without blocking, in a way that leaves the fd's flags alone where the kernel
// has one: `MSG_DONTWAIT` for sockets, `RWF_NOWAIT` for the rest; where it has none, `nonblocking`
// sets the flag for the length of one system call. When that fails with `EAGAIN`, `would_block` waits.

mod close;
mod connect;
mod file;
mod iov;
mod nonblocking;
mod nonsocket;
mod recv;
mod send;
mod sockopt;
mod would_block;
