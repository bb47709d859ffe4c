//! The hand-written view and encoders against the derived messages, on arbitrary input.

use proptest::collection::vec;
use proptest::prelude::*;
use prost::Message;

use super::arbitrary::*;
use super::meta::{RpcMeta, RpcResponseMeta};
use super::view::{RequestView, ResponseView};
use super::*;
use crate::wire::Compress;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn view_reads_what_was_written(meta in any_meta()) {
        let bytes = meta.encode_to_vec();
        same(&bytes)?;
        prop_assert!(MetaView::parse(&bytes).is_ok());
    }

    #[test]
    fn view_agrees_on_damaged_input(meta in any_meta(), damage in vec(any_damage(), 1..4)) {
        let mut bytes = meta.encode_to_vec();
        for damage in damage {
            damage.apply(&mut bytes);
        }
        same(&bytes)?;
    }

    #[test]
    fn view_agrees_on_two_messages_merged(one in any_meta(), two in any_meta()) {
        let mut bytes = one.encode_to_vec();
        two.encode(&mut bytes).unwrap();
        same(&bytes)?;
    }

    #[test]
    fn view_agrees_on_likely_tokens(tokens in vec(any_token(), 0..12)) {
        same(&tokens.concat())?;
    }

    #[test]
    fn view_agrees_on_junk(bytes: Vec<u8>) {
        same(&bytes)?;
    }

    #[test]
    fn decoder_survives_junk(bytes: Vec<u8>, meta_size in 0u32..80, body_size in 0u32..80) {
        let head = Head { body_size, meta_size }.to_bytes();
        let input = [&head[..], &bytes].concat();
        let decoder = Decoder::new(64);
        let mut frames = decoder.frames(&input);
        let yielded: usize = frames.by_ref().flatten().map(|frame| frame.len()).sum();
        prop_assert!(yielded <= frames.consumed() && frames.consumed() <= input.len());
        prop_assert!(frames.need_more() <= 64);
    }

    #[test]
    fn requests_round_trip_and_match_the_derived_encoder(
        meta in any_request(),
        (compress, correlation_id) in (0..4i32, any::<i64>()),
        (authentication_data, user_fields) in (any_bytes(), any_user_fields()),
        (body, attachment) in (any_bytes(), any_bytes()),
    ) {
        let pairs: Vec<(&[u8], &[u8])> =
            user_fields.iter().map(|field| (&field.key[..], &field.value[..])).collect();
        let head = RequestHead {
            service: &meta.service_name,
            method: &meta.method_name,
            log_id: meta.log_id.unwrap_or(0),
            trace_id: meta.trace_id.unwrap_or(0),
            span_id: meta.span_id.unwrap_or(0),
            parent_span_id: meta.parent_span_id.unwrap_or(0),
            request_id: meta.request_id.as_deref().unwrap_or_default(),
            timeout_ms: meta.timeout_ms,
            compress: Compress::from_number(compress).unwrap(),
            correlation_id,
            authentication_data: &authentication_data,
            user_fields: &pairs,
        };
        let expected = RpcMeta {
            request: Some(meta.clone()),
            compress_type: Some(compress).filter(|number| *number != 0),
            correlation_id: Some(correlation_id),
            attachment_size: Some(attachment.len() as i32).filter(|size| *size != 0),
            authentication_data: Some(authentication_data.clone()).filter(|data| !data.is_empty()),
            // We write an entry's empty key or value, prost omits it: both decode to the same.
            user_fields: user_fields.clone(),
            ..RpcMeta::default()
        };
        let mut out = b"before".to_vec();
        encode_request(&mut out, &head, &body, &attachment).unwrap();
        check_frame(&out, &expected, &body, &attachment)?;
    }

    #[test]
    fn responses_round_trip_and_match_the_derived_encoder(
        (code, text, correlation_id) in (any::<i32>(), ".{0,20}", any::<i64>()),
        (compress, user_fields) in (0..4i32, any_user_fields()),
        (body, attachment) in (any_bytes(), any_bytes()),
    ) {
        let pairs: Vec<(&[u8], &[u8])> =
            user_fields.iter().map(|field| (&field.key[..], &field.value[..])).collect();
        let compress_kind = Compress::from_number(compress).unwrap();
        let head = ResponseHead {
            correlation_id,
            code,
            text: &text,
            compress: compress_kind,
            user_fields: &pairs,
        };
        let error_text = Some(text.clone().into_bytes()).filter(|text| !text.is_empty());
        let expected = RpcMeta {
            response: Some(RpcResponseMeta { error_code: Some(code), error_text }),
            compress_type: Some(compress).filter(|number| *number != 0),
            correlation_id: Some(correlation_id),
            attachment_size: Some(attachment.len() as i32).filter(|size| *size != 0),
            user_fields: user_fields.clone(),
            ..RpcMeta::default()
        };
        let mut out = b"before".to_vec();
        encode_response(&mut out, &head, &body, &attachment).unwrap();
        check_frame(&out, &expected, &body, &attachment)?;
    }
}

