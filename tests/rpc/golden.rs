//! What a real brpc put on the wire, replayed in both roles.

use std::net::TcpListener;
use std::time::Duration;

use fastrpc::ServerOptions;
use fastrpc::rpc::{CallOptions, Client, ClientOptions, Compress};
use prost::Message;

use super::support::*;

#[derive(Clone, PartialEq, Message)]
struct Text {
    #[prost(string, tag = "1")]
    text: String,
}

fn golden(name: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/baidu_std/{name}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

const CASES: [&str; 15] = [
    "01-plain",
    "02-log-id",
    "03-attachment",
    "04-gzip",
    "05-zlib",
    "06-snappy",
    "07-handler-error",
    "08-no-such-service",
    "09-timeout",
    "10-request-id",
    "11-user-fields",
    "12-4k",
    "13-empty",
    "14-no-package",
    "15-checksum",
];

#[test]
fn our_server_answers_their_client() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    for case in CASES {
        let bytes = golden(&format!("{case}.request"));
        if case == "09-timeout" {
            // Its method sleeps in the recording; here it is unknown.
            continue;
        }
        peer.send(&bytes);
        let ours = peer.receive().unwrap();
        let theirs = frame_in(&golden(&format!("{case}.response")));
        assert_eq!(ours.id(), theirs.id(), "{case}");
        if case == "08-no-such-service" {
            assert_eq!(ours.code(), 1001, "{case}");
            continue;
        }
        assert_eq!(ours.code(), theirs.code(), "{case}");
        assert_eq!(ours.meta.compress.unwrap_or(0), theirs.meta.compress.unwrap_or(0), "{case}");
        let compressed = theirs.meta.compress.unwrap_or(0) != 0;
        if !compressed {
            assert_eq!(ours.body, theirs.body, "{case}");
        }
    }
    // All at once, in any order.
    let mut ids: Vec<i64> = Vec::new();
    for case in CASES {
        let bytes = golden(&format!("{case}.request"));
        ids.push(frame_in(&bytes).id());
        peer.send(&bytes);
    }
    let mut answered: Vec<i64> = CASES.map(|_| peer.receive().unwrap().id()).into();
    ids.sort();
    answered.sort();
    assert_eq!(answered, ids);
}

#[test]
fn our_client_understands_their_server() {
    init();
    for case in CASES {
        let request = frame_in(&golden(&format!("{case}.request")));
        let response = golden(&format!("{case}.response"));
        let (outcome, sent) = play(&request, &response);
        let said = request.meta.request.as_ref().unwrap();
        let ours = sent.meta.request.as_ref().unwrap();
        assert_eq!((&ours.service, &ours.method), (&said.service, &said.method), "{case}");
        assert_eq!(ours.log_id, said.log_id.filter(|id| *id != 0), "{case}");
        assert_eq!(ours.request_id, said.request_id, "{case}");
        assert_eq!(sent.meta.attachment_size, request.meta.attachment_size, "{case}");
        match case {
            "07-handler-error" => {
                let error = outcome.unwrap_err();
                assert!(error.is_remote() && error.code() == 2042, "{error:?}");
                assert!(error.text().contains("refused by handler"), "{error:?}");
            }
            "08-no-such-service" => assert_eq!(outcome.unwrap_err().code(), 1002),
            "09-timeout" => assert!(outcome.unwrap_err().is_timeout()),
            _ => {
                let outcome = outcome.unwrap();
                let text = Text::decode(&outcome.body()[..]).unwrap().text;
                assert_eq!(text, text_of(&request), "{case}");
                let attached: &[u8] = if case == "03-attachment" { b"attached bytes" } else { b"" };
                assert_eq!(outcome.attachment(), attached, "{case}");
            }
        }
    }
}

#[test]
fn content_that_is_no_protobuf_is_refused() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&golden("16-json.request"));
    let refused = peer.receive().unwrap();
    assert_eq!(refused.code(), 1003);
    assert!(refused.text().contains("content of type 1"), "{}", refused.text());

    let (outcome, _) = play(&frame_in(&golden("01-plain.request")), &golden("16-json.response"));
    let error = outcome.unwrap_err();
    assert!(error.code() == 2002 && error.text().contains("content of type 1"), "{error:?}");
}

/// Makes the call of `request` with our client, and lets a scripted server answer `response`.
fn play(
    request: &Frame,
    response: &[u8],
) -> (Result<fastrpc::rpc::Response, fastrpc::rpc::Error>, Frame) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut answer = response.to_vec();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::over(listener.accept().unwrap().0);
        let sent = peer.receive().unwrap();
        if !answer.is_empty() {
            with_id(&mut answer, sent.id());
            peer.send(&answer);
        }
        peer.assert_closed();
        sent
    });
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    let said = request.meta.request.as_ref().unwrap();
    let attachment = request.meta.attachment_size.unwrap_or(0) as usize;
    let attachment = request.body[request.body.len() - attachment..].to_vec();
    let message = Text { text: text_of(request) }.encode_to_vec();
    let timeout = Duration::from_millis(if response.is_empty() { 50 } else { 10_000 });
    let compress = match request.meta.compress.unwrap_or(0) {
        1 => Compress::Snappy,
        2 => Compress::Gzip,
        3 => Compress::Zlib,
        _ => Compress::None,
    };
    let options = CallOptions::new()
        .timeout(timeout)
        .log_id(said.log_id.unwrap_or(0))
        .request_id(said.request_id.as_deref())
        .attachment(&attachment)
        .compress(compress);
    let outcome = client.call(&said.service, &said.method, &message, &options);
    drop(client);
    (outcome, server.join().unwrap())
}

/// The text in a recorded request, all of which are known.
fn text_of(request: &Frame) -> String {
    match request.meta.compress.unwrap_or(0) {
        0 => {
            let len = request.body.len() - request.meta.attachment_size.unwrap_or(0) as usize;
            Text::decode(&request.body[..len]).unwrap().text
        }
        1 => "sn".to_owned() + &"c".repeat(500),
        2 => "gz".to_owned() + &"a".repeat(500),
        _ => "zl".to_owned() + &"b".repeat(500),
    }
}

fn frame_in(bytes: &[u8]) -> Frame {
    if bytes.is_empty() {
        return Frame { meta: Meta::default(), body: Vec::new() };
    }
    let meta_size = u32::from_be_bytes(bytes[8..12].try_into().unwrap()) as usize;
    let meta = Meta::decode(&bytes[12..12 + meta_size]).unwrap();
    Frame { meta, body: bytes[12 + meta_size..].to_vec() }
}

/// Makes a recorded frame the answer of another call: the fields stay as they were recorded, only
/// the id is followed by another, and the last one counts.
fn with_id(frame: &mut Vec<u8>, id: i64) {
    let extra = Meta { correlation_id: Some(id), ..Meta::default() }.encode_to_vec();
    let meta_size = u32::from_be_bytes(frame[8..12].try_into().unwrap()) as usize;
    frame.splice(12 + meta_size..12 + meta_size, extra.iter().copied());
    for at in [4, 8] {
        let size = u32::from_be_bytes(frame[at..at + 4].try_into().unwrap());
        frame[at..at + 4].copy_from_slice(&(size + extra.len() as u32).to_be_bytes());
    }
}
