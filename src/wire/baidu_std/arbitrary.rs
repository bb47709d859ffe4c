//! Arbitrary messages, fragments and damage, for property tests.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::meta::*;

pub(super) fn any_meta() -> impl Strategy<Value = RpcMeta> {
    let response = (option::of(any::<i32>()), option::of(any_bytes()))
        .prop_map(|(error_code, error_text)| RpcResponseMeta { error_code, error_text });
    let chunk_info =
        any::<(i64, i64)>().prop_map(|(stream_id, chunk_id)| ChunkInfo { stream_id, chunk_id });
    let stream_settings = any::<(i64, Option<bool>, Option<bool>, Vec<i64>)>().prop_map(
        |(stream_id, need_feedback, writable, extra_stream_ids)| StreamSettings {
            stream_id,
            need_feedback,
            writable,
            extra_stream_ids,
        },
    );
    let calls = (option::of(any_request()), option::of(response));
    let numbers = any::<(Option<i32>, Option<i64>, Option<i32>)>();
    let rest = (option::of(chunk_info), option::of(any_bytes()), option::of(stream_settings));
    let newer = (any::<(Option<i32>, Option<i32>, Option<bool>)>(), option::of(any_bytes()));
    (calls, numbers, rest, any_user_fields(), newer).prop_map(
        |(calls, numbers, rest, user_fields, (newer, checksum_value))| RpcMeta {
            request: calls.0,
            response: calls.1,
            compress_type: numbers.0,
            correlation_id: numbers.1,
            attachment_size: numbers.2,
            chunk_info: rest.0,
            authentication_data: rest.1,
            stream_settings: rest.2,
            user_fields,
            content_type: newer.0,
            checksum_type: newer.1,
            checksum_value,
            checksum_with_attachment: newer.2,
        },
    )
}

pub(super) fn any_request() -> impl Strategy<Value = RpcRequestMeta> {
    let nonzero = || option::of(any::<i64>().prop_filter("0 is left out", |id| *id != 0));
    let ids = (nonzero(), nonzero(), nonzero(), nonzero());
    let request_id = option::of(vec(any::<u8>(), 1..10));
    (".{0,20}", ".{0,8}", ids, request_id, any::<Option<i32>>()).prop_map(
        |(service_name, method_name, ids, request_id, timeout_ms)| RpcRequestMeta {
            service_name,
            method_name,
            log_id: ids.0,
            trace_id: ids.1,
            span_id: ids.2,
            parent_span_id: ids.3,
            request_id,
            timeout_ms,
        },
    )
}

pub(super) fn any_user_fields() -> impl Strategy<Value = Vec<UserField>> {
    vec((any_bytes(), any_bytes()).prop_map(|(key, value)| UserField { key, value }), 0..3)
}

pub(super) fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..20)
}

/// Generates a fragment of a message that is likely to be meaningful.
pub(super) fn any_token() -> impl Strategy<Value = Vec<u8>> {
    let key = (0u8..16, 0u8..8).prop_map(|(number, wire_type)| vec![number << 3 | wire_type]);
    let field = (1u8..14, vec(any::<u8>(), 0..6))
        .prop_map(|(number, bytes)| [&[number << 3 | 2, bytes.len() as u8], &bytes[..]].concat());
    let varint = vec(0x80u8.., 0..11)
        .prop_flat_map(|long| (0u8..0x80).prop_map(move |last| [&long[..], &[last]].concat()));
    let wide_key = (0u32.., 0u8..8).prop_map(|(number, wire_type)| {
        let mut bytes = Vec::new();
        prost::encoding::encode_varint(u64::from(number) << 3 | u64::from(wire_type), &mut bytes);
        bytes
    });
    prop_oneof![key, field, varint, wide_key, any_bytes()]
}

#[derive(Debug, Clone)]
pub(super) enum Damage {
    Set(prop::sample::Index, u8),
    Insert(prop::sample::Index, u8),
    Remove(prop::sample::Index),
    Cut(prop::sample::Index),
}

impl Damage {
    pub(super) fn apply(&self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return;
        }
        match self {
            Damage::Set(at, byte) => *at.get_mut(bytes) = *byte,
            Damage::Insert(at, byte) => bytes.insert(at.index(bytes.len()), *byte),
            Damage::Remove(at) => drop(bytes.remove(at.index(bytes.len()))),
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
        }
    }
}

pub(super) fn any_damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Set(at, byte)),
        (at(), any::<u8>()).prop_map(|(at, byte)| Damage::Insert(at, byte)),
        at().prop_map(Damage::Remove),
        at().prop_map(Damage::Cut),
    ]
}
