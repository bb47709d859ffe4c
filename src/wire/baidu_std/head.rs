//! The twelve bytes in front of each frame.

use crate::wire::Error;

/// The fixed part in front of every frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    /// Meta, body and attachment together.
    pub(crate) body_size: u32,
    pub(crate) meta_size: u32,
}

impl Head {
    pub(crate) const LEN: usize = 12;

    /// The magic number of each frame, with which a connection of this protocol begins.
    pub(crate) const MAGIC: [u8; 4] = *b"PRPC";

    pub(crate) fn to_bytes(self) -> [u8; Head::LEN] {
        let [m0, m1, m2, m3] = Head::MAGIC;
        let [b0, b1, b2, b3] = self.body_size.to_be_bytes();
        let [n0, n1, n2, n3] = self.meta_size.to_be_bytes();
        [m0, m1, m2, m3, b0, b1, b2, b3, n0, n1, n2, n3]
    }
}

/// Reads the head of a frame; `None` if there are too few bytes.
///
/// Bytes that cannot become a head are rejected as early as possible, so that this also serves to
/// detect the protocol. Sizes that contradict each other are an error; whether they are acceptable
/// is decided by the [`Decoder`](super::Decoder).
#[inline]
pub(crate) fn parse_head(input: &[u8]) -> Result<Option<Head>, Error> {
    let Some((head, _)) = input.split_first_chunk::<{ Head::LEN }>() else {
        let known = input.len().min(Head::MAGIC.len());
        return if input[..known] == Head::MAGIC[..known] { Ok(None) } else { Err(Error::magic()) };
    };
    let [m0, m1, m2, m3, b0, b1, b2, b3, n0, n1, n2, n3] = *head;
    if [m0, m1, m2, m3] != Head::MAGIC {
        return Err(Error::magic());
    }
    let body_size = u32::from_be_bytes([b0, b1, b2, b3]);
    let meta_size = u32::from_be_bytes([n0, n1, n2, n3]);
    if meta_size > body_size {
        return Err(Error::meta_size(meta_size, body_size));
    }
    Ok(Some(Head { body_size, meta_size }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_big_endian() {
        let head = Head { body_size: 0x0102_0304, meta_size: 0x0000_0506 };
        let bytes = head.to_bytes();
        assert_eq!(&bytes, b"PRPC\x01\x02\x03\x04\x00\x00\x05\x06");
        assert_eq!(parse_head(&bytes), Ok(Some(head)));
        assert_eq!(parse_head(&bytes[..11]), Ok(None));
        assert_eq!(parse_head(b""), Ok(None));
    }

    #[test]
    fn another_protocol_is_detected_at_its_first_wrong_byte() {
        for input in
            [&b"G"[..], b"PR", b"PRP", b"PRPC", b"POST", b"PRI * HTTP/2", b"PRPX\0\0\0\0\0\0\0\0"]
        {
            let expected = !b"PRPC".starts_with(input);
            let got = matches!(parse_head(input), Err(error) if error.is_wrong_protocol());
            assert_eq!(got, expected, "{input:?}");
        }
    }

    #[test]
    fn meta_must_fit_into_the_body() {
        let equal = Head { body_size: 5, meta_size: 5 };
        assert_eq!(parse_head(&equal.to_bytes()), Ok(Some(equal)));
        let more = Head { body_size: 5, meta_size: 6 }.to_bytes();
        assert!(parse_head(&more).unwrap_err().is_malformed());
    }
}
