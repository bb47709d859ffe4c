//! What connections weigh that are idle. Alone in its process, whose memory it measures.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use fastrpc::http::Response;
use fastrpc::{Server, ServerOptions};

mod common;

use common::resident;

const WORKERS: usize = 1;
const CONNECTIONS: usize = 300;
/// What a handler uses of its stack.
const DEEP: usize = 100 << 10;

#[test]
fn idle_connections_keep_no_deep_stacks() {
    let server = Server::new(ServerOptions::default());
    server.http().route("GET", "/deep", |_| Response::text(deep(DEEP).to_string())).unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let before = resident();
    let mut peers = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut peer = TcpStream::connect(&addr).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        peer.write_all(b"GET /deep HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
        let mut answer = [0; 1024];
        let count = peer.read(&mut answer).unwrap();
        assert!(answer[..count].starts_with(b"HTTP/1.1 200 OK\r\n"));
        // Its coroutine may well take over the stack that the handler before has left.
        peers.push(peer);
    }
    let start = Instant::now();
    let each = loop {
        let each = resident().saturating_sub(before) / CONNECTIONS;
        if each < DEEP / 4 || start.elapsed() > Duration::from_secs(20) {
            break each;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    assert!(each < DEEP / 4, "{each} bytes for each connection");
    // They are served all the same.
    for peer in &mut peers {
        peer.write_all(b"GET /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        peer.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
    }
}

/// Touches this many bytes of the stack.
fn deep(bytes: usize) -> usize {
    let part = [1u8; 1024];
    std::hint::black_box(&part);
    let rest = if bytes > 2048 { deep(bytes - 1024) } else { 0 };
    rest + usize::from(part[bytes % 1024])
}
