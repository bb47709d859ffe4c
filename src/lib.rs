//! fastrpc: plain blocking code, asynchronous efficiency.
//!
//! Coroutines with real stacks that never change thread, and an RPC server and client on top of
//! them. See `docs/architecture.md` for how the layers fit together.

pub mod net;
pub mod rpc;
pub mod rt;
pub mod sync;

mod sys;
pub(crate) mod wheel;
pub(crate) mod wire;

#[cfg(feature = "capi")]
#[doc(hidden)]
pub mod ffi;
