//! The sources of the C ABI, compiled outside of the crate `fastrpc`.
//!
//! What `crate::` means in them is here no more than what the crate exports, methods included: the
//! law that `ffi` calls the public Rust API is kept by the compiler.

#[cfg(feature = "hook")]
use fastrpc::hook;
use fastrpc::{http, net, pool, process, rpc, rt, server, sync};

#[path = "../../../src/ffi/mod.rs"]
#[doc(hidden)]
pub mod ffi;
