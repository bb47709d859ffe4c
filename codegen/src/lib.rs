//! Generates Rust services and clients for [fastrpc] from `.proto` files, in a build script.
//!
//! The messages are those of [prost]. For a `service Echo` with a method
//! `rpc Say(Text) returns (Text)` there are also:
//!
//! - a trait `Echo` with a method `say` in plain blocking style, which the server implements;
//! - `EchoServer`, which adds an implementation to a `fastrpc::Server`;
//! - `EchoClient`, which calls the service through a `fastrpc::rpc::Client`: `say` waits for the
//!   response, `say_async` runs a callback with it.
//!
//! On the wire a method has its name from the `.proto` file, so that peers in other languages find
//! it.
//!
//! # Use
//!
//! `Cargo.toml`:
//!
//! ```toml
//! [dependencies]
//! fastrpc = "0.1"
//! prost = "0.14"
//! # prost-types = "0.14"   # for messages of google.protobuf, such as Timestamp
//!
//! [build-dependencies]
//! fastrpc-build = "0.1"
//! ```
//!
//! `build.rs`:
//!
//! ```no_run
//! fn main() -> std::io::Result<()> {
//!     fastrpc_build::compile_protos(&["proto/echo.proto"], &["proto"])
//! }
//! ```
//!
//! In the program, for `package demo;`:
//!
//! ```ignore
//! mod demo {
//!     fastrpc::include_proto!("demo");
//! }
//!
//! struct Speaker;
//!
//! impl demo::Echo for Speaker {
//!     fn say(&self, request: demo::Text, call: &Call) -> Result<Response<demo::Text>, Error> {
//!         println!("{} says {}", call.peer(), request.text);
//!         Ok(request.into())
//!     }
//! }
//!
//! server.add_service(demo::EchoServer::new(Speaker))?;
//! let response = demo::EchoClient::new(&client).say(&text, &CallOptions::default())?;
//! ```
//!
//! A request comes with its `Call`: peer, log id, deadline, attachment, whether the client still
//! waits. A `Response` may carry an attachment, or be deferred (`Response::deferred`). An `Error`
//! has a code and a text, which reach the client unchanged.
//!
//! # Reading the `.proto` files
//!
//! By default [protox] reads them, a compiler in Rust that becomes part of the build script, so
//! that nothing has to be installed. [`Builder::protoc`] runs `protoc` instead. Without the feature
//! `protox`, `protoc` always runs, and protox is not built at all. `protoc` is searched for in
//! `PATH` unless the environment variable `PROTOC` names it.
//!
//! # Names
//!
//! A method's name in Rust is its name in snake case: keywords get `r#` or a trailing `_`, as prost
//! does it for fields. A name that is taken, because two methods differ in case only, or a method
//! is called `EchoAsync` beside `Echo`, or `New`, gets a trailing `_`.
//!
//! # Limitations
//!
//! Streaming methods are an error: the protocol has none.
//!
//! [fastrpc]: https://docs.rs/fastrpc
//! [prost]: https://docs.rs/prost
//! [protox]: https://docs.rs/protox

#![warn(missing_docs, unreachable_pub)]

mod builder;
mod generator;
mod names;

use std::io;
use std::path::Path;

pub use self::builder::Builder;

/// Compiles `.proto` files, and what they import, into `OUT_DIR`: a file `package.rs` for each
/// package, `_.rs` for those without. [`Builder`] has options.
///
/// `includes` are the directories in which the files and their imports are searched for.
///
/// # Errors
/// When a file cannot be read or is invalid, when a method streams, and when the output cannot be
/// written.
pub fn compile_protos(
    protos: &[impl AsRef<Path>],
    includes: &[impl AsRef<Path>],
) -> io::Result<()> {
    Builder::new().compile_protos(protos, includes)
}
