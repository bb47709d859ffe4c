//! From a response to bytes: at once, streamed, or later.

use std::fmt;
use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::date::with_date;
use super::io::Out;
use super::response::Content;
use super::{HeaderMap, Response, StatusCode, Version};
use crate::rt::{self, Deadline, Waiter, Waker};
use crate::wire::http1::{
    self, Framing, RawResponse, ResponseHead, encode_chunk, encode_head, encode_last_chunk, tokens,
};

/// What its response needs to know of a request.
#[derive(Clone, Copy)]
pub(super) struct Asked {
    pub(super) version: Version,
    pub(super) is_head: bool,
    /// The connection may go on afterwards.
    pub(super) keep_alive: bool,
}

/// How an answer went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Sent {
    pub(super) keep_alive: bool,
    pub(super) is_error: bool,
}

impl Sent {
    /// Cut off in the middle: the end of the connection tells the client.
    const BROKEN: Sent = Sent { keep_alive: false, is_error: true };
}

/// Encodes an answer that is whole into what goes out.
pub(super) fn send(out: &Arc<Out>, asked: Asked, response: Response) -> Sent {
    let Response { status, headers, content, fault } = response;
    if let Some(fault) = fault {
        log::error!("a response with a bad field was not sent: {fault}");
        return send_status(out, asked, StatusCode::INTERNAL_SERVER_ERROR);
    }
    if status.is_informational() {
        log::error!("a response with the status {status} was not sent");
        return send_status(out, asked, StatusCode::INTERNAL_SERVER_ERROR);
    }
    match content {
        Content::Bytes(bytes) => {
            let keep_alive = asked.keep_alive && !says_close(&headers);
            let has_body = may_have_body(status);
            let framing = has_body.then_some(Framing::Length(bytes.len() as u64));
            out.append(|out| {
                put_head(out, asked, status, &headers, framing, keep_alive);
                if has_body && !asked.is_head {
                    out.extend_from_slice(&bytes);
                }
            });
            Sent { keep_alive, is_error: status.is_server_error() }
        }
        Content::Raw(bytes) => send_raw(out, asked, &bytes),
        Content::Stream(..) => unreachable!("streams are written by `Responder::run`"),
    }
}

/// An answer that is but a status.
pub(super) fn send_status(out: &Arc<Out>, asked: Asked, status: StatusCode) -> Sent {
    send(out, asked, Response::plain(status))
}

fn send_raw(out: &Arc<Out>, asked: Asked, bytes: &[u8]) -> Sent {
    match RawResponse::check(bytes, asked.version, asked.is_head) {
        Ok(raw) => {
            let bytes = if asked.is_head { &bytes[..raw.head_len] } else { bytes };
            out.append(|out| out.extend_from_slice(bytes));
            let keep_alive = asked.keep_alive && !raw.must_close;
            Sent { keep_alive, is_error: raw.status.is_server_error() }
        }
        Err(error) => {
            log::error!("a handler's response was not sent: {error}");
            send_status(out, asked, StatusCode::INTERNAL_SERVER_ERROR)
        }
    }
}

fn put_head(
    out: &mut Vec<u8>,
    asked: Asked,
    status: StatusCode,
    fields: &HeaderMap,
    framing: Option<Framing>,
    keep_alive: bool,
) {
    let connection = http1::Connection::new(asked.version, keep_alive);
    with_date(|date| {
        encode_head(out, &ResponseHead { status, fields, framing, connection, date });
    });
}

fn may_have_body(status: StatusCode) -> bool {
    status != StatusCode::NO_CONTENT && status != StatusCode::NOT_MODIFIED
}

fn says_close(headers: &HeaderMap) -> bool {
    let mut tokens = tokens(headers, &::http::header::CONNECTION);
    tokens.any(|token| token.eq_ignore_ascii_case("close"))
}

