//! Hooks: blocking calls of libc suspend the coroutine that makes them (feature `hook`).
//!
//! **What it offers.** This module defines `read`, `connect`, `poll`, `sleep` and their kin under
//! libc's names, so that code which was never written for coroutines, client libraries above all,
//! suspends where it would block its worker. A [`Guard`], [`enable`] and [`disable`] switch them
//! for the calling coroutine; [`rt::Options::hook`](crate::rt::Options::hook) and the environment
//! variable `FASTRPC_HOOK=1` for all.
//!
//! **What holds.** In plain threads, in coroutines with hooks off, in signal handlers with a stack
//! of their own and in forked children a hooked function is libc's, after one look at thread-local
//! data. In a coroutine with hooks on it keeps to its man page: results, errno, partial transfers,
//! flags, `O_NONBLOCK`, `SO_RCVTIMEO` and `SO_SNDTIMEO`. Two things are new: in a cancelled
//! coroutine what would wait fails with `ECANCELED`, and `close` wakes those who wait on the fd with
//! `EBADF`.
//!
//! **How.** Each call first tries without blocking, in a way that leaves the fd's flags alone, and
//! waits by [`rt::wait_fd`](crate::rt::wait_fd) when that says `EAGAIN`. There is no table of fds:
//! any fd, made before or after, here or elsewhere, is treated as what it is. What is remembered of
//! a number, that it was no socket, decides only what is tried first.
//!
//! **What it may call.** `rt`, `pool`, and libc through `sys`.

mod errno;
mod io;
mod pthread;
mod readiness;
mod report;
mod resolver;
mod sleep;
mod switch;
mod time;
mod wait;

pub use self::pthread::{deadlocks_averted, waits_with_locks};
pub use self::report::report;
pub use self::switch::{Guard, disable, enable, is_enabled};
