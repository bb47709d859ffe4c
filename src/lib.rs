//! fastrpc: plain blocking code, asynchronous efficiency.
//!
//! Coroutines with real stacks that never change thread, and an RPC server and client on top of
//! them. See `docs/architecture.md` for how the layers fit together.

#![warn(missing_docs, unreachable_pub)]

pub mod net;
pub mod pool;
pub mod rpc;
pub mod rt;
pub mod sync;

mod sys;
#[cfg_attr(not(test), expect(dead_code, reason = "its length is for its tests"))]
pub(crate) mod wheel;
#[cfg_attr(
    not(test),
    expect(dead_code, unused_imports, reason = "a whole codec, of which RPC does not use all")
)]
pub(crate) mod wire;

#[cfg(feature = "capi")]
#[doc(hidden)]
pub mod ffi;
