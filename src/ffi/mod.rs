//! The C ABI, `include/fastrpc/fastrpc.h` (feature `capi`).
//!
//! Converts, guards and calls the public Rust API, and holds no logic of its own;
//! `tests/ffi_outside` compiles it outside of this crate to keep it so. Every export is written out
//! with one closure as its body: [`guard::guard`] catches panics and refuses calls in a forked
//! child. Pointers from C become Rust values only through [`own`] (opaque handles) and [`arg`]
//! (bytes, text, options); user callbacks run only through [`callback`], the one place where Rust
//! calls C or C++.
//!
//! Each public module is a chapter of the header; `tests/abi_header.rs` generates it from these files
//! and compares.

#![expect(non_camel_case_types, reason = "these are the names that C sees")]

mod arg;
mod guard;
mod own;
mod shared_call;

// The chapters of the header, in its order.
pub mod version;

pub mod status;

pub mod error;

pub mod code;

pub mod callback;

pub mod logging;

pub mod runtime;

pub mod coroutine;

pub mod local;

pub mod timer;

pub mod fd;

pub mod hook;

pub mod mutex;

pub mod semaphore;

pub mod queue;

pub mod pool;

pub mod process;

pub mod server;

pub mod message;

pub mod call;

pub mod reply;

pub mod connection;

pub mod http;

pub mod http_request;

pub mod http_body;

pub mod client;

pub mod cancellation;

pub mod client_call;

pub mod response;

pub mod client_events;
