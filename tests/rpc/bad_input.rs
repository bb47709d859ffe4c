//! Peers that break the rules: each ends in the documented error or a closed connection, and the
//! server goes on serving others.

use std::net::Shutdown;
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Compress};
use fastrpc::{Server, ServerOptions};

use super::support::*;

#[test]
fn wrong_magic_closes() {
    let (server, addr) = server(ServerOptions::default());
    for junk in [&b"GET / HTTP/1.1\r\n\r\n"[..], b"PRPX\0\0\0\0\0\0\0\0", b"X", &[0; 4096]] {
        let mut peer = Peer::connect(&addr);
        peer.send(junk);
        peer.assert_closed();
    }
    assert_serves(&addr);
    eventually("bad peers are counted", || server.stats().bad_peers == 4);
}

#[test]
fn wrong_magic_after_good_calls_closes() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Echo", b"good"));
    assert_eq!(peer.receive().unwrap().body, b"good");
    peer.send(b"PRPD");
    peer.assert_closed();
    assert_serves(&addr);
}

#[test]
fn sizes_beyond_the_limit_close() {
    let mut options = ServerOptions::default();
    options.rpc.max_frame = 1000;
    let (_server, addr) = server(options);
    let mut head = b"PRPC".to_vec();
    head.extend(1001u32.to_be_bytes());
    head.extend(10u32.to_be_bytes());
    let meta_beyond_body = b"PRPC\0\0\0\x05\0\0\0\x06";
    let all_ones = b"PRPC\xff\xff\xff\xff\xff\xff\xff\xff";
    for bytes in [&head[..], meta_beyond_body, all_ones] {
        let mut peer = Peer::connect(&addr);
        peer.send(bytes);
        peer.assert_closed();
    }
    // One that just fits is served.
    let mut peer = Peer::connect(&addr);
    let overhead = request(1, "Echo", b"").len() - 12;
    let body = vec![7; 1000 - overhead];
    peer.send(&request(1, "Echo", &body));
    assert_eq!(peer.receive().unwrap().body, body);
}

#[test]
fn truncated_frames_get_no_answer() {
    let (server, addr) = server(ServerOptions::default());
    let whole = request(1, "Echo", b"body");
    for cut in [1, 4, 11, 12, 20, whole.len() - 1] {
        let mut peer = Peer::connect(&addr);
        peer.send(&whole[..cut]);
        peer.0.shutdown(Shutdown::Write).unwrap();
        peer.assert_closed();
    }
    assert_serves(&addr);
    eventually("they are gone", || server.stats().connections == 0);
    assert_eq!(server.stats().calls, 1);
}

#[test]
fn frames_in_any_pieces() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    let mut bytes = Vec::new();
    for id in 1..=5 {
        bytes.extend(request(id, "Echo", &[id as u8; 50]));
    }
    for size in [1, 3, 13, 60] {
        for piece in bytes.chunks(size) {
            peer.send(piece);
        }
        let mut ids: Vec<i64> = (0..5)
            .map(|_| {
                let frame = peer.receive().unwrap();
                assert_eq!(frame.body, vec![frame.id() as u8; 50]);
                frame.id()
            })
            .collect();
        ids.sort();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn meta_that_is_not_protobuf_closes() {
    let (_server, addr) = server(ServerOptions::default());
    for meta in [&b"\xff\xff\xff\xff"[..], b"\x0a\x7f", b"\x0a\x04\x0a\x02\xff\xfe"] {
        let mut peer = Peer::connect(&addr);
        peer.send(&frame_of(meta, b"body"));
        peer.assert_closed();
    }
    assert_serves(&addr);
}

#[test]
fn what_is_no_request_is_an_error() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&answer(9, b"an answer"));
    let frame = peer.receive().unwrap();
    assert_eq!((frame.id(), frame.code()), (9, 1003));
    // The connection is still good.
    peer.send(&request(1, "Echo", b"x"));
    assert_eq!(peer.receive().unwrap().body, b"x");
}

#[test]
fn a_body_that_cannot_be_decoded_is_an_error() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    // Announced as compressed, but it is not; compressed in a way that nobody knows; an
    // attachment larger than the body, and one of negative size.
    for (compress, attachment) in [(1, 0), (2, 0), (3, 0), (99, 0), (0, 5), (0, -1)] {
        let mut meta = request_meta(5, "echo.EchoService", "Echo");
        meta.compress = Some(compress);
        meta.attachment_size = Some(attachment);
        peer.send(&frame(&meta, b"\xff\xff\xff\xff"));
        let frame = peer.receive().unwrap();
        assert_eq!((frame.id(), frame.code()), (5, 1003), "{compress} {attachment}");
        assert!(!frame.text().is_empty());
    }
    peer.send(&request(1, "Echo", b"x"));
    assert_eq!(peer.receive().unwrap().body, b"x");
}

