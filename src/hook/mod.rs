//! Hooks: blocking libc calls suspend the coroutine that makes them (feature `hook`).
//!
//! This module defines `read`, `connect`, `poll`, `sleep` and their kin under libc's own names.
//! Code that was never written for coroutines, client libraries above all, then suspends where it
//! would block its worker. [`Guard`], [`enable`] and [`disable`] switch the hooks for the calling
//! coroutine; for all coroutines [`rt::Options::hook`](crate::rt::Options::hook) or the environment
//! variable `FASTRPC_HOOK=1` does. docs/hooks.md lists the calls.
//!
//! In a coroutine with hooks on, a hooked call keeps to its man page: results, errno, partial
//! transfers, flags, `O_NONBLOCK`, `SO_RCVTIMEO` and `SO_SNDTIMEO`. Two things are new: in a
//! canceled coroutine a call that would wait fails with `ECANCELED`, and `close` wakes those who
//! wait on the fd with `EBADF`. Everywhere else (plain threads, coroutines with hooks off, signal
//! handlers on a stack of their own, forked children) a hooked name is libc's function, after one
//! thread-local test.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::os::unix::net::UnixStream;
//!
//! use fastrpc::{hook, rt};
//!
//! let (mut here, mut there) = UnixStream::pair()?;
//! let reader = rt::spawn(move || {
//!     let _hooked = hook::Guard::enabled();
//!     let mut text = String::new();
//!     // Suspends: the coroutine below runs meanwhile, on the same thread.
//!     here.read_to_string(&mut text).map(|_| text)
//! })?;
//! rt::spawn(move || there.write_all(b"hello"))?.join().unwrap()?;
//! assert_eq!(reader.join().unwrap()?, "hello");
//! # Ok::<(), std::io::Error>(())
//! ```

// What it may call: sys, rt, pool.
//
// It calls libc through `sys::real` alone, or it would call itself.
//
// There is no table of fds. Any fd, made before or after, here or elsewhere, is treated as the kernel
// describes it at the call; what is remembered of a number, that it was a non-socket, only decides what
// is tried first.

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
