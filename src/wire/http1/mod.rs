//! HTTP/1.1 and 1.0 as a server reads and writes them.
//!
//! Ambiguous requests are rejected, since an intermediary may have parsed them differently (request
//! smuggling): lengths that repeat or contradict each other, a length beside a transfer coding,
//! lines that end in a lone CR or LF, folded lines, whitespace before a colon.

mod body;
mod encode;
mod error;
mod head;
mod raw;
mod scan;

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(crate) use self::body::BodyDecoder;
pub(crate) use self::encode::{
    CONTINUE, Connection, ResponseHead, encode_chunk, encode_head, encode_last_chunk,
};
pub(crate) use self::error::Error;
pub(crate) use self::head::{Framing, Head, tokens};
pub(crate) use self::raw::RawResponse;
pub(crate) use self::scan::Scan;

/// The limits on what a peer can make us hold.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of a head, and of the trailers.
    pub(crate) head: usize,
    /// Fields of a head.
    pub(crate) fields: usize,
    /// Bytes of the request target.
    pub(crate) target: usize,
    /// Bytes of a body, without its chunks' framing.
    pub(crate) body: u64,
}
