//! The protocols of frames that a client can speak.

/// What a [`Client`](super::Client) speaks. A [`Server`](crate::Server) speaks all of them on each
/// of its ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The protocol of brpc: error codes, attachments, compression.
    #[default]
    BaiduStd,
    /// The HTTP-like frames of the original fastrpc. A server of today is told that we read the
    /// fields it lacked, and so answers with errors; an old one stays silent, and the call runs
    /// out of time. There are no log ids and no compression; a call with an attachment fails.
    Original,
}
