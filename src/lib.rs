//! RPC and HTTP services in plain blocking style, run by stackful coroutines.
//!
//! Each call runs in a coroutine with a stack of its own. Where it waits (for another server, a
//! lock, a timer) it is suspended and its worker thread runs others. A coroutine never leaves its
//! thread, so that `thread_local!`, errno and thread-bound libraries work.
//!
//! ```
//! use fastrpc::rpc::{CallOptions, Client, ClientOptions};
//! use fastrpc::{Server, ServerOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(ServerOptions::new());
//! server.add_method("demo.EchoService", "Echo", |call| {
//!     let body = call.request().to_vec(); // may block: only this coroutine waits
//!     call.reply(&body);
//! })?;
//! server.route("GET", "/hello", |_| "hello")?; // HTTP, on the same port
//! let addr = server.listen("127.0.0.1:0")?;
//!
//! let client = Client::new(addr, ClientOptions::new())?;
//! let response = client.call("demo.EchoService", "Echo", b"hello", &CallOptions::new())?;
//! assert_eq!(response.body(), b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! Messages are bytes here. From `.proto` files the crate
//! [`fastrpc-build`](https://docs.rs/fastrpc-build) generates a trait for each service, which the
//! server implements, and a client.
//!
//! | module | contents |
//! | --- | --- |
//! | [`server`] | [`Server`]: addresses, the protocols on them, limits, graceful stop |
//! | [`rpc`] | [`rpc::Client`], [`rpc::Call`], errors, typed methods, pushes |
//! | [`http`] | routes, requests, responses |
//! | [`rt`] | coroutines, time, waiting for fds |
//! | [`sync`] | locks and queues between coroutines and threads |
//! | [`pool`] | threads for what blocks or computes for long |
//! | [`net`] | sockets |
//! | [`process`] | several processes that serve one address |
//!
//! # Features
//!
//! None is on by default.
//!
//! | feature | what it adds |
//! | --- | --- |
//! | `hook` | The module `hook`: blocking calls of libc suspend a coroutine instead of its worker, in client libraries too. Defines `read`, `poll`, `connect` and so on for the whole program |
//! | `capi` | The C ABI that C and C++ programs link. Needs a C++ compiler. The CMake build turns it on; Rust programs have no use for it |
//!
//! Linux on x86-64 and aarch64, with glibc. The minimum supported Rust version is 1.88.

#![cfg_attr(docsrs, feature(doc_cfg))]
#![warn(missing_docs, missing_debug_implementations, unreachable_pub)]

#[macro_use]
mod setters;

#[cfg(feature = "hook")]
pub mod hook;
pub mod http;
pub mod net;
pub mod pool;
pub mod process;
pub mod rpc;
pub mod rt;
pub mod server;
pub mod sync;

mod protocol;
pub(crate) mod slab;
mod sys;
pub(crate) mod wheel;
pub(crate) mod wire;

pub use self::server::{Server, ServerOptions};

#[cfg(feature = "capi")]
#[doc(hidden)]
#[expect(missing_debug_implementations, reason = "only C has values of these types")]
pub mod ffi;
