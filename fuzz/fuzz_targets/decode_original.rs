//! For any input, the decoder of the original frames neither panics nor reads beyond a frame, a
//! truncated frame is never taken for another, and a decoded frame survives a round trip.

#![no_main]

use libfuzzer_sys::fuzz_target;

use self::wire::original::{Decoder, Frame, RequestHead, Step, encode_push, encode_request};

#[allow(dead_code, unused_imports, reason = "a part of the library, compiled for this alone")]
#[path = "../../src/wire/mod.rs"]
mod wire;

const MAX_BODY: usize = 4096;

fuzz_target!(|data: &[u8]| {
    let decoder = Decoder::new(MAX_BODY);
    let mut at = 0;
    loop {
        match decoder.decode(&data[at..]) {
            Ok(Step::Frame(frame)) => {
                let whole = &data[at..at + frame.len()];
                let cut = decoder.decode(&whole[..whole.len() / 2]);
                assert!(matches!(cut, Ok(Step::NeedHead | Step::NeedBody(1..))));
                write_again(&frame);
                at += whole.len();
            }
            Ok(Step::NeedBody(count)) => return assert!((1..=MAX_BODY).contains(&count)),
            Ok(Step::NeedHead) | Err(_) => return,
        }
    }
});

fn write_again(frame: &Frame<'_>) {
    let mut out = Vec::new();
    if let (Some(cli_id), Some((service, method))) =
        (frame.head.id(), frame.head.op.rsplit_once('.'))
    {
        let head = RequestHead { service, method, cli_id, ..RequestHead::default() };
        if encode_request(&mut out, &head, frame.body).is_ok() {
            let again = only_frame(&out);
            assert_eq!((again.head.op, again.head.id()), (frame.head.op, Some(cli_id)));
            assert_eq!(again.body, frame.body);
        }
    }
    out.clear();
    if !frame.head.mes_name.is_empty()
        && encode_push(&mut out, frame.head.mes_name, frame.body).is_ok()
    {
        let again = only_frame(&out);
        assert_eq!((again.head.mes_name, again.body), (frame.head.mes_name, frame.body));
    }
}

fn only_frame(bytes: &[u8]) -> Frame<'_> {
    match Decoder::new(MAX_BODY).decode(bytes) {
        Ok(Step::Frame(frame)) if frame.len() == bytes.len() => frame,
        other => panic!("{other:?}"),
    }
}
