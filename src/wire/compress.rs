//! Compression of message bodies. Attachments are never compressed.

use std::io::{Read, Write};

use flate2::bufread::{MultiGzDecoder, ZlibDecoder};
use flate2::write::{GzEncoder, ZlibEncoder};

use super::Error;

/// The compression of a body on the wire. Attachments are never compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Compress {
    /// No compression.
    #[default]
    None,
    /// Snappy, block format.
    Snappy,
    /// Gzip (RFC 1952).
    Gzip,
    /// Zlib (RFC 1950).
    Zlib,
}

impl Compress {
    /// Decodes `RpcMeta.compress_type`.
    pub(crate) fn from_number(number: i32) -> Result<Compress, Error> {
        match number {
            0 => Ok(Compress::None),
            1 => Ok(Compress::Snappy),
            2 => Ok(Compress::Gzip),
            3 => Ok(Compress::Zlib),
            other => Err(Error::unknown_compression(other)),
        }
    }

    /// Returns the value of `RpcMeta.compress_type`.
    pub(crate) fn number(self) -> i32 {
        match self {
            Compress::None => 0,
            Compress::Snappy => 1,
            Compress::Gzip => 2,
            Compress::Zlib => 3,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        match self {
            Compress::None => "uncompressed",
            Compress::Snappy => "snappy",
            Compress::Gzip => "gzip",
            Compress::Zlib => "zlib",
        }
    }
}

/// Compresses a body. Fails only for input beyond what the format can express (4 GiB in snappy).
pub(crate) fn compress(kind: Compress, input: &[u8]) -> Result<Vec<u8>, Error> {
    let level = flate2::Compression::default();
    match kind {
        Compress::None => Ok(input.to_vec()),
        Compress::Snappy => {
            snap::raw::Encoder::new().compress_vec(input).map_err(|_| Error::unencodable())
        }
        Compress::Gzip => {
            let mut encoder = GzEncoder::new(Vec::new(), level);
            let done = encoder.write_all(input).and_then(|()| encoder.finish());
            done.map_err(|_| Error::unencodable())
        }
        Compress::Zlib => {
            let mut encoder = ZlibEncoder::new(Vec::new(), level);
            let done = encoder.write_all(input).and_then(|()| encoder.finish());
            done.map_err(|_| Error::unencodable())
        }
    }
}

/// Decompresses a body, refusing to produce more than `limit` bytes.
///
/// Every byte of the input must belong to the compressed data. Empty input is invalid for every
/// kind but [`Compress::None`]: a peer that responds with an error may well name a compression and
/// send no body, so do not decompress the body of an error.
pub(crate) fn decompress(kind: Compress, input: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    match kind {
        Compress::None if input.len() > limit => Err(Error::output_too_large(limit)),
        Compress::None => Ok(input.to_vec()),
        Compress::Snappy => decompress_snappy(input, limit),
        Compress::Gzip => inflate(MultiGzDecoder::new(input), kind, input.len(), limit),
        Compress::Zlib => {
            let mut decoder = ZlibDecoder::new(input);
            let output = inflate(&mut decoder, kind, input.len(), limit)?;
            if decoder.into_inner().is_empty() { Ok(output) } else { Err(Error::corrupt(kind)) }
        }
    }
}

fn decompress_snappy(input: &[u8], limit: usize) -> Result<Vec<u8>, Error> {
    let corrupt = |_| Error::corrupt(Compress::Snappy);
    let announced = snap::raw::decompress_len(input).map_err(corrupt)?;
    if announced > limit {
        return Err(Error::output_too_large(limit));
    }
    // The output is allocated at the announced size: a few bytes must not announce many megabytes.
    if announced > input.len().saturating_mul(SNAPPY_MAX_RATIO) {
        return Err(Error::corrupt(Compress::Snappy));
    }
    snap::raw::Decoder::new().decompress_vec(input).map_err(corrupt)
}

fn inflate(
    decoder: impl Read,
    kind: Compress,
    input_len: usize,
    limit: usize,
) -> Result<Vec<u8>, Error> {
    let mut output = Vec::with_capacity(input_len.saturating_mul(TYPICAL_RATIO).min(limit));
    // One byte more than allowed distinguishes "too large" from "just fits", and lets the decoder
    // reach the checksum after the data in the latter case.
    let allowed = u64::try_from(limit).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(allowed).read_to_end(&mut output).map_err(|_| Error::corrupt(kind))?;
    if output.len() > limit { Err(Error::output_too_large(limit)) } else { Ok(output) }
}

/// Snappy's densest element is a copy of 64 bytes in 3: 21.3 times.
const SNAPPY_MAX_RATIO: usize = 22;

/// An initial guess at the output's size that saves small messages a reallocation.
const TYPICAL_RATIO: usize = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const REAL: [Compress; 3] = [Compress::Snappy, Compress::Gzip, Compress::Zlib];
    const ALL: [Compress; 4] = [Compress::None, Compress::Snappy, Compress::Gzip, Compress::Zlib];

