//! The protocols that a client can speak.

/// What a [`Client`](super::Client) speaks. A [`Server`](crate::Server) speaks all of them on each
/// of its ports.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Protocol {
    /// The protocol of brpc: error codes, attachments, compression.
    #[default]
    BaiduStd,
    /// The HTTP-like frames of the original fastrpc. Requests announce that this client reads the
    /// fields that the original frames lack, so that a server of today responds with errors; an
    /// original server stays silent, and the call times out. There are no log ids and no
    /// compression; a call with an attachment fails.
    Original,
}
