//! The part of protobuf's wire format that the hot path needs: a reader that borrows and writers
//! that append.

/// Reads a message field by field. `None` from any method means that the bytes are not valid
/// protobuf; prost decides the same.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(message: &'a [u8]) -> Reader<'a> {
        Reader { rest: message }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Returns the next field's key (number and wire type), or `None` inside at the end of the
    /// message.
    #[inline]
    pub(super) fn next_key(&mut self) -> Option<Option<u32>> {
        if self.is_empty() { Some(None) } else { self.key().map(Some) }
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Option<u64> {
        match self.rest {
            [byte, rest @ ..] if *byte < 0x80 => {
                self.rest = rest;
                Some(u64::from(*byte))
            }
            _ => self.long_varint(),
        }
    }

    /// Reads an `int64`.
    #[inline]
    pub(super) fn int64(&mut self) -> Option<i64> {
        self.varint().map(|value| value as i64)
    }

    /// Reads an `int32` or an enum: the low bits count, as everywhere in protobuf.
    #[inline]
    pub(super) fn int32(&mut self) -> Option<i32> {
        self.varint().map(|value| value as i32)
    }

    #[inline]
    pub(super) fn bytes(&mut self) -> Option<&'a [u8]> {
        let len = usize::try_from(self.varint()?).ok()?;
        let (bytes, rest) = self.rest.split_at_checked(len)?;
        self.rest = rest;
        Some(bytes)
    }

    #[inline]
    pub(super) fn str(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.bytes()?).ok()
    }

    /// Skips the value of a field that the message's reader does not name.
    ///
    /// `last` is the highest number the message defines (its numbers start at 1 and have no gap):
    /// one of them arriving here has the wrong wire type. `depth` is how deeply groups may nest.
    #[cold]
    pub(super) fn skip_unknown(&mut self, key: u32, last: u32, depth: u32) -> Option<()> {
        if key >> 3 <= last { None } else { self.skip(key, depth) }
    }

    fn skip(&mut self, key: u32, depth: u32) -> Option<()> {
        if depth == 0 {
            return None;
        }
        match key & 7 {
            VARINT => self.varint().map(drop),
            FIXED64 => self.skip_bytes(8),
            LEN => self.bytes().map(drop),
            FIXED32 => self.skip_bytes(4),
            START_GROUP => loop {
                let inner = self.key()?;
                match inner & 7 {
                    _ if inner >> 3 == 0 => return None,
                    END_GROUP if inner >> 3 == key >> 3 => return Some(()),
                    _ => self.skip(inner, depth - 1)?,
                }
            },
            _ => None,
        }
    }

    fn skip_bytes(&mut self, len: usize) -> Option<()> {
        self.rest = self.rest.get(len..)?;
        Some(())
    }

    #[inline]
    fn key(&mut self) -> Option<u32> {
        u32::try_from(self.varint()?).ok()
    }

    fn long_varint(&mut self) -> Option<u64> {
        let mut value = 0;
        for (i, byte) in self.rest.iter().take(MAX_VARINT).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * i);
            if *byte < 0x80 {
                // A tenth byte contributes only one bit of the 64.
                if i == MAX_VARINT - 1 && *byte > 1 {
                    return None;
                }
                self.rest = self.rest.get(i + 1..)?;
                return Some(value);
            }
        }
        None
    }
}

/// Returns a field's key. Of the wire types only those in use have a name outside of this file.
pub(super) const fn key(number: u32, wire_type: u32) -> u32 {
    number << 3 | wire_type
}

pub(super) const VARINT: u32 = 0;
const FIXED64: u32 = 1;
pub(super) const LEN: u32 = 2;
const START_GROUP: u32 = 3;
const END_GROUP: u32 = 4;
const FIXED32: u32 = 5;

/// How deeply messages and groups may nest, the outermost message included (prost's limit).
pub(super) const MAX_DEPTH: u32 = 100;

const MAX_VARINT: usize = 10;

/// Returns how many bytes a varint takes.
#[inline]
pub(super) fn varint_len(value: u64) -> usize {
    let bits = 64 - (value | 1).leading_zeros() as usize;
    bits.div_ceil(7)
}

/// Returns the length of a field of wire type [`LEN`] with a one-byte key.
#[inline]
pub(super) fn bytes_field_len(len: usize) -> usize {
    1 + varint_len(len as u64) + len
}

/// Returns the length of an integer field with a one-byte key. An `int32` is sign-extended first.
#[inline]
pub(super) fn int_field_len(value: i64) -> usize {
    1 + varint_len(value as u64)
}

#[inline]
pub(super) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

#[inline]
pub(super) fn put_int_field(out: &mut Vec<u8>, number: u8, value: i64) {
    out.push(number << 3);
    put_varint(out, value as u64);
}

#[inline]
pub(super) fn put_bytes_field(out: &mut Vec<u8>, number: u8, bytes: &[u8]) {
    put_len_key(out, number, bytes.len());
    out.extend_from_slice(bytes);
}

/// Appends the key and length of a field of `len` bytes, which are to follow.
#[inline]
pub(super) fn put_len_key(out: &mut Vec<u8>, number: u8, len: usize) {
    out.push(number << 3 | LEN as u8);
    put_varint(out, len as u64);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_round_trip_at_every_width() {
        for shift in 0..64 {
            for value in [1u64 << shift, (1 << shift) - 1, u64::MAX >> shift] {
                let mut out = Vec::new();
                put_varint(&mut out, value);
                assert_eq!(out.len(), varint_len(value), "{value:#x}");
                let mut reader = Reader::new(&out);
                assert_eq!(reader.varint(), Some(value));
                assert!(reader.rest.is_empty());
                for cut in 0..out.len() {
                    assert_eq!(Reader::new(&out[..cut]).varint(), None, "{value:#x} at {cut}");
                }
            }
        }
    }

    #[test]
    fn varints_beyond_64_bits_are_refused() {
        let mut bytes = [0xff; 10];
        bytes[9] = 1;
        assert_eq!(Reader::new(&bytes).varint(), Some(u64::MAX));
        bytes[9] = 2;
        assert_eq!(Reader::new(&bytes).varint(), None);
        assert_eq!(Reader::new(&[0x80; 11]).varint(), None);
    }

    #[test]
    fn lengths_beyond_the_message_are_refused() {
        assert_eq!(Reader::new(&[2, 7]).bytes(), None);
        let huge = [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 7];
        assert_eq!(Reader::new(&huge).bytes(), None);
        assert_eq!(Reader::new(&[1, 7]).bytes(), Some(&[7][..]));
    }
}
