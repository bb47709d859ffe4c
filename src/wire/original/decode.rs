//! Splits a byte stream into frames of the original fastrpc.

use super::head::{Head, Parsed};
use crate::wire::Error;

/// Splits a byte stream into frames. Keeps no state between calls: the caller owns the buffer and
/// removes from it what was consumed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decoder {
    max_body: usize,
}

/// The result of decoding the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    Frame(Frame<'a>),
    /// The head is incomplete: how much is missing is unknown.
    NeedHead,
    /// N bytes of the body are missing. Never 0, and never more than the limit.
    NeedBody(usize),
}

/// A complete frame, borrowed from the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'a> {
    pub(crate) head: Head<'a>,
    /// The message; empty for a GET.
    pub(crate) body: &'a [u8],
}

impl Decoder {
    /// Creates a decoder of frames with at most `max_body` bytes after their head.
    pub(crate) const fn new(max_body: usize) -> Decoder {
        Decoder { max_body }
    }

    /// Decodes the frame that `input` begins with. An error is final for the stream.
    pub(crate) fn decode<'a>(&self, input: &'a [u8]) -> Result<Step<'a>, Error> {
        let Parsed::Head(head) = Head::parse(input)? else { return Ok(Step::NeedHead) };
        if head.body_len > self.max_body {
            return Err(Error::body_too_large(head.body_len, self.max_body));
        }
        let rest = &input[head.len..];
        let Some(body) = rest.get(..head.body_len) else {
            return Ok(Step::NeedBody(head.body_len - rest.len()));
        };
        Ok(Step::Frame(Frame { head, body: if head.is_get { &[] } else { body } }))
    }
}

impl Frame<'_> {
    /// Returns the length on the wire, head included.
    pub(crate) fn len(&self) -> usize {
        self.head.len + self.head.body_len
    }
}
