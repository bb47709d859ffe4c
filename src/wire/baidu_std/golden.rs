//! Replays frames recorded between a client and a server of brpc 1.17.

use std::fs;
use std::path::Path;

use prost::Message;

use super::meta::RpcMeta;
use super::*;
use crate::wire::Code;
use crate::wire::compress::{Compress, decompress};

/// One recorded call: what the client sent, and the server's response.
struct Case {
    name: &'static str,
    service: &'static str,
    method: &'static str,
    correlation_id: i64,
    /// Of the request and, without an error, of the response.
    message: Vec<u8>,
    attachment: &'static [u8],
    compress: Compress,
    log_id: i64,
    request_id: &'static [u8],
    user_fields: &'static [(&'static [u8], &'static [u8])],
    reply: Reply,
}

enum Reply {
    Echo,
    Error(i32, &'static str),
    Nothing,
}

#[test]
fn requests_decode_as_recorded() {
    for case in cases() {
        let name = case.name;
        let bytes = recorded(name, "request");
        let frame = only_frame(&bytes, name);
        let request = frame.meta.request.as_ref().unwrap();
        assert_eq!((request.service, request.method), (case.service, case.method), "{name}");
        assert_eq!(request.log_id, case.log_id, "{name}");
        assert_eq!(request.request_id, case.request_id, "{name}");
        assert_eq!(request.timeout_ms, None, "{name}");
        assert!(frame.meta.response.is_none(), "{name}");
        assert_eq!(frame.meta.user_fields().collect::<Vec<_>>(), case.user_fields, "{name}");
        check_common(&frame, &case);
        assert_eq!(body(&frame), case.message, "{name}");
        assert_eq!(frame.attachment, case.attachment, "{name}");
    }
}

#[test]
fn responses_decode_as_recorded() {
    for case in cases() {
        let name = case.name;
        let bytes = recorded(name, "response");
        if let Reply::Nothing = case.reply {
            assert!(bytes.is_empty(), "{name}");
            continue;
        }
        let frame = only_frame(&bytes, name);
        check_common(&frame, &case);
        assert!(frame.meta.request.is_none(), "{name}");
        let response = frame.meta.response.as_ref().unwrap();
        match case.reply {
            Reply::Error(code, text) => {
                assert_eq!(response.code, code, "{name}");
                assert_eq!(response.text_lossy(), text, "{name}");
                assert!(frame.body.is_empty() && frame.attachment.is_empty(), "{name}");
            }
            _ => {
                assert_eq!((response.code, response.text), (0, &b""[..]), "{name}");
                assert_eq!(body(&frame), case.message, "{name}");
                assert_eq!(frame.attachment, case.attachment, "{name}");
            }
        }
    }
}

/// The recorded client writes some zero fields that we omit; without those our bytes are identical.
#[test]
fn requests_encode_as_recorded() {
    for case in cases() {
        let recorded = recorded(case.name, "request");
        let frame = only_frame(&recorded, case.name);
        let head = RequestHead {
            service: case.service,
            method: case.method,
            log_id: case.log_id,
            request_id: case.request_id,
            compress: case.compress,
            correlation_id: case.correlation_id,
            user_fields: case.user_fields,
            ..RequestHead::default()
        };
        let mut ours = Vec::new();
        encode_request(&mut ours, &head, frame.body, frame.attachment).unwrap();
        assert_eq!(ours, without_zeros(&frame), "{}", case.name);
    }
}

#[test]
fn responses_encode_as_recorded() {
    for case in cases() {
        let (code, text) = match case.reply {
            Reply::Nothing => continue,
            Reply::Error(code, text) => (code, text),
            Reply::Echo => (0, ""),
        };
        let recorded = recorded(case.name, "response");
        let frame = only_frame(&recorded, case.name);
        let head = ResponseHead {
            correlation_id: case.correlation_id,
            code,
            text,
            compress: case.compress,
            ..ResponseHead::default()
        };
        let mut ours = Vec::new();
        encode_response(&mut ours, &head, frame.body, frame.attachment).unwrap();
        assert_eq!(ours, without_zeros(&frame), "{}", case.name);
    }
}

#[test]
fn a_truncated_frame_needs_more() {
    for case in cases() {
        for kind in ["request", "response"] {
            let bytes = recorded(case.name, kind);
            for cut in 0..bytes.len() {
                let step = DECODER.decode(&bytes[..cut]);
                assert!(
                    matches!(step, Ok(Step::NeedMore(n)) if 0 < n && n <= bytes.len() - cut),
                    "{} {kind} at {cut}: {step:?}",
                    case.name
                );
            }
        }
    }
}

#[test]
fn one_buffer_may_hold_them_all() {
    let all: Vec<u8> = cases().iter().flat_map(|case| recorded(case.name, "request")).collect();
    let mut frames = DECODER.frames(&all);
    let ids: Vec<i64> = frames.by_ref().map(|frame| frame.unwrap().meta.correlation_id).collect();
    let expected: Vec<i64> = cases().iter().map(|case| case.correlation_id).collect();
    assert_eq!(ids, expected);
    assert_eq!(frames.consumed(), all.len());
}

fn cases() -> Vec<Case> {
    let plain = |name, id: i64| Case {
        name,
        service: "echo.EchoService",
        method: "Echo",
        // The low half is the number of attempts and a constant; the high half tells calls apart.
        correlation_id: id << 32 | 2,
        message: echo_message(b"hello"),
        attachment: b"",
        compress: Compress::None,
        log_id: 0,
        request_id: b"",
        user_fields: &[],
        reply: Reply::Echo,
    };
    let equal_letters = |name, id, start: &[u8], letter, compress| {
        let message = echo_message(&[start, &[letter; 500]].concat());
        Case { message, compress, ..plain(name, id) }
    };
    let failed = "[127.0.0.1:18831][E2042]refused by handler";
    let absent = "[127.0.0.1:18831][E1002]Fail to find method=echo.Absent/Echo";
    vec![
        plain("01-plain", 2),
        Case { log_id: 77, ..plain("02-log-id", 5) },
        Case { attachment: b"attached bytes", ..plain("03-attachment", 8) },
        equal_letters("04-gzip", 11, b"gz", b'a', Compress::Gzip),
        equal_letters("05-zlib", 14, b"zl", b'b', Compress::Zlib),
        equal_letters("06-snappy", 17, b"sn", b'c', Compress::Snappy),
        Case { method: "Fail", reply: Reply::Error(2042, failed), ..plain("07-handler-error", 20) },
        Case {
            service: "echo.Absent",
            reply: Reply::Error(Code::ENOMETHOD.number(), absent),
            ..plain("08-no-such-service", 23)
        },
        Case {
            method: "Slow",
            message: echo_message(b"late"),
            reply: Reply::Nothing,
            ..plain("09-timeout", 26)
        },
        Case { request_id: b"req-0123456789", ..plain("10-request-id", 29) },
        Case { user_fields: &[(b"k1", b"v1")], ..plain("11-user-fields", 32) },
        Case { message: echo_message(&[b'x'; 4096]), ..plain("12-4k", 35) },
        Case { message: echo_message(b""), ..plain("13-empty", 38) },
        Case { service: "EchoService", ..plain("14-no-package", 1) },
    ]
}

/// A message of one string, field 1.
fn echo_message(text: &[u8]) -> Vec<u8> {
    let mut message = vec![0x0a];
    prost::encode_length_delimiter(text.len(), &mut message).unwrap();
    message.extend(text);
    message
}

fn recorded(name: &str, kind: &str) -> Vec<u8> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/baidu_std");
    fs::read(folder.join(format!("{name}.{kind}.bin"))).unwrap()
}

