//! What is malformed, too large or too slow is answered, and ends the connection.

use std::time::Duration;

use fastrpc::ServerOptions;

use super::support::*;

fn limited() -> ServerOptions {
    let mut options = ServerOptions::default();
    options.http.max_head = 1024;
    options.http.max_fields = 10;
    options.http.max_target = 100;
    options.http.max_body = 1000;
    options
}

#[track_caller]
fn refused(addr: &str, request: impl AsRef<[u8]>, status: u16) {
    let shown = String::from_utf8_lossy(request.as_ref()).into_owned();
    let mut peer = Peer::connect(addr);
    // What follows must not be taken for a request.
    peer.send([request.as_ref(), b"GET /hello HTTP/1.1\r\nHost: a\r\n\r\n"].concat());
    let answer = peer.response();
    assert_eq!(answer.status, status, "{shown:?}");
    assert_eq!(answer.field("Connection"), Some("close"), "{shown:?}");
    peer.assert_closed();
}

#[test]
fn each_shape_has_its_status() {
    let (server, addr) = serve_with(limited(), |_| {});
    let long = "x".repeat(2000);
    let mut count = 0;
    for (request, status) in [
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400),
        (
            "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
        ),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3,3\r\n\r\nabc", 400),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /echo HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\r\n b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX : a\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\nHost: a\n\n", 400),
        ("GET /hello HTTP/1.1\r\n\r\n", 400),
        ("GET /hello HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        ("GET /hello\r\n\r\n", 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\u{fc}\x03\x03", 400),
        ("SSH-2.0-OpenSSH_9.2\r\n\r\n", 400),
        ("GET /hello HTTP/2.0\r\nHost: a\r\n\r\n", 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505),
        ("CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nExpect: wonders\r\n\r\n", 417),
        ("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        ("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n", 413),
        (&format!("GET /{long} HTTP/1.1\r\nHost: a\r\n\r\n"), 414),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\nX: {long}\r\n\r\n"), 431),
        (&format!("GET / HTTP/1.1\r\nHost: a\r\n{}\r\n", "X: 1\r\n".repeat(10)), 431),
    ] {
        refused(&addr, request, status);
        count += 1;
    }
    assert_serves(&addr);
    eventually("each is a bad peer", || server.stats().bad_peers == count);
    eventually("each is gone", || server.stats().connections == 0);
}

#[test]
fn bodies_that_go_wrong_while_they_are_read() {
    let (_server, addr) = serve_with(limited(), |_| {});
    let head = "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
    for (body, status) in [
        ("x\r\n", 400),
        ("1\r\nab\r\n0\r\n\r\n", 400),
        ("1\nab\r\n0\r\n\r\n", 400),
        ("11111111111111111\r\n", 400),
        ("0\r\nX : 1\r\n\r\n", 400),
        ("3e9\r\n", 413),
    ] {
        refused(&addr, format!("{head}{body}"), status);
    }
    let many = "1\r\nx\r\n".repeat(1001);
    refused(&addr, format!("{head}{many}"), 413);
    assert_serves(&addr);
}

#[test]
fn a_request_that_ends_early() {
    let (_server, addr) = serve(|_| {});
    for request in [
        "GET /hello HTTP/1.1\r\nHost: a\r\n",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
    ] {
        let mut peer = Peer::connect(&addr);
        peer.send(request);
        peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
        assert_eq!(peer.response().status, 400, "{request:?}");
        peer.assert_closed();
    }
}

#[test]
fn who_is_too_slow_gets_a_408() {
    let mut options = ServerOptions::default();
    options.http.head_timeout = Some(Duration::from_millis(100));
    options.http.body_timeout = Some(Duration::from_millis(100));
    options.detect_timeout = Some(Duration::from_millis(100));
    let (_server, addr) = serve_with(options, |_| {});
    for request in [
        "GET /hello HTTP/1.1\r\nHost: a\r\nX: ",
        "POST / HTTP/1.1\r\nHost: a\r\nX: ",
        "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhell",
        "POST /echo HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhell",
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost",
    ] {
        let mut peer = Peer::connect(&addr);
        peer.send(request);
        let mut answer = peer.response();
        if answer.text() == "hello" {
            answer = peer.response();
        }
        assert_eq!(
            (answer.status, answer.field("Connection")),
            (408, Some("close")),
            "{request:?}"
        );
        peer.assert_closed();
    }
}

#[test]
fn a_head_that_never_ends_is_too_slow_however_it_drips() {
    let mut options = ServerOptions::default();
    options.http.head_timeout = Some(Duration::from_millis(300));
    let (_server, addr) = serve_with(options, |_| {});
    let mut peer = Peer::connect(&addr);
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n");
    let mut writer = peer.stream.try_clone().unwrap();
    let dripping = std::thread::spawn(move || {
        use std::io::Write;
        while writer.write_all(b"X: 1\r\n").is_ok() {
            std::thread::sleep(Duration::from_millis(50));
        }
    });
    assert_eq!(peer.response().status, 408);
    peer.assert_closed();
    drop(peer);
    dripping.join().unwrap();
}

#[test]
fn an_idle_connection_is_closed_without_a_word() {
    let mut options = ServerOptions::default();
    options.http.idle_timeout = Some(Duration::from_millis(100));
    let (_server, addr) = serve_with(options, |_| {});
    let mut peer = Peer::connect(&addr);
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
    peer.assert_closed();
}

#[test]
fn without_routes_http_is_not_spoken() {
    init();
    let server = fastrpc::Server::new(ServerOptions::default());
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = Peer::connect(&addr);
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    peer.assert_closed();
}