#[test]
fn a_small_body_that_unpacks_beyond_the_limit_is_an_error() {
    let mut options = ServerOptions::default();
    options.rpc.max_frame = 100_000;
    let (_server, addr) = server(options);
    let sent = CallOptions::new().compress(Compress::Gzip);
    let error = client(&addr).call("echo.EchoService", "Echo", &vec![0; 1 << 20], &sent);
    assert_eq!(error.unwrap_err().code(), 1003);
    assert_serves(&addr);
}

#[test]
fn unknown_names_and_the_handlers_view_of_a_bad_message() {
    init();
    let server = Server::new(ServerOptions::default());
    server
        .add_method("a.B", "Typed", |call| match std::str::from_utf8(call.request()) {
            Ok(_) => call.reply(b"fine"),
            Err(_) => call.fail(1003, "the body is not the request's message"),
        })
        .unwrap();
    for service in ["p.C", "q.C", "p.D", "D"] {
        server.add_method(service, "M", |call| call.reply(b"")).unwrap();
    }
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = Peer::connect(&addr);
    for (service, method, body, code, text) in [
        ("a.B", "Typed", &b"\xff"[..], 1003, "not the request's message"),
        ("a.B", "typed", b"", 1002, "typed"),
        ("a.b", "Typed", b"", 1001, "a.b"),
        ("", "", b"", 1001, ""),
        // Without the package only what is meant by no other.
        ("B", "Typed", b"", 0, ""),
        ("B", "typed", b"", 1002, "typed"),
        ("C", "M", b"", 1001, "C"),
        ("D", "M", b"", 0, ""),
        ("p.C", "M", b"", 0, ""),
    ] {
        peer.send(&frame(&request_meta(3, service, method), body));
        let frame = peer.receive().unwrap();
        assert_eq!((frame.id(), frame.code()), (3, code), "{service}.{method}");
        assert!(frame.text().contains(text), "{}", frame.text());
    }
}

#[test]
fn a_half_closed_peer_gets_its_answers() {
    let (server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    for id in 1..=10 {
        peer.send(&request(id, "Sleep", b"100"));
    }
    peer.0.shutdown(Shutdown::Write).unwrap();
    let mut ids: Vec<i64> = (0..10).map(|_| peer.receive().unwrap().id()).collect();
    ids.sort();
    assert_eq!(ids, (1..=10).collect::<Vec<_>>());
    peer.assert_closed();
    eventually("it is gone", || server.stats().connections == 0);
}

#[test]
fn a_frame_that_never_ends_closes() {
    let mut options = ServerOptions::default();
    options.rpc.frame_timeout = Some(Duration::from_millis(50));
    options.detect_timeout = options.rpc.frame_timeout;
    let (_server, addr) = server(options);
    let whole = request(1, "Echo", b"body");
    for cut in [1, 20] {
        let mut peer = Peer::connect(&addr);
        peer.send(&whole[..cut]);
        peer.assert_closed();
    }
    // One that says nothing at all may stay, and still be served.
    let mut quiet = Peer::connect(&addr);
    std::thread::sleep(Duration::from_millis(150));
    quiet.send(&whole);
    assert_eq!(quiet.receive().unwrap().body, b"body");
}

#[test]
fn an_idle_timeout_spares_those_who_wait() {
    let mut options = ServerOptions::default();
    options.rpc.idle_timeout = Some(Duration::from_millis(50));
    options.first_byte_timeout = options.rpc.idle_timeout;
    let (_server, addr) = server(options);
    let mut idle = Peer::connect(&addr);
    let mut waiting = Peer::connect(&addr);
    // Answered just as the fourth idle period ends: the answer must not be cut off.
    waiting.send(&request(1, "Sleep", b"200"));
    idle.assert_closed();
    assert_eq!(waiting.receive().unwrap().body, b"200");
    let answered = Instant::now();
    waiting.assert_closed();
    assert!(answered.elapsed() >= Duration::from_millis(40), "closed with hardly a pause");
}
