//! The baidu_std protocol: frames of a 12-byte head, an `RpcMeta` message, a body (a protobuf
//! message, perhaps compressed) and an attachment (plain bytes).
//!
//! Decoding borrows from the input and does not allocate; encoding appends to the caller's buffer.
//! [`meta`] has the complete messages, derived by prost; [`MetaView`] reads the same bytes without
//! allocating and is what calls use.

mod decode;
mod encode;
mod head;
pub(crate) mod meta;
mod view;

#[cfg(test)]
mod arbitrary;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;

#[allow(unused_imports, reason = "the fuzz target decodes step by step")]
pub(crate) use self::decode::Step;
pub(crate) use self::decode::{Decoder, Frame};
pub(crate) use self::encode::{RequestHead, ResponseHead, encode_request, encode_response};
pub(crate) use self::head::{Head, parse_head};
pub(crate) use self::view::MetaView;

/// The user field of a request by which a client announces that it accepts pushes.
pub(crate) const PUSH_FIELD: &[u8] = b"fastrpc_push";
/// The service name of pushes, which are requests; their method is the message's name.
pub(crate) const PUSH_SERVICE: &str = "fastrpc.Push";
