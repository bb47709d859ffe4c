//! Sockets for coroutines and threads: TCP over IPv4 and IPv6, and Unix stream sockets.
//!
//! [`Listener`], [`Stream`] and [`Addr`] cover both families, so that code on top treats them alike.
//! Every wait takes a [`Deadline`](crate::rt::Deadline) or a timeout set on the stream; it suspends a
//! coroutine and blocks a plain thread. Several coroutines and threads may use a stream at once.
//!
//! ```
//! use fastrpc::net::{Addr, ListenOptions, Listener, Stream};
//! use fastrpc::rt::Deadline;
//!
//! let listener = Listener::bind(&"127.0.0.1:0".parse::<Addr>()?, &ListenOptions::default())?;
//! let client = Stream::connect_by(listener.local_addr(), Deadline::NEVER)?;
//! let server = listener.accept_by(Deadline::NEVER)?;
//! client.write_all_by(b"hello", Deadline::NEVER)?;
//! let mut buffer = [0; 5];
//! server.read_exact_by(&mut buffer, Deadline::NEVER)?;
//! assert_eq!(&buffer, b"hello");
//! # Ok::<(), std::io::Error>(())
//! ```

// What it may call: rt, sys.
//
// Sockets are created by socket2. What it must never do: block a worker. Host names are resolved on a
// thread of their own.

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
