//! For any input, the decoder neither panics nor reads beyond a frame, the derived messages accept
//! what it accepts, and truncating the input never turns "more" into an error.

#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;

use self::wire::baidu_std::meta::RpcMeta;
use self::wire::baidu_std::{Decoder, MetaView, Step};

#[allow(dead_code, unused_imports, reason = "a part of the library, compiled for this alone")]
#[path = "../../src/wire/mod.rs"]
mod wire;

const MAX_FRAME: usize = 4096;

fuzz_target!(|data: &[u8]| {
    same_decision(data);

    let decoder = Decoder::new(MAX_FRAME);
    let mut frames = decoder.frames(data);
    let mut start = 0;
    while let Some(next) = frames.next() {
        let end = frames.consumed();
        if let Ok(frame) = next {
            assert_eq!(frame.len(), end - start);
            same_decision(frame.meta_bytes);
            let whole = &data[start..end];
            let cut = whole.len() / 2;
            assert!(matches!(decoder.decode(&whole[..cut]), Ok(Step::NeedMore(_))));
        }
        start = end;
    }
    assert!(frames.consumed() <= data.len());
    assert!(frames.need_more() <= MAX_FRAME);
});

fn same_decision(meta: &[u8]) {
    match (MetaView::parse(meta), RpcMeta::decode(meta)) {
        (Ok(view), Ok(full)) => {
            assert_eq!(view.correlation_id, full.correlation_id.unwrap_or(0));
            assert_eq!(view.attachment_size, full.attachment_size.unwrap_or(0));
            assert_eq!(view.user_fields().count(), full.user_fields.len());
            assert_eq!(
                view.request.map(|request| (request.service, request.method)),
                full.request.as_ref().map(|r| (&r.service_name[..], &r.method_name[..]))
            );
            assert_eq!(
                view.response.map(|response| response.text),
                full.response.as_ref().map(|r| r.error_text.as_deref().unwrap_or_default())
            );
        }
        (Err(_), Err(_)) => {}
        (view, full) => panic!("view: {view:?}\nprost: {full:?}"),
    }
}
