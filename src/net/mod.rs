//! Sockets for coroutines and threads: TCP over IPv4 and IPv6, and Unix stream sockets.
//!
//! **What it offers.** [`Listener`], [`Stream`] and [`Addr`], each for both families, so that
//! what is built above treats them alike. Every wait takes a [`Deadline`](crate::rt::Deadline) or
//! the time-outs set on the stream; it suspends a coroutine and blocks a plain thread. Streams
//! may be read and written by several coroutines and threads at once.
//!
//! **What it may call.** `rt`, and socket2 for what makes sockets.
//!
//! **What it must never do.** Block a worker: names are resolved on a thread of their own.

mod addr;
mod buffer;
mod group;
mod listener;
mod stream;
mod to_addr;

pub use self::addr::Addr;
pub use self::listener::{ListenOptions, Listener};
pub use self::stream::Stream;
pub use self::to_addr::ToAddr;

pub(crate) use self::buffer::{Scratch, recycle, spare};
pub(crate) use self::group::ListenGroup;
