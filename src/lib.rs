//! fastrpc: plain blocking code, asynchronous efficiency.
//!
//! Coroutines with real stacks that never change thread, and an RPC server and client on top of
//! them. See `docs/architecture.md` for how the layers fit together.
//!
//! ```
//! use fastrpc::rpc::{CallOptions, Client, ClientOptions};
//! use fastrpc::{Server, ServerOptions};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let server = Server::new(ServerOptions::default());
//! server.add_method("demo.EchoService", "Echo", |call| {
//!     let body = call.request().to_vec(); // each call has a coroutine: it may block
//!     call.reply(&body);
//! })?;
//! let addr = server.listen("127.0.0.1:0")?;
//!
//! let client = Client::new(addr, ClientOptions::new())?;
//! let response = client.call("demo.EchoService", "Echo", b"hello", &CallOptions::new())?;
//! assert_eq!(response.body(), b"hello");
//! # Ok(())
//! # }
//! ```
//!
//! These are bytes. From `.proto` files the crate `fastrpc-build` makes a trait for each service,
//! to be implemented, and a client: the README has an example.

#![warn(missing_docs, unreachable_pub)]

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
#[cfg_attr(not(test), expect(dead_code, reason = "its length is for its tests"))]
pub(crate) mod wheel;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "a whole codec, of which RPC does not use all")
)]
pub(crate) mod wire;

pub use self::server::{Server, ServerOptions};

#[cfg(feature = "capi")]
#[doc(hidden)]
pub mod ffi;
