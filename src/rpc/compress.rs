use crate::wire;

/// How a body is compressed on the wire. Attachments never are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compress {
    /// Not at all.
    #[default]
    None,
    /// Snappy, block format.
    Snappy,
    /// Gzip (RFC 1952).
    Gzip,
    /// Zlib (RFC 1950).
    Zlib,
}

impl From<Compress> for wire::Compress {
    fn from(compress: Compress) -> Self {
        match compress {
            Compress::None => wire::Compress::None,
            Compress::Snappy => wire::Compress::Snappy,
            Compress::Gzip => wire::Compress::Gzip,
            Compress::Zlib => wire::Compress::Zlib,
        }
    }
}

impl From<wire::Compress> for Compress {
    fn from(compress: wire::Compress) -> Self {
        match compress {
            wire::Compress::None => Compress::None,
            wire::Compress::Snappy => Compress::Snappy,
            wire::Compress::Gzip => Compress::Gzip,
            wire::Compress::Zlib => Compress::Zlib,
        }
    }
}
