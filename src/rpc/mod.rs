//! RPC over frames, of baidu_std or of the original fastrpc: a [`Server`] and a [`Client`].
//!
//! **What it offers.** Methods by service and name, called with bytes; attachments, compression,
//! error numbers and texts end to end; deadlines; limits on everything a peer can make us keep;
//! a stop that lets calls end; a client that reconnects; messages pushed to clients, and handlers
//! for the end of connections. A server finds out what each connection speaks, and hands those that
//! speak HTTP to `http`.
//!
//! **What holds.** A connection lives on one worker, and what only that worker touches has no
//! lock. One read brings as many frames as there are, each call runs in a pooled coroutine, one
//! write carries all answers of the round: under load the system calls per call go towards zero.
//! Answers and calls from elsewhere come by mail: a locked box, and one post to the home worker
//! when it was empty. Each call ends exactly once: on the server's side its entry in the
//! connection's table is taken out by whoever answers first, on the client's by whoever ends it
//! first, and the keys of these tables are never used again.
//!
//! **What it may call.** `net`, `rt`, `process` and the `wire` formats.
//!
//! **What it must never do.** Block a worker; hold a `RefCell` borrow over a call that waits;
//! trust a number that a peer sent.

mod alarm;
mod answer;
mod call;
mod call_ids;
mod cancellation;
mod channel;
mod client;
mod compress;
mod conn;
mod dispatch;
mod ending;
mod error;
mod events;
mod frames;
mod http;
mod inbound;
mod letters;
mod link;
mod local;
mod methods;
mod notify;
mod options;
mod out;
mod pending;
mod protocol;
mod push;
mod reader;
mod replies;
mod request;
mod server;
mod service;
mod slab;
mod sniff;
mod stats;

pub use self::call::{Call, Reply};
pub use self::cancellation::Cancellation;
pub use self::client::{CallHandle, Client, Response};
pub use self::compress::Compress;
pub use self::error::{Error, code};
pub use self::options::{CallOptions, ClientOptions, ServerOptions};
pub use self::protocol::Protocol;
pub use self::push::Connection;
pub use self::server::{Server, StopReport};
pub use self::service::{Answer, Codec, Method, Responder, Service};
pub use self::stats::{ClientStats, ServerStats};
