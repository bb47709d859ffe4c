//! The way from a server's port to what serves none of the protocols of frames.

use std::io;
use std::rc::Rc;
use std::sync::Arc;

use super::answer::Answer;
use super::conn::Conn;
use super::local::{Local, Until};
use super::reader::End;
use super::{Connection, ServerOptions};
use crate::net::{Addr, Stream};
use crate::rt::Deadline;

/// Serves the connections of a server that speak none of its protocols of frames.
pub(crate) trait StreamService: Send + Sync {
    /// Serves a connection until it ends, and says why it did. Runs in the connection's coroutine,
    /// on its worker.
    fn serve(&self, connection: Handover<'_>) -> End;
}

/// A connection that was handed over, with the bytes that were read to find out what it speaks.
/// The server still counts it, stops it and closes it.
pub(crate) struct Handover<'a> {
    conn: &'a Arc<Conn>,
    local: &'a Local,
    stream: Rc<Stream>,
    early: Vec<u8>,
}

impl<'a> Handover<'a> {
    pub(super) fn new(conn: &'a Arc<Conn>, stream: Rc<Stream>, early: Vec<u8>) -> Handover<'a> {
        Handover { conn, local: conn.local(), stream, early }
    }

    /// The server's bounds.
    pub(crate) fn options(&self) -> &ServerOptions {
        self.conn.options()
    }

    /// For pushes, which are bytes as they are.
    pub(crate) fn connection(&self) -> Connection {
        self.conn.handle()
    }

    pub(crate) fn peer(&self) -> &Addr {
        &self.conn.peer
    }

    /// No more requests may be taken: the server is stopping. The connection closes by itself when
    /// no request is in hand and all was written.
    pub(crate) fn is_stopping(&self) -> bool {
        self.conn.server.is_stopping()
    }

    /// Reads what there is, and first what was read already. Suspends the caller.
    ///
    /// # Errors
    /// `Eof`; `Cut` when the server closes the connection; `Failed` at the deadline too.
    pub(crate) fn read(&mut self, buffer: &mut [u8], deadline: Deadline) -> Result<usize, End> {
        if !self.early.is_empty() {
            let count = self.early.len().min(buffer.len());
            buffer[..count].copy_from_slice(&self.early[..count]);
            self.early.drain(..count);
            return Ok(count);
        }
        let read = self.stream.read_by(buffer, deadline);
        self.conn.publish(self.local);
        match read {
            Ok(0) | Err(_) if self.local.is_cut() => Err(End::Cut),
            Ok(0) => Err(End::Eof),
            Ok(count) => {
                self.local.tally.read(count);
                Ok(count)
            }
            Err(error) => Err(End::Failed(error)),
        }
    }

    /// Appends what `encode` writes to what goes out; many appends, one write. Does not wait:
    /// [`await_room`](Handover::await_room) does.
    pub(crate) fn write(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        self.conn.append(self.local, encode);
    }

    /// Suspends the caller while the server's limits for one connection are reached.
    ///
    /// # Errors
    /// `Cut` when the connection is closed meanwhile.
    pub(crate) fn await_room(&self) -> Result<(), End> {
        if !self.local.has_room(self.conn.options()) {
            self.conn.await_progress(self.local, Until::Room);
        }
        if self.local.is_cut() { Err(End::Cut) } else { Ok(()) }
    }

    /// Takes a request of `bytes` bytes in hand: a call in flight until what is returned is dropped.
    pub(crate) fn begin(&self, bytes: usize) -> InHand {
        InHand { conn: self.conn.clone(), key: self.local.begin(0, bytes), failed: false }
    }
}

/// A request in hand. May travel anywhere.
pub(crate) struct InHand {
    conn: Arc<Conn>,
    key: u64,
    failed: bool,
}

impl InHand {
    /// Counts the request as one that was answered with an error.
    pub(crate) fn set_failed(&mut self) {
        self.failed = true;
    }

    /// Whether nobody is likely to read the answer any more.
    pub(crate) fn is_canceled(&self) -> bool {
        self.conn.is_gone()
    }
}

/// The call ends. Nothing is written: that was done through the [`Handover`].
impl Drop for InHand {
    fn drop(&mut self) {
        let answer = Answer { code: self.failed.into(), ..Answer::default() };
        self.conn.answer(self.key, 0, &answer);
    }
}

impl End {
    /// The wait for bytes ran out of time.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, End::Failed(error) if error.kind() == io::ErrorKind::TimedOut)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;
    use std::time::Duration;

    use super::*;
    use crate::rpc::{Server, ServerOptions};

    /// Answers each line with itself in capitals; "bye" ends the connection, "bad" accuses it.
    struct Shout;

    impl StreamService for Shout {
        fn serve(&self, mut connection: Handover<'_>) -> End {
            let mut line = Vec::new();
            loop {
                let mut byte = [0];
                let deadline = Deadline::after(Duration::from_secs(20));
                if let Err(end) = connection.read(&mut byte, deadline) {
                    return end;
                }
                line.push(byte[0]);
                if byte != *b"\n" {
                    continue;
                }
                let request = connection.begin(line.len());
                assert!(!request.is_canceled() && !connection.is_stopping());
                line.make_ascii_uppercase();
                connection.write(|out| out.append(&mut line.clone()));
                drop(request);
                if let Err(end) = connection.await_room() {
                    return end;
                }
                match &line[..] {
                    b"BYE\n" => return End::Done,
                    b"BAD\n" => return End::Bad("it said so itself".into()),
                    _ => line.clear(),
                }
            }
        }
    }

    fn server() -> (Server, TcpStream) {
        let server = Server::new(ServerOptions::default());
        server.serve_streams(Arc::new(Shout)).unwrap();
        assert!(server.serve_streams(Arc::new(Shout)).is_err());
        let addr = server.listen("127.0.0.1:0").unwrap().to_string();
        let peer = TcpStream::connect(addr).unwrap();
        peer.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        (server, peer)
    }

    fn talk(peer: &mut TcpStream, line: &str) -> String {
        peer.write_all(line.as_bytes()).unwrap();
        let mut answer = vec![0; line.len()];
        peer.read_exact(&mut answer).unwrap();
        String::from_utf8(answer).unwrap()
    }

    #[test]
    fn early_bytes_are_handed_on_and_the_end_is_in_order() {
        let (server, mut peer) = server();
        assert_eq!(talk(&mut peer, "hello\nyou\n"), "HELLO\nYOU\n");
        assert_eq!(talk(&mut peer, "bye\n"), "BYE\n");
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
        drop(peer);
        let report = server.stop(Deadline::after(Duration::from_secs(20)));
        assert_eq!(report.canceled, 0);
        let stats = server.stats();
        assert_eq!((stats.calls, stats.in_flight, stats.bad_peers), (3, 0, 0));
        assert_eq!((stats.bytes_in, stats.bytes_out), (14, 14));
    }

    #[test]
    fn a_stop_closes_what_is_idle() {
        let (server, mut peer) = server();
        assert_eq!(talk(&mut peer, "hello\n"), "HELLO\n");
        server.stop(Deadline::after(Duration::from_secs(20)));
        assert_eq!(peer.read(&mut [0]).unwrap_or(0), 0);
        assert_eq!(server.stats().connections, 0);
    }

    #[test]
    fn a_bad_peer_is_counted() {
        let (server, mut peer) = server();
        peer.write_all(b"bad\n").unwrap();
        let mut rest = Vec::new();
        let _ = peer.read_to_end(&mut rest);
        assert_eq!(server.stats().bad_peers, 1);
    }
}
