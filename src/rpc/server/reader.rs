//! What reads a server's connection, from its first bytes to its end.

use std::io;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::conn::Conn;
use super::dispatch::Dispatch;
use super::frames::{BaiduStd, Frames, Original};
use super::http;
use super::sniff::{Sniffed, Sniffer};
use super::state::{ConnState, Until};
use crate::net::Stream;
use crate::rpc::io::{FULL_READ, ReadBuffer};
use crate::rt::{self, Deadline};

/// Serves a connection until it ends. The body of its coroutine, on its home worker. Ten thousand
/// may wait in here: what needs much stack is done elsewhere.
pub(super) fn serve(conn: &Arc<Conn>) {
    let Some(mut reader) = Reader::new(conn) else { return };
    // Finds out what the peer speaks, then goes on in that.
    let end = match reader.sniff() {
        Ok(Sniffed::BaiduStd) => reader.run(&mut BaiduStd::new(conn.max_frame())),
        Ok(Sniffed::Original) => reader.run(&mut Original::new(conn.max_frame())),
        Ok(Sniffed::Http) => reader.hand_over(),
        Err(end) => end,
    };
    conclude(conn, end);
}

fn conclude(conn: &Arc<Conn>, end: End) {
    let local = conn.local();
    match end {
        End::Eof => {
            // The peer may have closed one side only: what is in flight is still answered. But
            // that may wait for what the handler of closed connections does.
            conn.tell_closed(local);
            conn.await_progress(local, Until::Drained);
            return conn.leave();
        }
        End::Cut => {}
        End::Failed(error) => log::debug!("connection of {} ended: {error}", conn.peer),
        End::Bad(why) => {
            log::warn!("closing the connection of {}: {why}", conn.peer);
            conn.server.counters.bad_peers.fetch_add(1, Ordering::Relaxed);
        }
    }
    conn.tell_closed(local);
    conn.leave();
}

/// Why a connection is read no further.
pub(super) enum End {
    /// The peer closed its side.
    Eof,
    /// We closed it.
    Cut,
    Failed(io::Error),
    /// The peer breaks the rules.
    Bad(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        End::Failed(error)
    }
}

struct Reader<'a> {
    conn: &'a Arc<Conn>,
    local: &'a ConnState,
    dispatch: Dispatch<'a>,
    stream: Arc<Stream>,
    inbound: ReadBuffer,
    /// Whether calls or answers were under way when the present wait began. During a wait none can
    /// be added, so that a wait that began without any was idle from end to end.
    was_busy: bool,
    /// When the head of the frame at hand must be whole.
    head_due: Deadline,
}

impl<'a> Reader<'a> {
    fn new(conn: &'a Arc<Conn>) -> Option<Reader<'a>> {
        let local = conn.local();
        let stream = local.stream.borrow().clone()?;
        Some(Reader {
            conn,
            local,
            dispatch: Dispatch::new(conn, local),
            stream,
            inbound: ReadBuffer::new(),
            was_busy: false,
            head_due: Deadline::NEVER,
        })
    }

    fn sniff(&mut self) -> Result<Sniffed, End> {
        let has_http = !self.conn.server.router.is_empty();
        let mut sniffer = Sniffer::new(has_http);
        loop {
            match self.read(&mut sniffer) {
                // HTTP knows how to say that it took too long.
                Err(End::Bad(_)) if has_http && self.head_due.has_passed() => {
                    return Ok(Sniffed::Http);
                }
                result => result?,
            }
            if let Some(found) = sniffer.found() {
                return Ok(found);
            }
        }
    }

    fn run<F: Frames>(&mut self, frames: &mut F) -> End {
        self.conn.set_format(F::FORMAT);
        // What the sniffer saw is still there.
        let mut result = self.resume(frames);
        while result.is_ok() {
            let has_room = self.dispatch.has_room();
            result = if has_room { self.read(frames) } else { self.resume(frames) };
        }
        result.expect_err("the loop ends with one")
    }

    fn hand_over(self) -> End {
        http::serve(self.conn, self.stream, self.inbound.into_bytes(), self.head_due)
    }

    fn read<F: Frames>(&mut self, frames: &mut F) -> Result<(), End> {
        let local = self.local;
        let deadline = self.deadline(frames);
        let (inbound, dispatch) = (&mut self.inbound, &mut self.dispatch);
        let count = match inbound.read(&self.stream, deadline, |b| frames.take(b, dispatch)) {
            Ok(0) => Err(if local.is_cut() { End::Cut } else { End::Eof }),
            Err(End::Failed(_)) if local.is_cut() => Err(End::Cut),
            Err(End::Failed(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return self.timed_out();
            }
            other => other,
        }?;
        local.tally.read(count);
        self.conn.publish(local);
        if count >= FULL_READ {
            // There is more, and the next read would not wait: let the calls run first, or they
            // all gather here.
            rt::yield_now();
        }
        Ok(())
    }

    /// Takes the frames that were left. If that was for back-pressure, because too much waits for
    /// this peer, then when half of it is gone.
    fn resume<F: Frames>(&mut self, frames: &mut F) -> Result<(), End> {
        let (conn, local) = (self.conn, self.local);
        conn.await_progress(local, Until::Room);
        if local.is_cut() {
            return Err(End::Cut);
        }
        let taken = self.inbound.retake(|bytes| frames.take(bytes, &mut self.dispatch));
        conn.publish(local);
        taken
    }

    /// By when the next bytes must come.
    fn deadline<F: Frames>(&mut self, frames: &F) -> Deadline {
        let (options, local) = (self.conn.options(), self.local);
        self.was_busy = local.in_flight() > 0 || !local.out.is_idle();
        if !self.inbound.is_partial() {
            self.head_due = Deadline::NEVER;
            return options.idle_timeout.into();
        }
        let Some(timeout) = options.frame_timeout else { return Deadline::NEVER };
        if frames.head_is_whole(self.inbound.bytes()) {
            return Deadline::after(timeout);
        }
        if self.head_due == Deadline::NEVER {
            self.head_due = Deadline::after(timeout);
        }
        self.head_due
    }

    fn timed_out(&self) -> Result<(), End> {
        if self.inbound.is_partial() {
            return Err(End::Bad("it does not finish the frame it began".into()));
        }
        if self.was_busy {
            return Ok(());
        }
        log::debug!("closing the idle connection of {}", self.conn.peer);
        Err(End::Cut)
    }
}
