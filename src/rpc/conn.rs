//! A server's connection: its calls in flight and the way out. What reads it is in `reader`.

use std::cell::{Cell, RefCell};
use std::io;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::ServerOptions;
use super::error::code;
use super::notify::lock;
use super::out::Out;
use super::server::Shared;
use super::slab::Slab;
use crate::net::{Addr, Stream};
use crate::rt::{self, Deadline, Pinned, Waiter, Waker};
use crate::wire;
use crate::wire::baidu_std::{ResponseHead, encode_response};

/// One connection of a server. It lives on one worker; answers from elsewhere come by mail.
pub(super) struct Conn {
    pub(super) id: u64,
    pub(super) server: Arc<Shared>,
    pub(super) peer: Addr,
    /// See [`Call::is_canceled`](super::Call::is_canceled).
    gone: AtomicBool,
    mail: Mutex<Mail>,
    local: Pinned<Local>,
}

/// What only the home worker touches.
pub(super) struct Local {
    pub(super) stream: RefCell<Option<Rc<Stream>>>,
    calls: RefCell<Slab<InFlight>>,
    /// What the requests in `calls` weigh.
    request_bytes: Cell<usize>,
    pub(super) out: Out,
    /// The reader, while it waits for answers to leave.
    awaiting: RefCell<Option<(Until, Waker)>>,
    /// No more calls are taken; the connection closes when the last answer has left.
    draining: Cell<bool>,
    /// Nothing can be read or written any more.
    cut: Cell<bool>,
    pub(super) tally: Tally,
}

/// A call that waits for its answer.
#[derive(Default)]
pub(super) struct InFlight {
    correlation_id: i64,
    request_bytes: usize,
    /// Its handler has returned; the call lives on elsewhere.
    handler_ended: bool,
    /// Dropped by a handler that panics.
    abandoned: bool,
}

/// What happened since the server's counters were last brought up to date.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) started: Cell<u64>,
    pub(super) ended: Cell<u64>,
    pub(super) errors: Cell<u64>,
    pub(super) bytes_in: Cell<u64>,
}

/// What a reader that does not read waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Until {
    /// Half of the limits are free.
    Room,
    /// Every call is answered and every answer has left.
    Drained,
}

/// Answers made away from the home worker.
#[derive(Default)]
struct Mail {
    frames: Vec<u8>,
    items: Vec<Item>,
}

struct Item {
    key: u64,
    is_error: bool,
    len: usize,
}

/// What is put on the wire for a call.
#[derive(Default)]
pub(super) struct Answer<'a> {
    pub(super) code: i32,
    pub(super) text: &'a str,
    /// How `body` is compressed.
    pub(super) compress: wire::Compress,
    pub(super) body: &'a [u8],
    pub(super) attachment: &'a [u8],
}

impl<'a> Answer<'a> {
    pub(super) fn error(code: i32, text: &'a str) -> Answer<'a> {
        let code = if code == 0 { code::EINTERNAL } else { code };
        Answer { code, text, ..Answer::default() }
    }

    #[inline]
    fn encode(&self, out: &mut Vec<u8>, correlation_id: i64) {
        let head = ResponseHead {
            correlation_id,
            code: self.code,
            text: self.text,
            compress: self.compress,
            ..ResponseHead::default()
        };
        if let Err(error) = encode_response(out, &head, self.body, self.attachment) {
            let text = error.to_string();
            let head = ResponseHead {
                correlation_id,
                code: code::EINTERNAL,
                text: &text,
                ..ResponseHead::default()
            };
            encode_response(out, &head, &[], &[]).expect("a short text fits");
        }
    }
}

impl Conn {
    /// Must be called on the worker that is to be its home.
    pub(super) fn new(id: u64, server: Arc<Shared>, stream: Stream) -> Arc<Conn> {
        let peer = stream.peer_addr().clone();
        let stream = Rc::new(stream);
        let out = Out::new();
        out.attach(stream.clone());
        let local = Local {
            stream: RefCell::new(Some(stream)),
            calls: RefCell::new(Slab::new()),
            request_bytes: Cell::new(0),
            out,
            awaiting: RefCell::new(None),
            draining: Cell::new(false),
            cut: Cell::new(false),
            tally: Tally::default(),
        };
        Arc::new(Conn {
            id,
            server,
            peer,
            gone: AtomicBool::new(false),
            mail: Mutex::default(),
            local: Pinned::new(local),
        })
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.server.options
    }

