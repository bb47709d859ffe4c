//! RPC over frames, of baidu_std or of the original fastrpc: a [`Client`], and the protocols of a
//! [`Server`](crate::server::Server).
//!
//! **What it offers.** Methods by service and name, called with bytes; attachments, compression,
//! error numbers and texts end to end; deadlines; limits on everything a peer can make us keep;
//! a client that reconnects; messages pushed to clients, and handlers for the end of connections.
//!
//! **What holds.** A connection lives on one worker, and what only that worker touches has no
//! lock. One read brings as many frames as there are, each call runs in a pooled coroutine, one
//! write carries all answers of the round: under load the system calls per call go towards zero.
//! Answers and calls from elsewhere go through a cross-worker inbox: a locked box, and one post to
//! the home worker when it was empty. Each call ends exactly once: on the server's side its entry
//! in the connection's table is taken out by whoever answers first, on the client's by whoever ends
//! it first, and the keys of these tables are never used again.
//!
//! **What it must never do.** Block a worker; hold a `RefCell` borrow over a call that waits;
//! trust a number that a peer sent. `client` and `server` never name each other.

// What it may call: slab, rt, net, sync, wire, protocol.

mod client;
mod error;
mod io;
mod options;
mod protocol;
mod response;
mod server;
mod service;
mod stats;

pub use self::client::{CallHandle, Cancellation, Client};
pub use self::error::Error;
pub use self::options::{CallOptions, ClientOptions, Options, ReplyOptions};
pub use self::protocol::Protocol;
pub use self::response::Response;
pub use self::server::{Call, Connection, Registry};
pub use self::service::{Codec, Method, Responder, Service};
pub use self::stats::ClientStats;
pub use crate::wire::{Code, Compress};

pub(crate) use self::server::{BaiduStd, Original, Rpc};
