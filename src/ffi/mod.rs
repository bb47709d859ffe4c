//! The C ABI, `include/fastrpc/fastrpc.h` (feature `capi`).
//!
//! Each public module is a chapter of the header, which `tests/abi_header.rs` generates from these
//! files and compares.

// What it may call: rt, net, sync, rpc, http, server, pool, process, hook.
//
// Of these the public API alone: `tests/ffi_outside` compiles this folder outside of the crate.
//
// What holds: it converts, guards and calls, without logic of its own. Every export is written out
// with one closure as its body: `guard` catches panics and refuses calls in a forked child.
// Pointers from C become Rust values only through `own` (opaque handles) and `arg` (bytes, text,
// options); the user's callbacks run only through `callback`, the one place where Rust calls C or
// C++.
//
// What it must never do: let a panic or an exception cross the border; forget to call a `drop`.

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
