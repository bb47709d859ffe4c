//! The body of a request, read as it arrives.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;

use super::HeaderMap;
use super::body_channel::BodyChannel;

/// The body of a request, read on demand: while the handler does not read, the client is not read from.
/// Reading suspends the coroutine, blocks a plain thread. It can be read until the request is
/// answered; what is not read until then is thrown away.
pub struct Body {
    kind: Kind,
    length: Option<u64>,
}

enum Kind {
    Here { bytes: Vec<u8>, at: usize },
    Coming(Arc<BodyChannel>),
}

impl Body {
    pub(super) fn here(bytes: Vec<u8>) -> Body {
        let length = Some(bytes.len() as u64);
        Body { kind: Kind::Here { bytes, at: 0 }, length }
    }

    pub(super) fn coming(channel: Arc<BodyChannel>, length: Option<u64>) -> Body {
        Body { kind: Kind::Coming(channel), length }
    }

    /// Its bytes, read or not; `None` if the client did not say beforehand.
    pub fn length(&self) -> Option<u64> {
        self.length
    }

    /// Reads what is left of it.
    ///
    /// # Errors
    /// `TimedOut`, `UnexpectedEof`, `InvalidData` for what is malformed or larger than
    /// [`max_body`](super::Options::max_body): the client is answered accordingly, whatever the
    /// handler answers.
    pub fn read_all(&mut self) -> io::Result<Vec<u8>> {
        if let Kind::Here { bytes, at: 0 } = &mut self.kind {
            return Ok(std::mem::take(bytes));
        }
        let mut bytes = Vec::new();
        self.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads what is left of it, and keeps it here.
    ///
    /// # Errors
    /// As for [`read_all`](Body::read_all).
    pub(super) fn gather(&mut self) -> io::Result<&[u8]> {
        if let Kind::Coming(_) = &self.kind {
            let bytes = self.read_all()?;
            self.kind = Kind::Here { bytes, at: 0 };
        }
        match &self.kind {
            Kind::Here { bytes, at } => Ok(&bytes[*at..]),
            Kind::Coming(_) => unreachable!("gathered above"),
        }
    }

    /// Fields that followed a body in chunks; empty until its end was read, and after the answer.
    pub fn trailers(&self) -> HeaderMap {
        match &self.kind {
            Kind::Here { .. } => HeaderMap::new(),
            Kind::Coming(channel) => {
                channel.look(|reader| reader.decoder.trailers().clone()).unwrap_or_default()
            }
        }
    }
}

impl Read for Body {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.kind {
            Kind::Here { bytes, at } => {
                let count = (&bytes[*at..]).read(buffer)?;
                *at += count;
                Ok(count)
            }
            Kind::Coming(channel) => channel.read(buffer),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("length", &self.length).finish_non_exhaustive()
    }
}
