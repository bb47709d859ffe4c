//! For any input, reading a request neither panics nor reads beyond it and decides the same however
//! the input is split, and the body decoder never yields more bytes than it was given.

#![no_main]

use libfuzzer_sys::fuzz_target;

use self::wire::http1::{BodyDecoder, Head, Limits, RawResponse, Scan};

#[allow(dead_code, unused_imports, reason = "a part of the library, compiled for this alone")]
#[path = "../../src/wire/mod.rs"]
mod wire;

const LIMITS: Limits = Limits { head: 4096, fields: 40, target: 512, body: 1 << 16 };

fuzz_target!(|data: &[u8]| {
    let mut scan = Scan::default();
    let found = scan.find(data, &LIMITS);
    let mut slow = Scan::default();
    let in_pieces = (0..=data.len()).map(|end| slow.find(&data[..end], &LIMITS));
    let in_pieces = in_pieces.into_iter().find(|found| !matches!(found, Ok(None)));
    assert_eq!(in_pieces.unwrap_or(Ok(None)), found);

    let Ok(Some(end)) = found else { return };
    let _ = RawResponse::check(data, http::Version::HTTP_11, false);
    let Ok(head) = Head::parse(&data[..end], &scan, &LIMITS) else { return };
    let mut rest = &data[end..];
    let mut decoder = BodyDecoder::new(head.framing, &LIMITS);
    let mut body = 0;
    while let Ok(decoded) = decoder.decode(rest, 100) {
        body += decoded.data.len() as u64;
        assert!(decoded.data.end <= decoded.consumed && body <= LIMITS.body);
        rest = &rest[decoded.consumed..];
        if decoded.is_end || decoded.consumed == 0 {
            break;
        }
    }
});
