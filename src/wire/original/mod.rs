//! The frames of the original fastrpc: an HTTP-like head and a protobuf message.
//!
//! ```text
//! request   POST / HTTP/1.1   op: <package.Service.Method>   cli_id: <number>   Content-Length: <n>
//! response  POST / HTTP/1.1   cli_id: <the request's>        Content-Length: <n>
//! push      POST / HTTP/1.1   mes_name: <message type>       Content-Length: <n>
//! ```
//!
//! Old peers compare names byte by byte and require exactly one space after the colon, so frames
//! are written that way. Reading is as lenient as the old library was, and no more.
//!
//! The old frames cannot say that a call failed, nor how long a client waits. A request with
//! `fastrpc_ver: 2` announces a peer that reads further fields: `status` and `err` of a response,
//! `timeout_ms` and `trace_id` of a request.

mod decode;
mod encode;
mod head;

#[cfg(test)]
mod golden;
#[cfg(test)]
mod properties;

pub(crate) use self::decode::{Decoder, Frame, Step};
pub(crate) use self::encode::{
    RequestHead, encode_error, encode_push, encode_request, encode_response, encode_unknown_method,
};
pub(crate) use self::head::{Head, Parsed};