    pub(super) fn max_frame(&self) -> usize {
        self.server.options.max_frame
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// What belongs to the home worker; must be called there.
    #[inline]
    pub(super) fn local(&self) -> &Local {
        self.local.get().expect("called on the connection's worker")
    }

    pub(super) fn home(&self) -> usize {
        self.local.home()
    }

    // ---- answers ----

    /// Answers the call `key`, unless it was answered. From anywhere.
    #[inline]
    pub(super) fn answer(self: &Arc<Self>, key: u64, correlation_id: i64, answer: &Answer<'_>) {
        match self.local.get() {
            Some(local) => {
                if local.end(key).is_some() {
                    local.tally.ended(answer.code != 0);
                    self.append(local, |out| answer.encode(out, correlation_id));
                }
            }
            None => self.mail_answer(key, correlation_id, answer),
        }
    }

    /// Answers a call that never got as far as being in flight. Home worker only.
    pub(super) fn refuse(self: &Arc<Self>, local: &Local, correlation_id: i64, answer: &Answer) {
        local.tally.started();
        local.tally.ended(true);
        self.append(local, |out| answer.encode(out, correlation_id));
    }

    #[inline]
    fn append(self: &Arc<Self>, local: &Local, encode: impl FnOnce(&mut Vec<u8>)) {
        let ((), start_writer) = local.out.append(encode);
        if start_writer {
            let conn = self.clone();
            if let Err(error) = rt::spawn_detached("rpc writer", move || conn.write()) {
                log::error!(
                    "connection of {} closed: no coroutine to write it: {error}",
                    self.peer
                );
                self.cut(local);
            }
        }
    }

    /// The body of the writer: see [`Out`].
    fn write(&self) {
        let local = self.local();
        let stall = self.options().write_stall;
        if let Err(error) = local.out.flush(stall, || self.progress(local)) {
            if error.kind() == io::ErrorKind::TimedOut {
                log::warn!("closing the connection of {}: it takes no answers", self.peer);
                self.server.counters.bad_peers.fetch_add(1, Ordering::Relaxed);
            }
            self.cut(local);
        }
        self.progress(local);
    }

    /// Looks whether answers that left are what somebody waited for.
    fn progress(&self, local: &Local) {
        self.publish(local);
        if local.draining.get() && local.is(Until::Drained, self.options()) {
            self.hang_up(local);
        }
        let awaiting = &local.awaiting;
        let until = awaiting.borrow().as_ref().map(|(until, _)| *until);
        if until.is_some_and(|until| local.is(until, self.options()))
            && let Some((_, waker)) = awaiting.take()
        {
            waker.wake();
        }
    }

    /// Suspends the reader `until`. Wakes early, with nothing to read, if the connection is cut.
    pub(super) fn await_progress(&self, local: &Local, until: Until) {
        while !local.is(until, self.options()) {
            let waiter = Waiter::new();
            local.awaiting.replace(Some((until, waiter.waker())));
            let result = waiter.wait(Deadline::NEVER);
            local.awaiting.replace(None);
            if result.is_err() {
                return self.cut(local);
            }
        }
    }

    // ---- answers from elsewhere ----

    #[cold]
    fn mail_answer(self: &Arc<Self>, key: u64, correlation_id: i64, answer: &Answer<'_>) {
        let mut mail = lock(&self.mail);
        let before = mail.frames.len();
        answer.encode(&mut mail.frames, correlation_id);
        let item = Item { key, is_error: answer.code != 0, len: mail.frames.len() - before };
        mail.items.push(item);
        let is_first = mail.items.len() == 1;
        drop(mail);
        if is_first {
            let conn = self.clone();
            // It fails in a forked child only, where there is nobody to answer.
            let _ = rt::post(self.home(), move || conn.take_mail());
        }
    }

    fn take_mail(self: &Arc<Self>) {
        let local = self.local();
        let mail = std::mem::take(&mut *lock(&self.mail));
        let mut frames = &mail.frames[..];
        for item in mail.items {
            let (frame, rest) = frames.split_at(item.len);
            frames = rest;
            if local.end(item.key).is_some() {
                local.tally.ended(item.is_error);
                self.append(local, |out| out.extend_from_slice(frame));
            }
        }
    }

    // ---- handlers that panic ----

    /// Leaves the answer of a call, dropped by a panic, to its handler's end. False if the
    /// handler has ended, or this is not its worker.
    pub(super) fn abandon(&self, key: u64) -> bool {
        let Some(local) = self.local.get() else { return false };
        let mut calls = local.calls.borrow_mut();
        match calls.get_mut(key) {
            Some(call) if !call.handler_ended => {
                call.abandoned = true;
                true
            }
            _ => false,
        }
    }

    /// The handler of call `key` has returned, or panicked with `text`.
    #[inline]
    pub(super) fn handler_ended(self: &Arc<Self>, key: u64, text: &str) {
        let local = self.local();
        let abandoned = match local.calls.borrow_mut().get_mut(key) {
            None => return,
            Some(call) => {
                call.handler_ended = true;
                call.abandoned.then_some(call.correlation_id)
            }
        };
        if let Some(correlation_id) = abandoned {
            self.answer(key, correlation_id, &Answer::error(code::EINTERNAL, text));
        }
    }

    // ---- the end ----

    /// The server is stopping: lets the calls in flight end, then closes.
    pub(super) fn drain(self: &Arc<Self>) {
        let local = self.local();
        local.draining.set(true);
        self.progress(local);
    }

    /// The server's stop ran out of time: answers what is in flight with ELOGOFF and closes.
    /// Tells how many calls that were.
    pub(super) fn give_up(self: &Arc<Self>) -> u64 {
        let local = self.local();
        self.set_gone();
        let keys = local.calls.borrow().keys();
        for &key in &keys {
            let correlation_id = local.end(key).expect("listed above").correlation_id;
            local.tally.ended(true);
            let answer = Answer::error(code::ELOGOFF, "the server stopped before the answer");
            self.append(local, |out| answer.encode(out, correlation_id));
        }
        self.drain();
        self.cut_after(LAST_WORDS);
        keys.len() as u64
    }

    /// Tells the peer that nothing more will come, and waits a little for it to do the same: to
    /// close with its bytes unread would take back the answers that are still on their way.
    fn hang_up(&self, local: &Local) {
        if local.out.is_shut() {
            return;
        }
        local.out.shut();
        if let Some(stream) = &*local.stream.borrow() {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        if let Some(conn) = self.server.connection(self.id) {
            conn.cut_after(LINGER);
        }
    }

    fn cut_after(self: &Arc<Self>, delay: Duration) {
        let conn = Arc::downgrade(self);
        let timer = rt::Timer::after(delay, move || {
            if let Some(conn) = conn.upgrade() {
                conn.cut(conn.local());
            }
        });
        if timer.is_err() {
            self.cut(self.local());
        }
    }

    /// Ends reading and writing at once.
    pub(super) fn cut(&self, local: &Local) {
        self.set_gone();
        local.cut.set(true);
        local.out.shut();
        if let Some(stream) = &*local.stream.borrow() {
            stream.close();
        }
        if let Some((_, waker)) = local.awaiting.take() {
            waker.wake();
        }
    }

    /// The reader's last act: forgets the calls in flight, whose answers are dropped when they
    /// come, and leaves the server.
    pub(super) fn leave(&self) {
        let local = self.local();
        self.cut(local);
        local.stream.take();
        let mut calls = local.calls.borrow_mut();
        local.tally.ended.set(local.tally.ended.get() + calls.len() as u64);
        *calls = Slab::new();
        drop(calls);
        local.request_bytes.set(0);
        self.publish(local);
        self.server.forget(self.id);
    }

    /// Brings the server's counters up to date: once per round, not once per call.
    pub(super) fn publish(&self, local: &Local) {
        let counters = &self.server.counters;
        let written = local.out.take_written();
        for (from, to) in [
            (local.tally.started.take(), &counters.started),
            (local.tally.ended.take(), &counters.ended),
            (local.tally.errors.take(), &counters.errors),
            (local.tally.bytes_in.take(), &counters.bytes_in),
            (written, &counters.bytes_out),
        ] {
            if from > 0 {
                to.fetch_add(from, Ordering::Relaxed);
            }
        }
    }
}

impl Local {
    /// Enters a call; its key.
    #[inline]
    pub(super) fn begin(&self, correlation_id: i64, request_bytes: usize) -> u64 {
        self.tally.started();
        self.request_bytes.set(self.request_bytes.get() + request_bytes);
        let call = InFlight { correlation_id, request_bytes, ..InFlight::default() };
        self.calls.borrow_mut().insert(call)
    }

    /// Takes out a call that is about to be answered, unless it was answered.
    #[inline]
    fn end(&self, key: u64) -> Option<InFlight> {
        let call = self.calls.borrow_mut().remove(key)?;
        self.request_bytes.set(self.request_bytes.get() - call.request_bytes);
        Some(call)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.calls.borrow().len()
    }

    /// Whether the peer may be read: the limits are not reached.
    #[inline]
    pub(super) fn has_room(&self, options: &ServerOptions) -> bool {
        self.in_flight() < options.max_in_flight
            && self.request_bytes.get() < options.max_in_flight_bytes
            && self.out.unsent() < options.max_unsent
    }

    pub(super) fn is_cut(&self) -> bool {
        self.cut.get()
    }

    fn is(&self, until: Until, options: &ServerOptions) -> bool {
        let room = || {
            self.in_flight() <= options.max_in_flight / 2
                && self.request_bytes.get() <= options.max_in_flight_bytes / 2
                && self.out.unsent() <= options.max_unsent / 2
        };
        self.cut.get()
            || match until {
                Until::Room => room(),
                Until::Drained => self.in_flight() == 0 && self.out.is_idle(),
            }
    }
}

impl Tally {
    #[inline]
    pub(super) fn started(&self) {
        self.started.set(self.started.get() + 1);
    }

    #[inline]
    fn ended(&self, is_error: bool) {
        self.ended.set(self.ended.get() + 1);
        if is_error {
            self.errors.set(self.errors.get() + 1);
        }
    }
}

/// How long a peer may take to close its side after ours.
const LINGER: Duration = Duration::from_secs(1);
/// How long the last answers of a stop that ran out of time may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(200);