fn only_frame<'a>(bytes: &'a [u8], name: &str) -> Frame<'a> {
    let Ok(Step::Frame(frame)) = DECODER.decode(bytes) else { panic!("{name}: no frame") };
    assert_eq!(frame.len(), bytes.len(), "{name}");
    frame
}

fn check_common(frame: &Frame<'_>, case: &Case) {
    let name = case.name;
    assert_eq!(frame.meta.correlation_id, case.correlation_id, "{name}");
    assert_eq!(Compress::from_number(frame.meta.compress_type), Ok(case.compress), "{name}");
    assert_eq!(frame.meta.content_type, 0, "{name}");
    assert!(!frame.meta.has_chunk_info && !frame.meta.has_stream_settings, "{name}");
}

fn body(frame: &Frame<'_>) -> Vec<u8> {
    let kind = Compress::from_number(frame.meta.compress_type).unwrap();
    decompress(kind, frame.body, 1 << 20).unwrap()
}

fn without_zeros(frame: &Frame<'_>) -> Vec<u8> {
    let mut meta = RpcMeta::decode(frame.meta_bytes).unwrap();
    for number in [&mut meta.compress_type, &mut meta.content_type, &mut meta.checksum_type] {
        *number = number.filter(|number| *number != 0);
    }
    meta.checksum_value = meta.checksum_value.filter(|value| !value.is_empty());
    let meta = meta.encode_to_vec();
    let body_size = (meta.len() + frame.body.len() + frame.attachment.len()) as u32;
    let head = Head { body_size, meta_size: meta.len() as u32 };
    [&head.to_bytes()[..], &meta, frame.body, frame.attachment].concat()
}

const DECODER: Decoder = Decoder::new(1 << 20);