#[test]
fn groups_nest_as_deeply_as_prost_allows() {
    for depth in 95..105 {
        let open = [0xa3, 0x06].repeat(depth);
        let close = [0xa4, 0x06].repeat(depth);
        let nested = [open, close].concat();
        same(&nested).unwrap();
        let mut within_request = vec![0x0a];
        prost::encode_length_delimiter(nested.len(), &mut within_request).unwrap();
        within_request.extend(&nested);
        same(&within_request).unwrap();
    }
}

#[test]
fn names_must_be_utf8_and_other_text_need_not() {
    let parse = |bytes: &[u8]| {
        same(bytes).unwrap();
        MetaView::parse(bytes).map(drop)
    };
    for field in [1, 2] {
        assert!(parse(&[0x0a, 3, field << 3 | 2, 1, 0xff]).unwrap_err().is_malformed());
    }
    assert!(parse(&[0x0a, 3, 7 << 3 | 2, 1, 0xff]).is_ok());
    let error_text = [0x12, 4, 2 << 3 | 2, 2, 0xc4, 0xe3];
    assert!(parse(&error_text).is_ok());
    let view = MetaView::parse(&error_text).unwrap();
    assert_eq!(view.response.unwrap().text, b"\xc4\xe3");
}

/// Checks that both decoders accept and read the same, or both reject.
fn same(bytes: &[u8]) -> Result<(), TestCaseError> {
    match (MetaView::parse(bytes), RpcMeta::decode(bytes)) {
        (Ok(view), Ok(meta)) => same_fields(&view, &meta),
        (Err(error), Err(_)) => {
            prop_assert!(error.is_malformed());
            Ok(())
        }
        (view, meta) => {
            Err(TestCaseError::fail(format!("{bytes:02x?}\nview: {view:?}\nprost: {meta:?}")))
        }
    }
}

fn same_fields(view: &MetaView<'_>, meta: &RpcMeta) -> Result<(), TestCaseError> {
    prop_assert_eq!(view.compress_type, meta.compress_type.unwrap_or(0));
    prop_assert_eq!(view.correlation_id, meta.correlation_id.unwrap_or(0));
    prop_assert_eq!(view.attachment_size, meta.attachment_size.unwrap_or(0));
    prop_assert_eq!(view.content_type, meta.content_type.unwrap_or(0));
    let authentication_data = meta.authentication_data.as_deref().unwrap_or_default();
    prop_assert_eq!(view.authentication_data, authentication_data);
    prop_assert_eq!(view.has_chunk_info, meta.chunk_info.is_some());
    prop_assert_eq!(view.has_stream_settings, meta.stream_settings.is_some());
    let request = meta.request.as_ref().map(|request| RequestView {
        service: &request.service_name,
        method: &request.method_name,
        log_id: request.log_id.unwrap_or(0),
        trace_id: request.trace_id.unwrap_or(0),
        span_id: request.span_id.unwrap_or(0),
        parent_span_id: request.parent_span_id.unwrap_or(0),
        request_id: request.request_id.as_deref().unwrap_or_default(),
        timeout_ms: request.timeout_ms,
    });
    prop_assert_eq!(&view.request, &request);
    let response = meta.response.as_ref().map(|response| ResponseView {
        code: response.error_code.unwrap_or(0),
        text: response.error_text.as_deref().unwrap_or_default(),
    });
    prop_assert_eq!(&view.response, &response);
    let ours: Vec<_> = view.user_fields().collect();
    let theirs: Vec<_> =
        meta.user_fields.iter().map(|field| (&field.key[..], &field.value[..])).collect();
    prop_assert_eq!(ours, theirs);
    Ok(())
}

fn check_frame(
    out: &[u8],
    expected: &RpcMeta,
    body: &[u8],
    attachment: &[u8],
) -> Result<(), TestCaseError> {
    let bytes = out.strip_prefix(b"before").unwrap();
    let Ok(Step::Frame(frame)) = Decoder::new(1 << 20).decode(bytes) else {
        return Err(TestCaseError::fail("no frame"));
    };
    prop_assert_eq!(frame.len(), bytes.len());
    prop_assert_eq!((frame.body, frame.attachment), (body, attachment));
    prop_assert_eq!(&RpcMeta::decode(frame.meta_bytes).unwrap(), expected);
    if expected.user_fields.iter().all(|field| !field.key.is_empty() && !field.value.is_empty()) {
        prop_assert_eq!(frame.meta_bytes, expected.encode_to_vec());
    }
    same_fields(&frame.meta, expected)
}
