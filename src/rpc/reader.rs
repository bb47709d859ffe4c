//! What reads a server's connection and starts its calls.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::call::{self, Arrived, Bound, Call};
use super::conn::{Answer, Conn, Local, Until};
use super::error::code;
use super::inbound::{FULL_READ, Inbound, Taken};
use super::methods::{Lookup, Method};
use crate::net::Stream;
use crate::rt::{self, Deadline};
use crate::wire;
use crate::wire::baidu_std::{Decoder, Frame, Head, RequestView};

/// Serves a connection until it ends. The body of its coroutine, on its home worker.
pub(super) fn serve(conn: &Arc<Conn>) {
    let local = conn.local();
    let Some(stream) = local.stream.borrow().clone() else { return };
    let mut reader = Reader {
        taker: Taker {
            conn,
            local,
            decoder: Decoder::new(conn.max_frame()),
            bound: Vec::new(),
            last: 0,
            now: 0,
        },
        stream,
        inbound: Inbound::new(),
        head_due: Deadline::NEVER,
        was_busy: false,
    };
    let end = reader.run();
    match end {
        End::Eof => {
            // The peer may have closed one side only: what is in flight is still answered.
            conn.set_gone();
            conn.await_progress(local, Until::Drained);
        }
        End::Cut => {}
        End::Failed(error) => log::debug!("connection of {} ended: {error}", conn.peer),
        End::Bad(why) => {
            log::warn!("closing the connection of {}: {why}", conn.peer);
            conn.server.counters.bad_peers.fetch_add(1, Ordering::Relaxed);
        }
    }
    conn.leave();
}

/// Why a connection is read no further.
enum End {
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
    taker: Taker<'a>,
    stream: Rc<Stream>,
    inbound: Inbound,
    /// When the head of the frame at hand must be whole.
    /// Whether calls or answers were under way when the present wait began. During a wait none can
    /// be added, so that a wait that began without any was idle from end to end.
    was_busy: bool,
    head_due: Deadline,
}

impl Reader<'_> {
    fn run(&mut self) -> End {
        loop {
            let result = if self.taker.has_room() { self.read() } else { self.resume() };
            if let Err(end) = result {
                return end;
            }
        }
    }

    fn read(&mut self) -> Result<(), End> {
        let local = self.taker.local;
        let deadline = self.deadline();
        let count = match self.inbound.read(&self.stream, deadline, |b| self.taker.take(b)) {
            Ok(0) => Err(if local.is_cut() { End::Cut } else { End::Eof }),
            Err(End::Failed(_)) if local.is_cut() => Err(End::Cut),
            Err(End::Failed(error)) if error.kind() == io::ErrorKind::TimedOut => {
                return self.timed_out();
            }
            other => other,
        }?;
        let bytes_in = &local.tally.bytes_in;
        bytes_in.set(bytes_in.get() + count as u64);
        self.taker.conn.publish(local);
        if count >= FULL_READ {
            // There is more, and the next read would not wait: let the calls run first, or they
            // all gather here.
            rt::yield_now();
        }
        Ok(())
    }

    /// Back-pressure: too much waits for this peer. Reads on when half of it is gone.
    fn resume(&mut self) -> Result<(), End> {
        let (conn, local) = (self.taker.conn, self.taker.local);
        conn.publish(local);
        conn.await_progress(local, Until::Room);
        if local.is_cut() {
            return Err(End::Cut);
        }
        self.inbound.retake(|bytes| self.taker.take(bytes))
    }

    /// By when the next bytes must come.
    fn deadline(&mut self) -> Deadline {
        let (options, local) = (self.taker.conn.options(), self.taker.local);
        self.was_busy = local.in_flight() > 0 || !local.out.is_idle();
        if !self.inbound.is_partial() {
            self.head_due = Deadline::NEVER;
            return options.idle_timeout.into();
        }
        let Some(timeout) = options.frame_timeout else { return Deadline::NEVER };
        if self.inbound.len() >= Head::LEN {
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
        log::debug!("closing the idle connection of {}", self.taker.conn.peer);
        Err(End::Cut)
    }
}

/// Turns frames into calls.
struct Taker<'a> {
    conn: &'a Arc<Conn>,
    local: &'a Local,
    decoder: Decoder,
    /// The methods this connection has used; the last one used is tried first.
    bound: Vec<Arc<Bound>>,
    last: usize,
    /// The clock as of this round, in nanoseconds; 0 if nobody has asked yet.
    now: u64,
}

