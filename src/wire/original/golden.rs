//! Replays one connection recorded between a client and a server of the original library.

use std::fs;
use std::path::Path;

use super::*;

#[test]
fn requests_are_decoded_and_written_as_they_were_sent() {
    let bytes = recorded("request");
    let frames = frames(&bytes);
    assert_eq!(frames.len(), 253);
    let mut written = Vec::new();
    for (number, frame) in (1..=252).chain([1]).zip(&frames) {
        assert_eq!(frame.head.op, "echo.EchoService.Echo");
        assert_eq!(frame.head.id(), Some(number));
        assert!(!frame.head.is_version_2());
        let (service, method) = ("echo.EchoService", "Echo");
        let head = RequestHead { service, method, cli_id: number, ..RequestHead::default() };
        encode_request(&mut written, &head, frame.body).unwrap();
    }
    assert!(written == bytes, "our requests differ from the recorded ones");
}

#[test]
fn responses_and_pushes_are_decoded_and_written_as_they_were_sent() {
    let bytes = recorded("response");
    let frames = frames(&bytes);
    let mut written = Vec::new();
    let (mut ids, mut pushes) = (Vec::new(), 0);
    for frame in &frames {
        assert_eq!((frame.head.op, frame.head.status), ("", ""));
        if let Some(id) = frame.head.id() {
            ids.push(id);
            encode_response(&mut written, id, frame.body);
        } else {
            pushes += 1;
            encode_push(&mut written, frame.head.mes_name, frame.body).unwrap();
            assert_eq!(frame.head.mes_name, "echo.EchoResponse");
            assert_eq!(frame.body, b"\n\x0fperiod push mes");
        }
    }
    assert!(written == bytes, "our responses differ from the recorded ones");
    assert!(!ids.is_sorted(), "the old server responds out of order");
    ids.sort();
    assert_eq!(ids, [1].into_iter().chain(1..=252).collect::<Vec<_>>());
    assert_eq!(pushes, 5);
}

fn frames(bytes: &[u8]) -> Vec<Frame<'_>> {
    let decoder = Decoder::new(1000);
    let (mut frames, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let Ok(Step::Frame(frame)) = decoder.decode(&bytes[at..]) else {
            panic!("no whole frame at {at}");
        };
        frames.push(frame);
        at += frame.len();
    }
    frames
}

fn recorded(what: &str) -> Vec<u8> {
    let name = format!("tests/golden/original/session.{what}.bin");
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}
