//! A server, and peers that speak HTTP by hand.

use std::io::{Read, Write};
use std::net::TcpStream;

use fastrpc::http::{Response, Router};
use fastrpc::{Server, ServerOptions};

#[allow(unused_imports, reason = "not every test program uses all of it")]
pub(crate) use crate::common::{LONG, eventually, init};

/// A server on a free port, with a `/hello` and what `add` adds.
pub(crate) fn serve(add: impl FnOnce(&Router)) -> (Server, String) {
    serve_with(ServerOptions::default(), add)
}

pub(crate) fn serve_with(options: ServerOptions, add: impl FnOnce(&Router)) -> (Server, String) {
    init();
    let server = Server::new(options);
    server.http().route("GET", "/hello", |_| "hello").unwrap();
    server
        .http()
        .route("POST", "/echo", |mut request| match request.bytes() {
            Ok(bytes) => Response::bytes("application/octet-stream", bytes.to_vec()),
            Err(error) => Response::text(error.to_string()),
        })
        .unwrap();
    add(server.http());
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    (server, addr)
}

/// The server still answers somebody else.
#[track_caller]
pub(crate) fn assert_serves(addr: &str) {
    let mut peer = Peer::connect(addr);
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
}

/// A client by hand.
pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    early: Vec<u8>,
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// As it came, with the status line.
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Answer {
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    /// The first field of this name, which is compared exactly.
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.split("\r\n").skip(1);
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

impl Peer {
    pub(crate) fn connect(addr: &str) -> Peer {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Peer { stream, early: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).unwrap();
    }

    /// The next answer, to anything but HEAD.
    #[track_caller]
    pub(crate) fn response(&mut self) -> Answer {
        let mut answer = self.head();
        if let Some(length) = answer.field("Content-Length") {
            let length = length.parse().unwrap();
            while self.early.len() < length {
                self.more().expect("the whole body");
            }
            answer.body = self.early.drain(..length).collect();
        } else if answer.field("Transfer-Encoding") == Some("chunked") {
            while let chunk @ [_, ..] = &self.chunk()[..] {
                answer.body.extend_from_slice(chunk);
            }
        } else if answer.status != 204 && answer.status != 304 && answer.status >= 200 {
            answer.body = self.rest();
        }
        answer
    }

    /// The head of the next answer.
    #[track_caller]
    pub(crate) fn head(&mut self) -> Answer {
        let head = self.until(b"\r\n\r\n");
        let head = String::from_utf8(head).unwrap();
        let status = head.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3));
        let status = status.unwrap_or_else(|| panic!("no status line: {head:?}"));
        Answer { status: status.parse().unwrap(), head, body: Vec::new() }
    }

    /// The next chunk of a body; empty at its end.
    #[track_caller]
    pub(crate) fn chunk(&mut self) -> Vec<u8> {
        let line = self.until(b"\r\n");
        let digits = std::str::from_utf8(&line).unwrap().trim_end();
        let size = usize::from_str_radix(digits, 16).unwrap();
        while self.early.len() < size + 2 {
            self.more().expect("a whole chunk");
        }
        let mut chunk: Vec<u8> = self.early.drain(..size + 2).collect();
        assert_eq!(chunk.split_off(size), b"\r\n");
        chunk
    }

    /// All that comes until the end of the stream, however that ends.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        while self.more().is_some() {}
        std::mem::take(&mut self.early)
    }

    /// The connection ends, and nothing more comes.
    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let rest = self.rest();
        assert!(rest.is_empty(), "more came: {:?}", String::from_utf8_lossy(&rest));
    }

    #[track_caller]
    fn until(&mut self, end: &[u8]) -> Vec<u8> {
        loop {
            if let Some(at) = self.early.windows(end.len()).position(|window| window == end) {
                return self.early.drain(..at + end.len()).collect();
            }
            if self.more().is_none() {
                panic!("the stream ends after {:?}", String::from_utf8_lossy(&self.early));
            }
        }
    }

    fn more(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(0) => None,
            Ok(count) => {
                self.early.extend_from_slice(&buffer[..count]);
                Some(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in {LONG:?}")
            }
            Err(_) => None,
        }
    }
}