    #[test]
    fn numbers_round_trip() {
        for kind in ALL {
            assert_eq!(Compress::from_number(kind.number()), Ok(kind));
        }
        for number in [-1, 4, i32::MAX, i32::MIN] {
            assert!(Compress::from_number(number).unwrap_err().is_unsupported());
        }
    }

    #[test]
    fn the_limit_is_exact() {
        let data = vec![7; 10_000];
        for kind in ALL {
            let packed = compress(kind, &data).unwrap();
            assert_eq!(decompress(kind, &packed, 10_000).as_ref(), Ok(&data), "{kind:?}");
            let error = decompress(kind, &packed, 9_999).unwrap_err();
            assert!(error.is_too_large(), "{kind:?}: {error}");
        }
    }

    #[test]
    fn a_bomb_is_an_error() {
        let data = vec![0; 1 << 20];
        for kind in REAL {
            let packed = compress(kind, &data).unwrap();
            assert!(decompress(kind, &packed, 16 << 10).unwrap_err().is_too_large(), "{kind:?}");
        }
    }

    #[test]
    fn snappy_cannot_announce_what_it_cannot_hold() {
        // 60 MiB announced, one literal byte present.
        let error = decompress(Compress::Snappy, &[0x80, 0x80, 0x80, 0x1e, 0, 1], 64 << 20);
        assert!(error.unwrap_err().is_malformed());
        // The densest output of snappy is still accepted.
        let data = vec![1; 1 << 20];
        let packed = compress(Compress::Snappy, &data).unwrap();
        assert_eq!(decompress(Compress::Snappy, &packed, 1 << 20), Ok(data));
    }

    #[test]
    fn truncation_and_trailing_bytes_are_corrupt() {
        let data: Vec<u8> = (0..300u32).map(|i| ((i * i) >> 3) as u8).collect();
        for kind in REAL {
            let mut packed = compress(kind, &data).unwrap();
            for cut in 0..packed.len() {
                let error = decompress(kind, &packed[..cut], 1 << 20).unwrap_err();
                assert!(error.is_malformed(), "{kind:?} cut at {cut}: {error}");
            }
            packed.push(0);
            assert!(decompress(kind, &packed, 1 << 20).unwrap_err().is_malformed(), "{kind:?}");
        }
    }

    #[test]
    fn gzip_members_may_follow_each_other() {
        let mut packed = compress(Compress::Gzip, b"one ").unwrap();
        packed.extend(compress(Compress::Gzip, b"two").unwrap());
        assert_eq!(decompress(Compress::Gzip, &packed, 7), Ok(b"one two".to_vec()));
        assert!(decompress(Compress::Gzip, &packed, 6).unwrap_err().is_too_large());
    }

    /// Handlers run on coroutine stacks, and compression libraries like large local buffers.
    #[test]
    fn half_a_coroutine_stack_is_enough() {
        let work = || {
            let data = vec![b's'; 100_000];
            REAL.map(|kind| {
                let packed = compress(kind, &data).unwrap();
                decompress(kind, &packed, data.len()).unwrap() == data
            })
        };
        let thread = std::thread::Builder::new().stack_size(128 << 10).spawn(work).unwrap();
        assert_eq!(thread.join().unwrap(), [true; 3]);
    }

    proptest! {
        #[test]
        fn round_trips(data: Vec<u8>) {
            for kind in ALL {
                let packed = compress(kind, &data).unwrap();
                prop_assert_eq!(decompress(kind, &packed, data.len()).unwrap(), data.clone());
            }
        }

        #[test]
        fn junk_is_an_error_or_within_the_limit(data: Vec<u8>, limit in 0usize..300) {
            for kind in ALL {
                if let Ok(output) = decompress(kind, &data, limit) {
                    prop_assert!(output.len() <= limit);
                }
            }
        }
    }
}
