//! RPC over frames, of baidu_std or of the original fastrpc: a [`Client`], and the protocols of a
//! [`Server`](crate::server::Server).
//!
//! Methods are called by service and name, with bytes or, through generated code, with messages.
//! Attachments, compression, error codes and texts are carried end to end. Each call has a
//! deadline, and ends exactly once. All memory that a peer can make us hold is bounded. A client
//! reconnects; servers push messages to clients, and both sides can handle the end of a connection.
//!
//! Handlers run in coroutines on the worker of their connection, and may block. A client may be called
//! from any thread and coroutine; responses arrive out of order.

// What it may call: slab, rt, net, sync, wire, protocol.
//
// Invariants: a connection lives on one worker, and its worker-local state has no lock. One read
// brings as many frames as have arrived, each call runs in a pooled coroutine, one write carries
// all responses of the round: under load the system calls per call go towards zero. Responses and
// calls from other threads go through a cross-worker inbox: a lock, and one post to the home worker
// if it was empty. On the server, whoever responds first removes the call from the connection's
// table; on the client, whoever ends it first. The keys of these tables are never reused.
//
// What it must never do: block a worker; hold a `RefCell` borrow over a call that waits; trust a number
// that a peer sent. `client` and `server` never name each other.

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