impl Taker<'_> {
    fn has_room(&self) -> bool {
        self.local.has_room(self.conn.options())
    }

    fn take(&mut self, bytes: &[u8]) -> Result<Taken, End> {
        self.now = 0;
        let mut frames = self.decoder.frames(bytes);
        loop {
            if !self.has_room() {
                return Ok(Taken { consumed: frames.consumed(), missing: 0 });
            }
            match frames.next() {
                None => {
                    let missing = frames.need_more();
                    return Ok(Taken { consumed: frames.consumed(), missing });
                }
                Some(Ok(frame)) => self.start(&frame),
                Some(Err(error)) => match error.correlation_id() {
                    Some(id) => self.refuse(id, code::EREQUEST, &error.to_string()),
                    None => return Err(End::Bad(error.to_string())),
                },
            }
        }
    }

    /// Starts the call of a frame, or answers why not.
    #[inline]
    fn start(&mut self, frame: &Frame<'_>) {
        let meta = &frame.meta;
        let id = meta.correlation_id;
        let Some(request) = &meta.request else {
            return self.refuse(id, code::EREQUEST, "the frame is not a request");
        };
        if self.conn.server.is_stopping() {
            return self.refuse(id, code::ELOGOFF, "the server is stopping");
        }
        let compress = match wire::Compress::from_number(meta.compress_type) {
            Ok(compress) => compress,
            Err(error) => return self.refuse(id, code::EREQUEST, &error.to_string()),
        };
        let Some(via) = self.bind(id, request) else { return };
        let key = self.local.begin(id, frame.body.len() + frame.attachment.len());
        let arrived = Arrived {
            key,
            correlation_id: id,
            body: frame.body,
            attachment: frame.attachment,
            compress,
            deadline: self.deadline(request.timeout_ms),
            log_id: request.log_id,
            request_id: request.request_id,
        };
        let call = Call::new(via.clone(), &arrived);
        // If it fails, the call is dropped with its closure, and says so.
        let _ = rt::spawn_detached("rpc call", move || call::run(via, call));
    }

    #[cold]
    fn refuse(&self, id: i64, code: i32, text: &str) {
        self.conn.refuse(self.local, id, &Answer::error(code, text));
    }

    #[inline]
    fn bind(&mut self, id: i64, request: &RequestView<'_>) -> Option<Arc<Bound>> {
        if let Some(bound) = self.bound.get(self.last)
            && is(&bound.method, request)
        {
            return Some(bound.clone());
        }
        self.bind_other(id, request)
    }

    fn bind_other(&mut self, id: i64, request: &RequestView<'_>) -> Option<Arc<Bound>> {
        if let Some(index) = self.bound.iter().position(|bound| is(&bound.method, request)) {
            self.last = index;
            return Some(self.bound[index].clone());
        }
        let (service, name) = (request.service, request.method);
        match self.conn.server.methods.find(service, name) {
            Lookup::Found(method) => {
                if self.bound.len() == MOST_BOUND {
                    self.bound.clear();
                }
                self.last = self.bound.len();
                self.bound.push(Arc::new(Bound { conn: self.conn.clone(), method }));
                self.bound.last().cloned()
            }
            Lookup::NoService => {
                let text = format!("there is no service '{service}'");
                self.refuse(id, code::ENOSERVICE, &text);
                None
            }
            Lookup::NoMethod => {
                let text = format!("service '{service}' has no method '{name}'");
                self.refuse(id, code::ENOMETHOD, &text);
                None
            }
        }
    }

    fn deadline(&mut self, timeout_ms: Option<i32>) -> Deadline {
        match timeout_ms {
            Some(timeout) if timeout > 0 => {
                if self.now == 0 {
                    self.now = Deadline::after(Duration::ZERO).ns();
                }
                Deadline::from_ns(self.now.saturating_add(timeout as u64 * 1_000_000))
            }
            _ => Deadline::NEVER,
        }
    }
}

fn is(method: &Method, request: &RequestView<'_>) -> bool {
    *method.name == *request.method && *method.service == *request.service
}

/// A connection keeps so many methods at hand.
const MOST_BOUND: usize = 64;
