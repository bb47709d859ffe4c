//! Why bytes could not be decoded or encoded.

use std::fmt;

use super::Compress;

/// Why bytes could not be decoded or encoded. The text is for people; code uses the predicates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Error {
    kind: Kind,
}

#[cfg(test)]
impl Error {
    /// Whether the bytes belong to another protocol. More bytes never change that.
    pub(crate) fn is_wrong_protocol(&self) -> bool {
        matches!(self.kind, Kind::Magic)
    }

    /// Whether a limit was exceeded: the frame's, the decompressed data's or the format's own.
    pub(crate) fn is_too_large(&self) -> bool {
        matches!(
            self.kind,
            Kind::FrameTooLarge { .. }
                | Kind::BodyTooLarge { .. }
                | Kind::HeadTooLong
                | Kind::Unencodable
                | Kind::OutputTooLarge { .. }
        )
    }

    /// Whether the bytes violate the format.
    pub(crate) fn is_malformed(&self) -> bool {
        matches!(
            self.kind,
            Kind::MetaSize { .. }
                | Kind::Meta
                | Kind::Attachment { .. }
                | Kind::Length
                | Kind::Text
                | Kind::Corrupt(_)
        )
    }

    /// Whether the bytes may be valid, but name a compression or content type that is not
    /// supported.
    pub(crate) fn is_unsupported(&self) -> bool {
        matches!(self.kind, Kind::UnknownCompression(_) | Kind::UnknownContent(_))
    }
}

impl Error {
    /// Returns the call that the bad frame belongs to, if that much could be decoded.
    ///
    /// `Some` means that the frame's boundaries are known and the next frame can be decoded: a
    /// server can respond to this call with an error and continue. `None` from a decoder means that
    /// the stream is lost.
    pub(crate) fn correlation_id(&self) -> Option<i64> {
        match self.kind {
            Kind::Attachment { correlation_id, .. } => Some(correlation_id),
            _ => None,
        }
    }

    pub(super) fn magic() -> Error {
        Error { kind: Kind::Magic }
    }

    pub(super) fn frame_too_large(size: u32, limit: usize) -> Error {
        Error { kind: Kind::FrameTooLarge { size, limit } }
    }

    pub(super) fn body_too_large(size: usize, limit: usize) -> Error {
        Error { kind: Kind::BodyTooLarge { size, limit } }
    }

    pub(super) fn head_too_long() -> Error {
        Error { kind: Kind::HeadTooLong }
    }

    pub(super) fn text() -> Error {
        Error { kind: Kind::Text }
    }

    pub(super) fn length() -> Error {
        Error { kind: Kind::Length }
    }

    pub(super) fn meta_size(meta: u32, body: u32) -> Error {
        Error { kind: Kind::MetaSize { meta, body } }
    }

    pub(super) fn meta() -> Error {
        Error { kind: Kind::Meta }
    }

    pub(super) fn attachment(size: i32, left: usize, correlation_id: i64) -> Error {
        Error { kind: Kind::Attachment { size, left, correlation_id } }
    }

    pub(super) fn unencodable() -> Error {
        Error { kind: Kind::Unencodable }
    }

    pub(super) fn unknown_compression(number: i32) -> Error {
        Error { kind: Kind::UnknownCompression(number) }
    }

    pub(super) fn unknown_content(number: i32) -> Error {
        Error { kind: Kind::UnknownContent(number) }
    }

    pub(super) fn corrupt(kind: Compress) -> Error {
        Error { kind: Kind::Corrupt(kind) }
    }

    pub(super) fn output_too_large(limit: usize) -> Error {
        Error { kind: Kind::OutputTooLarge { limit } }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Magic => f.write_str("not a frame of this protocol"),
            Kind::FrameTooLarge { size, limit } => {
                write!(f, "frame of {size} bytes exceeds the limit of {limit}")
            }
            Kind::BodyTooLarge { size, limit } => {
                write!(f, "body of {size} bytes exceeds the limit of {limit}")
            }
            Kind::HeadTooLong => f.write_str("head without an end"),
            Kind::Text => f.write_str("a name or an id is too long for a head, or not printable"),
            Kind::Length => f.write_str("Content-Length is no number, or two of them"),
            Kind::MetaSize { meta, body } => {
                write!(f, "meta of {meta} bytes does not fit into a body of {body}")
            }
            Kind::Meta => f.write_str("meta is not a valid RpcMeta message"),
            Kind::Attachment { size, left, .. } => {
                write!(f, "attachment of {size} bytes does not fit into the {left} after the meta")
            }
            Kind::Unencodable => f.write_str("message is larger than the frame format can say"),
            Kind::UnknownCompression(number) => write!(f, "unknown compression type {number}"),
            Kind::UnknownContent(number) => {
                write!(f, "content of type {number}, and only protobuf (0) is understood")
            }
            Kind::Corrupt(kind) => write!(f, "corrupt {} data", kind.name()),
            Kind::OutputTooLarge { limit } => {
                write!(f, "decompressed data exceeds the limit of {limit} bytes")
            }
        }
    }
}

impl std::error::Error for Error {}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Kind {
    Magic,
    FrameTooLarge { size: u32, limit: usize },
    BodyTooLarge { size: usize, limit: usize },
    HeadTooLong,
    Length,
    Text,
    MetaSize { meta: u32, body: u32 },
    Meta,
    Attachment { size: i32, left: usize, correlation_id: i64 },
    Unencodable,
    UnknownCompression(i32),
    UnknownContent(i32),
    Corrupt(Compress),
    OutputTooLarge { limit: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_satisfies_exactly_one_predicate() {
        let all = [
            Error::magic(),
            Error::frame_too_large(9, 8),
            Error::body_too_large(9, 8),
            Error::head_too_long(),
            Error::length(),
            Error::text(),
            Error::meta_size(9, 8),
            Error::meta(),
            Error::attachment(-1, 0, 7),
            Error::unencodable(),
            Error::unknown_compression(4),
            Error::unknown_content(1),
            Error::corrupt(Compress::Gzip),
            Error::output_too_large(1),
        ];
        for error in all {
            let predicates = [
                error.is_wrong_protocol(),
                error.is_too_large(),
                error.is_malformed(),
                error.is_unsupported(),
            ];
            assert_eq!(predicates.iter().filter(|yes| **yes).count(), 1, "{error}");
        }
        assert_eq!(Error::attachment(-1, 0, 7).correlation_id(), Some(7));
        assert_eq!(Error::meta().correlation_id(), None);
    }
}