/// Writes the body of a response bit by bit. Each write leaves at once, and suspends or blocks the
/// caller while the client takes nothing. Dropped without [`finish`](BodyWriter::finish) it ends
/// the connection, which tells the client that the body is not whole.
pub struct BodyWriter {
    out: Arc<Out>,
    mode: Mode,
    sent: Sent,
    finished: bool,
    /// Where the connection waits.
    slot: Arc<Slot>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Chunks,
    /// Up to the end of the connection: for HTTP/1.0.
    Plain,
    /// N more bytes.
    Exact(u64),
    /// There is no body, whatever is written.
    Nothing,
}

impl fmt::Debug for BodyWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BodyWriter").field("mode", &self.mode).finish_non_exhaustive()
    }
}

impl BodyWriter {
    fn begin(
        out: Arc<Out>,
        asked: Asked,
        status: StatusCode,
        headers: &HeaderMap,
        length: Option<u64>,
        slot: Arc<Slot>,
    ) -> BodyWriter {
        let mode = match length {
            _ if asked.is_head || !may_have_body(status) => Mode::Nothing,
            Some(length) => Mode::Exact(length),
            None if asked.version == Version::HTTP_10 => Mode::Plain,
            None => Mode::Chunks,
        };
        let framing = match length {
            _ if !may_have_body(status) => None,
            Some(length) => Some(Framing::Length(length)),
            None if asked.version == Version::HTTP_10 => None,
            None => Some(Framing::Chunked),
        };
        let keep_alive = asked.keep_alive && mode != Mode::Plain && !says_close(headers);
        out.set_responding(true);
        out.append(|out| put_head(out, asked, status, headers, framing, keep_alive));
        let sent = Sent { keep_alive, is_error: status.is_server_error() };
        BodyWriter { out, mode, sent, finished: false, slot }
    }

    /// False for the answer to HEAD: what is written then goes nowhere.
    pub fn wants_bytes(&self) -> bool {
        self.mode != Mode::Nothing
    }

    /// Sends these bytes. Suspends or blocks the caller while the client takes nothing.
    ///
    /// # Errors
    /// `BrokenPipe` and others when the client is gone, `TimedOut` when it takes nothing for too
    /// long, `InvalidInput` for more bytes than were announced.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.mode == Mode::Nothing {
            return Ok(());
        }
        if let Mode::Exact(left) = &mut self.mode {
            let text = "more bytes than were announced";
            *left = left
                .checked_sub(bytes.len() as u64)
                .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, text))?;
        }
        for piece in bytes.chunks(PIECE) {
            match self.mode {
                Mode::Chunks => self.out.append(|out| encode_chunk(out, piece)),
                _ => self.out.append(|out| out.extend_from_slice(piece)),
            }
            self.out.flush()?;
        }
        Ok(())
    }

    /// Whether what is written goes nowhere: the connection is gone.
    pub fn is_canceled(&self) -> bool {
        self.out.has_failed()
    }

    /// Ends the body, and the response with it. Does not wait.
    ///
    /// # Errors
    /// `InvalidInput` for fewer bytes than were announced.
    pub fn finish(mut self) -> io::Result<()> {
        if self.end() == Sent::BROKEN {
            let text = "fewer bytes than were announced";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        Ok(())
    }

    fn end(&mut self) -> Sent {
        match self.mode {
            Mode::Exact(1..) => {
                log::error!("a response has fewer bytes than were announced");
                return Sent::BROKEN;
            }
            Mode::Chunks => self.out.append(encode_last_chunk),
            _ => {}
        }
        self.finished = true;
        self.slot.settle(Outcome::Sent(self.sent));
        self.sent
    }
}

impl Write for BodyWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Drop for BodyWriter {
    fn drop(&mut self) {
        if !self.finished {
            self.slot.settle(Outcome::Sent(Sent::BROKEN));
        }
    }
}

/// The right to answer one request: at once or later, from any coroutine or thread. Dropped, it
/// answers 500.
pub struct Responder {
    slot: Option<Arc<Slot>>,
}

impl fmt::Debug for Responder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").finish_non_exhaustive()
    }
}

impl Responder {
    pub(super) fn new(slot: Arc<Slot>) -> Responder {
        Responder { slot: Some(slot) }
    }

