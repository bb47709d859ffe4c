//! Decodes bodies: of a known length, or chunked.

use std::ops::Range;

use ::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::{Error, Framing, Limits, Scan};

/// Locates the bytes of a body in the input.
#[derive(Debug)]
pub(crate) struct BodyDecoder {
    state: State,
    /// Bytes by which the body may still grow.
    room: u64,
    limits: Limits,
    /// Bytes of chunk extensions so far.
    extensions: usize,
    trailers: HeaderMap,
}

/// The result of one decoding step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decoded {
    /// Bytes consumed.
    pub(crate) consumed: usize,
    /// Those of them that belong to the body.
    pub(crate) data: Range<usize>,
    /// The body is complete. If not, and there is no data, more bytes are needed.
    pub(crate) is_end: bool,
}

#[derive(Debug)]
enum State {
    /// N bytes of the body are left.
    Length(u64),
    /// In the size of a chunk, with this many digits so far.
    Size {
        size: u64,
        digits: u32,
    },
    /// After the size, in a chunk extension.
    Extension(u64),
    /// The CR of that line has been read.
    SizeLf(u64),
    /// In a chunk with N bytes left.
    Chunk(u64),
    ChunkCr,
    ChunkLf,
    Trailers {
        bytes: Vec<u8>,
        scan: Scan,
    },
    End,
}

impl BodyDecoder {
    pub(crate) fn new(framing: Framing, limits: &Limits) -> BodyDecoder {
        let state = match framing {
            Framing::Length(0) => State::End,
            Framing::Length(length) => State::Length(length),
            Framing::Chunked => State::Size { size: 0, digits: 0 },
        };
        let trailers = HeaderMap::new();
        BodyDecoder { state, room: limits.body, limits: *limits, extensions: 0, trailers }
    }

    pub(crate) fn is_end(&self) -> bool {
        matches!(self.state, State::End)
    }

    /// Returns the bytes that are left; `None` if only the peer knows.
    pub(crate) fn left(&self) -> Option<u64> {
        match self.state {
            State::Length(left) => Some(left),
            State::End => Some(0),
            _ => None,
        }
    }

    /// Returns the trailer fields. Those that a receiver acts on before the body are left out.
    pub(crate) fn trailers(&self) -> &HeaderMap {
        &self.trailers
    }

    /// Locates at most `max` contiguous bytes of the body.
    pub(crate) fn decode(&mut self, input: &[u8], max: usize) -> Result<Decoded, Error> {
        let mut at = 0;
        while at < input.len() || self.is_end() {
            match &mut self.state {
                State::End => return Ok(Decoded { consumed: at, data: at..at, is_end: true }),
                State::Length(left) | State::Chunk(left) => {
                    let there = (input.len() - at).min(max) as u64;
                    let count = there.min(*left);
                    *left -= count;
                    let data = at..at + count as usize;
                    if *left == 0 {
                        self.state = match self.state {
                            State::Length(_) => State::End,
                            _ => State::ChunkCr,
                        };
                    }
                    return Ok(Decoded { consumed: data.end, is_end: self.is_end(), data });
                }
                State::Trailers { .. } => at += self.take_trailers(&input[at..])?,
                _ => {
                    self.step(input[at])?;
                    at += 1;
                }
            }
        }
        Ok(Decoded { consumed: at, data: at..at, is_end: false })
    }

    /// Consumes one byte of the chunk framing.
    fn step(&mut self, byte: u8) -> Result<(), Error> {
        const MALFORMED: Error = Error::malformed("the framing of a chunk");
        self.state = match (&self.state, byte) {
            (&State::Size { size, digits }, _) if byte.is_ascii_hexdigit() => {
                if digits == MAX_DIGITS {
                    return Err(MALFORMED);
                }
                let digit = char::from(byte).to_digit(16).unwrap_or_default();
                State::Size { size: size << 4 | u64::from(digit), digits: digits + 1 }
            }
            (State::Size { digits: 0, .. }, _) => return Err(MALFORMED),
            (&State::Size { size, .. } | &State::Extension(size), b'\r') => State::SizeLf(size),
            (&State::Size { size, .. }, b';') => State::Extension(size),
            (&State::Extension(size), _) => {
                self.extensions += 1;
                if (byte < b' ' && byte != b'\t') || self.extensions > MAX_EXTENSIONS {
                    return Err(MALFORMED);
                }
                State::Extension(size)
            }
            (State::SizeLf(0), b'\n') => {
                State::Trailers { bytes: Vec::new(), scan: Scan::default() }
            }
            (&State::SizeLf(size), b'\n') => {
                let room = self.room.checked_sub(size);
                self.room = room.ok_or(Error::body_too_large())?;
                State::Chunk(size)
            }
            (State::ChunkCr, b'\r') => State::ChunkLf,
            (State::ChunkLf, b'\n') => State::Size { size: 0, digits: 0 },
            _ => return Err(MALFORMED),
        };
        Ok(())
    }

    /// Consumes bytes of the trailers, and returns how many.
    fn take_trailers(&mut self, input: &[u8]) -> Result<usize, Error> {
        let State::Trailers { bytes, scan } = &mut self.state else { return Ok(0) };
        let before = bytes.len();
        let room = self.limits.head - before;
        bytes.extend_from_slice(&input[..input.len().min(room)]);
        let Some(end) = scan.find(bytes, &self.limits).map_err(|_| TRAILERS)? else {
            return Ok(bytes.len() - before);
        };
        let mut space = vec![httparse::EMPTY_HEADER; scan.lines()];
        let parsed = httparse::parse_headers(&bytes[..end], &mut space);
        let fields = match parsed {
            Ok(httparse::Status::Complete((consumed, fields))) if consumed == end => fields,
            _ => return Err(TRAILERS),
        };
        for field in fields {
            let name = HeaderName::from_bytes(field.name.as_bytes());
            let value = HeaderValue::from_bytes(field.value);
            let (Ok(name), Ok(value)) = (name, value) else {
                return Err(TRAILERS);
            };
            if !NOT_IN_TRAILERS.contains(&name.as_str()) {
                self.trailers.append(name, value);
            }
        }
        self.state = State::End;
        Ok(end - before)
    }
}

const TRAILERS: Error = Error::malformed("the trailers");
/// Enough for 2^64.
const MAX_DIGITS: u32 = 16;
/// The maximum size of the extensions of all chunks of a body, in bytes.
const MAX_EXTENSIONS: usize = 16 << 10;
/// Fields that a receiver has acted on already (RFC 9110, 6.5.1).
const NOT_IN_TRAILERS: &[&str] = &[
    "authorization",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "cookie",
    "expect",
    "host",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
