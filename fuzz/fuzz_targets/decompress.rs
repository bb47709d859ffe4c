//! The first byte selects the compression. Arbitrary input is an error or stays within the limit,
//! and any data survives a round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;

use self::wire::Compress;
use self::wire::compress::{compress, decompress};

#[allow(dead_code, unused_imports, reason = "a part of the library, compiled for this alone")]
#[path = "../../src/wire/mod.rs"]
mod wire;

const LIMIT: usize = 64 << 10;

fuzz_target!(|data: &[u8]| {
    let Some((kind, data)) = data.split_first() else { return };
    let Ok(kind) = Compress::from_number(i32::from(kind % 4)) else { return };
    if let Ok(output) = decompress(kind, data, LIMIT) {
        assert!(output.len() <= LIMIT);
        assert!(output.capacity() <= 4 * LIMIT.max(data.len()));
    }
    let packed = compress(kind, data).expect("it is small");
    assert_eq!(decompress(kind, &packed, data.len()).expect("it is ours"), data);
});
