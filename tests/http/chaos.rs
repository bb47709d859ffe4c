//! Many clients that cut their requests up, send several at once, or leave in the middle.

use std::io::Write;
use std::time::Duration;

use fastrpc::http::Response;
use fastrpc::rt::{self, Deadline};

use super::support::*;

const CLIENTS: u64 = 8;
const ROUNDS: usize = 60;

#[test]
fn whatever_clients_do_each_gets_its_own_answers() {
    let (server, addr) = serve(|router| {
        router
            .route("POST", "/sum/:id", |mut request| {
                let id = request.param("id").unwrap().to_owned();
                let sum: u64 = match request.bytes() {
                    Ok(bytes) => bytes.iter().copied().map(u64::from).sum(),
                    // It has left, or broken the rules: the library answers.
                    Err(_) => 0,
                };
                if id.ends_with('7') {
                    rt::sleep(Duration::from_micros(300)).unwrap();
                }
                if id.ends_with('3') {
                    return Response::stream(move |out| {
                        out.send(id.as_bytes())?;
                        out.send(format!(":{sum}").as_bytes())
                    });
                }
                Response::text(format!("{id}:{sum}"))
            })
            .unwrap();
    });
    let clients: Vec<_> = (0..CLIENTS)
        .map(|seed| {
            let addr = addr.clone();
            std::thread::spawn(move || Client { random: Random(seed + 1), addr }.run())
        })
        .collect();
    let asked: usize = clients.into_iter().map(|client| client.join().unwrap()).sum();
    assert_serves(&addr);
    eventually("all have gone", || {
        let stats = server.stats();
        stats.connections == 0 && stats.in_flight == 0
    });
    assert!(server.stats().calls >= asked as u64);
    assert_eq!(server.stop(Deadline::after(LONG)).canceled, 0);
}

struct Client {
    random: Random,
    addr: String,
}

impl Client {
    /// How many requests were answered.
    fn run(mut self) -> usize {
        let mut answered = 0;
        for round in 0..ROUNDS {
            let mut peer = Peer::connect(&self.addr);
            let count = 1 + self.random.below(20);
            let mut wire = Vec::new();
            let mut expected = Vec::new();
            for n in 0..count {
                let id = round * 100 + n;
                let body: Vec<u8> = (0..self.random.below(3000)).map(|i| i as u8).collect();
                self.put_request(&mut wire, id, &body);
                let sum: u64 = body.iter().copied().map(u64::from).sum();
                expected.push(format!("{id}:{sum}"));
            }
            let leaves = self.random.below(4) == 0;
            if leaves {
                wire.truncate(self.random.below(wire.len()));
            }
            let mut writer = peer.stream.try_clone().unwrap();
            let mut cuts = Random(self.random.next());
            let writing = std::thread::spawn(move || {
                let mut rest = &wire[..];
                while !rest.is_empty() {
                    let size = (1 + cuts.below(5000)).min(rest.len());
                    // A client that leaves may be told so before it is done.
                    if writer.write_all(&rest[..size]).is_err() {
                        return;
                    }
                    rest = &rest[size..];
                    if cuts.below(8) == 0 {
                        std::thread::yield_now();
                    }
                }
            });
            if leaves {
                writing.join().unwrap();
                continue;
            }
            for expected in expected {
                assert_eq!(peer.response().text(), expected);
                answered += 1;
            }
            writing.join().unwrap();
        }
        answered
    }

    fn put_request(&mut self, wire: &mut Vec<u8>, id: usize, body: &[u8]) {
        let head = format!("POST /sum/{id} HTTP/1.1\r\nHost: a\r\n");
        wire.extend_from_slice(head.as_bytes());
        if self.random.below(2) == 0 {
            wire.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
            return wire.extend_from_slice(body);
        }
        wire.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        let mut rest = body;
        while !rest.is_empty() {
            let (chunk, left) = rest.split_at((1 + self.random.below(900)).min(rest.len()));
            wire.extend_from_slice(format!("{:x};a=b\r\n", chunk.len()).as_bytes());
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
            rest = left;
        }
        wire.extend_from_slice(b"0\r\nX: y\r\n\r\n");
    }
}

/// xorshift: the same each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }
}