    /// Answers. Does not wait; what writes a [`Response::stream`] runs in a coroutine of its own.
    pub fn send(mut self, response: impl Into<Response>) {
        if let Some(slot) = self.slot.take() {
            slot.settle(Outcome::Answer(response.into()));
        }
    }

    /// Answers in a coroutine of a handler: what writes a stream runs here.
    pub(super) fn run(mut self, response: Response) {
        let Response { status, headers, content, fault } = response;
        let (length, produce) = match content {
            Content::Stream(length, produce) => (length, produce),
            content => return self.send(Response { status, headers, content, fault }),
        };
        let content = Content::Bytes(Default::default());
        let mut writer = self.begin(Response { status, headers, content, fault }, length);
        if writer.wants_bytes() {
            match catch_unwind(AssertUnwindSafe(|| produce(&mut writer))) {
                Ok(Ok(())) => {}
                Ok(Err(error)) => {
                    return log::debug!("the body of a response was cut off: {error}");
                }
                Err(panic) => {
                    let text = rt::panic_text(panic.as_ref());
                    return log::error!("a handler panicked in the body of a response: {text}");
                }
            }
        }
        writer.end();
    }

    /// Answers with the status and fields of `response` now, and with a body that is written bit
    /// by bit; of `length` bytes, if that is known. The head leaves when the caller first writes
    /// or waits; a plain thread blocks until it has left.
    pub fn stream(mut self, response: Response, length: Option<u64>) -> BodyWriter {
        self.begin(response, length)
    }

    fn begin(&mut self, response: Response, length: Option<u64>) -> BodyWriter {
        let slot = self.slot.take().expect("taken when it is consumed");
        let Response { mut status, mut headers, fault, .. } = response;
        if fault.is_some() || status.is_informational() {
            log::error!("a response with a bad status or field: {}", fault.unwrap_or_default());
            (status, headers) = (StatusCode::INTERNAL_SERVER_ERROR, HeaderMap::new());
        }
        let (out, asked) = (slot.out.clone(), slot.asked);
        let writer = BodyWriter::begin(out, asked, status, &headers, length, slot);
        writer.out.flush_soon();
        writer
    }

    /// Answers 500.
    pub fn fail(self) {
        self.send(Response::plain(StatusCode::INTERNAL_SERVER_ERROR));
    }

    /// Whether the answer would go nowhere: the connection is gone.
    pub fn is_canceled(&self) -> bool {
        self.slot.as_ref().is_none_or(|slot| slot.out.has_failed())
    }
}

impl Drop for Responder {
    fn drop(&mut self) {
        if let Some(slot) = self.slot.take() {
            slot.settle(Outcome::Dropped);
        }
    }
}

/// Where a connection waits for an answer.
pub(super) struct Slot {
    out: Arc<Out>,
    asked: Asked,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
}

/// What became of a request.
pub(super) enum Outcome {
    Answer(Response),
    /// Written by a [`BodyWriter`].
    Sent(Sent),
    /// Nobody will answer.
    Dropped,
}

impl Slot {
    pub(super) fn new(out: Arc<Out>, asked: Asked) -> Arc<Slot> {
        Arc::new(Slot { out, asked, state: Mutex::default() })
    }

    fn settle(&self, outcome: Outcome) {
        let mut state = self.lock();
        state.outcome.get_or_insert(outcome);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Suspends the connection until there is an outcome; `None` if `is_over` before. `watch` is
    /// given a waker for that.
    pub(super) fn wait(
        &self,
        is_over: impl Fn() -> bool,
        watch: impl Fn(Option<Waker>),
    ) -> Option<Outcome> {
        loop {
            let waiter = Waiter::new();
            {
                let mut state = self.lock();
                if let Some(outcome) = state.outcome.take() {
                    return Some(outcome);
                }
                state.waker = Some(waiter.waker());
            }
            if is_over() {
                return None;
            }
            watch(Some(waiter.waker()));
            let result = waiter.wait(Deadline::NEVER);
            watch(None);
            if result.is_err() {
                return None;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of the pieces in which a long write is done.
const PIECE: usize = 64 << 10;
