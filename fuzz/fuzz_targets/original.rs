//! Whatever arrives, the decoder of the original frames neither panics nor reads beyond a frame;
//! what was decided does not change with more bytes, and a frame cut anywhere is not yet one.

#![no_main]

use libfuzzer_sys::fuzz_target;

use self::wire::original::{Decoder, Step};

#[allow(dead_code, unused_imports, reason = "a part of the library, compiled for this alone")]
#[path = "../../src/wire/mod.rs"]
mod wire;

const MAX_BODY: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let decoder = Decoder::new(MAX_BODY);
    let mut rest = data;
    while let Ok(Step::Frame(frame)) = decoder.decode(rest) {
        let len = frame.len();
        assert!(frame.body.len() <= MAX_BODY && frame.body.len() < len && len <= rest.len());
        assert_eq!(decoder.decode(&rest[..len]), Ok(Step::Frame(frame)));
        for cut in [len / 2, len - 1] {
            let step = decoder.decode(&rest[..cut]);
            assert!(matches!(step, Ok(Step::NeedHead | Step::NeedBody(_))), "{cut}: {step:?}");
        }
        let _ = (frame.head.id(), frame.head.is_version_2());
        rest = &rest[len..];
    }
    match decoder.decode(rest) {
        Ok(Step::NeedBody(count)) => {
            assert!(0 < count && count <= MAX_BODY);
            let whole = [rest, &vec![b'x'; count]].concat();
            assert!(matches!(decoder.decode(&whole), Ok(Step::Frame(f)) if f.len() == whole.len()));
        }
        Err(error) => {
            let longer = [rest, b"more"].concat();
            assert_eq!(decoder.decode(&longer), Err(error));
        }
        _ => {}
    }
});
