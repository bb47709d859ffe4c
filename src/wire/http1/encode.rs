//! Encodes response heads and chunks.

use ::http::header::{self, HeaderMap};
use ::http::{StatusCode, Version};

use super::Framing;

/// The head of a response.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResponseHead<'a> {
    pub(crate) status: StatusCode,
    /// Framing fields and the date are left out: the encoder writes its own.
    pub(crate) fields: &'a HeaderMap,
    /// `None` for a response without a body, and for one that ends with the connection.
    pub(crate) framing: Option<Framing>,
    pub(crate) connection: Connection,
    /// The current date, in HTTP's format.
    pub(crate) date: &'a str,
}

/// What a response says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Connection {
    /// The default of the request's version.
    AsExpected,
    KeepAlive,
    Close,
}

impl Connection {
    pub(crate) fn new(version: Version, keep_alive: bool) -> Connection {
        match (keep_alive, version) {
            (false, _) => Connection::Close,
            (true, Version::HTTP_10) => Connection::KeepAlive,
            (true, _) => Connection::AsExpected,
        }
    }
}

/// Appends a response head.
pub(crate) fn encode_head(out: &mut Vec<u8>, head: &ResponseHead<'_>) {
    out.reserve(256);
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(head.status.as_str().as_bytes());
    out.push(b' ');
    out.extend_from_slice(head.status.canonical_reason().unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    for (name, value) in head.fields {
        if is_ours(name) {
            continue;
        }
        put_name(out, name.as_str());
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    match head.framing {
        Some(Framing::Length(length)) => {
            out.extend_from_slice(b"Content-Length: ");
            out.extend_from_slice(itoa::Buffer::new().format(length).as_bytes());
            out.extend_from_slice(b"\r\n");
        }
        Some(Framing::Chunked) => out.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        None => {}
    }
    match head.connection {
        Connection::AsExpected => {}
        Connection::KeepAlive => out.extend_from_slice(b"Connection: keep-alive\r\n"),
        Connection::Close => out.extend_from_slice(b"Connection: close\r\n"),
    }
    out.extend_from_slice(b"Date: ");
    out.extend_from_slice(head.date.as_bytes());
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends a chunk. Nothing is appended for empty input: an empty chunk would end the body.
pub(crate) fn encode_chunk(out: &mut Vec<u8>, bytes: &[u8]) {
    if bytes.is_empty() {
        return;
    }
    let mut digits = [0; 16];
    let mut size = bytes.len();
    let mut first = digits.len();
    while size > 0 {
        first -= 1;
        digits[first] = b"0123456789abcdef"[size & 15];
        size >>= 4;
    }
    out.extend_from_slice(&digits[first..]);
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(bytes);
    out.extend_from_slice(b"\r\n");
}

/// Appends the last chunk, which ends a chunked body.
pub(crate) fn encode_last_chunk(out: &mut Vec<u8>) {
    out.extend_from_slice(b"0\r\n\r\n");
}

/// Tells the client to send the body.
pub(crate) const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

fn is_ours(name: &header::HeaderName) -> bool {
    *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || *name == header::DATE
}

/// Appends a field name in capitalized form, since some clients know no other spelling.
fn put_name(out: &mut Vec<u8>, name: &str) {
    let start = out.len();
    out.extend_from_slice(name.as_bytes());
    let mut begins = true;
    for byte in &mut out[start..] {
        if begins {
            byte.make_ascii_uppercase();
        }
        begins = *byte == b'-';
    }
    out.extend_from_slice(b": ");
}
