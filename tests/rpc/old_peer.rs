//! A peer that speaks the original frames by hand, as the old library did.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};

use super::support::LONG;

pub(crate) struct OldPeer {
    pub(crate) stream: TcpStream,
    bytes: Vec<u8>,
}

/// A frame: its first line and fields as they came, and its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OldFrame {
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl OldPeer {
    pub(crate) fn connect(addr: &str) -> OldPeer {
        OldPeer::over(TcpStream::connect(addr).unwrap())
    }

    pub(crate) fn accept(listener: &TcpListener) -> OldPeer {
        OldPeer::over(listener.accept().unwrap().0)
    }

    fn over(stream: TcpStream) -> OldPeer {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        OldPeer { stream, bytes: Vec::new() }
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
    }

    /// Calls a method of the echo service.
    pub(crate) fn call(&mut self, id: u32, method: &str, body: &[u8]) {
        self.send(&old_request(id, &format!("echo.EchoService.{method}"), "", body));
    }

    /// The next frame; `None` at the end of the stream, however it ends.
    pub(crate) fn receive(&mut self) -> Option<OldFrame> {
        let end = loop {
            let found = self.bytes.windows(4).position(|window| window == b"\r\n\r\n");
            match found {
                Some(end) => break end,
                None => self.read()?,
            }
        };
        let head = String::from_utf8(self.bytes[..end].to_vec()).unwrap();
        let length = field(&head, "Content-Length").expect("a length").parse::<usize>().unwrap();
        while self.bytes.len() < end + 4 + length {
            self.read()?;
        }
        let rest = self.bytes.split_off(end + 4 + length);
        let body = std::mem::replace(&mut self.bytes, rest).split_off(end + 4);
        Some(OldFrame { head, body })
    }

    fn read(&mut self) -> Option<()> {
        let mut buffer = [0; 4096];
        match self.stream.read(&mut buffer) {
            Ok(count @ 1..) => {
                self.bytes.extend_from_slice(&buffer[..count]);
                Some(())
            }
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in {LONG:?}")
            }
            _ => None,
        }
    }

    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let next = self.receive();
        assert!(next.is_none(), "not closed, but {next:?}");
    }
}

impl OldFrame {
    pub(crate) fn field(&self, name: &str) -> Option<&str> {
        field(&self.head, name)
    }

    pub(crate) fn id(&self) -> u32 {
        self.field("cli_id").expect("a cli_id").parse().unwrap()
    }

    /// As it was sent.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        [self.head.as_bytes(), b"\r\n\r\n", &self.body].concat()
    }
}

fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

/// `more`: lines of the head, each with its end.
pub(crate) fn old_request(id: u32, op: &str, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST / HTTP/1.1\r\nop: {op}\r\ncli_id: {id}\r\n{more}Content-Length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

pub(crate) fn old_response(id: u32, more: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\ncli_id: {id}\r\n{more}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

/// What the old library put on the wire: a whole connection.
pub(crate) fn session(what: &str) -> Vec<u8> {
    let path = format!("{}/tests/golden/original/session.{what}.bin", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The frames in `bytes`, which must hold nothing else.
pub(crate) fn frames_in(mut bytes: &[u8]) -> Vec<OldFrame> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(bytes[..end].to_vec()).unwrap();
        let length = field(&head, "Content-Length").expect("a length").parse::<usize>().unwrap();
        let (body, rest) = bytes[end + 4..].split_at(length);
        frames.push(OldFrame { head, body: body.to_vec() });
        bytes = rest;
    }
    frames
}
