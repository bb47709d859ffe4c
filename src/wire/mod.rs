//! Layer 0: what goes over the wire, as pure functions over byte slices.
//!
//! Offers frames, their metadata, compression and error codes, without I/O: bytes in, bytes or a
//! typed [`Error`] out. It must never panic, whatever a peer sends, never allocate more than its
//! caller's limit because of a number a peer sent, and never use `unsafe`.

// What it may call: nothing.

#![forbid(unsafe_code)]

pub(crate) mod baidu_std;
mod code;
pub(crate) mod compress;
mod error;
pub(crate) mod http1;
pub(crate) mod original;
mod proto;

pub use self::code::Code;
pub use self::compress::Compress;
pub(crate) use self::error::Error;
