//! A server's connection: its calls in flight and the way out. What reads it is in `reader`.

use std::io;

use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::Shared;
use super::connection::Unsent;
use super::encode::{Format, WireReply};
use super::state::{ConnState, Until};
use crate::net::{Addr, Stream};
use crate::rpc::Code;
use crate::rpc::{Error, ServerOptions};
use crate::rt::{self, Deadline, Pinned, Waiter};
use crate::sync::lock;

/// One connection of a server. It lives on one worker; answers from elsewhere come by mail.
pub(super) struct Conn {
    pub(super) id: u64,
    pub(super) server: Arc<Shared>,
    pub(super) peer: Addr,
    /// A [`Format`].
    format: AtomicU8,
    /// See [`Call::is_canceled`](super::Call::is_canceled).
    gone: AtomicBool,
    /// For those who are not on the home worker.
    pub(super) unsent: Unsent,
    mail: Mutex<Mail>,
    local: Pinned<ConnState>,
}

/// Answers and pushes made away from the home worker, and the wish to close.
#[derive(Default)]
struct Mail {
    frames: Vec<u8>,
    items: Vec<Item>,
}

struct Item {
    kind: Kind,
    len: usize,
}

enum Kind {
    /// Of the call of this key, by an error or not.
    Answer(u64, /* is an error */ bool),
    Push,
    Close,
}

impl Conn {
    /// Must be called on the worker that is to be its home.
    pub(super) fn new(id: u64, server: Arc<Shared>, stream: Stream) -> Arc<Conn> {
        Arc::new(Conn {
            id,
            server,
            peer: stream.peer_addr().clone(),
            format: AtomicU8::new(Format::Unknown as u8),
            gone: AtomicBool::new(false),
            unsent: Unsent::default(),
            mail: Mutex::default(),
            local: Pinned::new(ConnState::new(Arc::new(stream))),
        })
    }

    pub(super) fn options(&self) -> &ServerOptions {
        &self.server.options
    }

    pub(super) fn max_frame(&self) -> usize {
        self.server.options.max_frame
    }

    /// How answers are written.
    #[inline]
    pub(super) fn format(&self) -> Format {
        Format::from_u8(self.format.load(Ordering::Relaxed))
    }

    pub(super) fn set_format(&self, format: Format) {
        self.format.store(format as u8, Ordering::Relaxed);
    }

    pub(super) fn is_gone(&self) -> bool {
        self.gone.load(Ordering::Relaxed)
    }

    pub(super) fn set_gone(&self) {
        self.gone.store(true, Ordering::Relaxed);
    }

    /// What belongs to the home worker; must be called there.
    #[inline]
    pub(super) fn local(&self) -> &ConnState {
        self.local.get().expect("called on the connection's worker")
    }

    /// The same, if the caller is there.
    #[inline]
    pub(super) fn here(&self) -> Option<&ConnState> {
        self.local.get()
    }

    pub(super) fn home(&self) -> usize {
        self.local.home()
    }

    // ---- answers ----

    /// Answers the call `key`, unless it was answered. From anywhere.
    #[inline]
    pub(super) fn answer(self: &Arc<Self>, key: u64, correlation_id: i64, answer: &WireReply<'_>) {
        match self.local.get() {
            Some(local) => {
                if local.end(key).is_some() {
                    local.tally.ended(answer.code != 0);
                    self.append_answer(local, correlation_id, answer);
                }
            }
            None => self.mail_answer(key, correlation_id, answer),
        }
    }

    /// Answers a call that never got as far as being in flight. Home worker only.
    pub(super) fn refuse(
        self: &Arc<Self>,
        local: &ConnState,
        correlation_id: i64,
        answer: &WireReply,
    ) {
        local.tally.started();
        local.tally.ended(true);
        self.append_answer(local, correlation_id, answer);
    }

    #[inline]
    pub(super) fn append_answer(
        self: &Arc<Self>,
        local: &ConnState,
        id: i64,
        answer: &WireReply<'_>,
    ) {
        self.append(local, |out| answer.encode(out, self.format(), id));
        if local.out.is_idle() {
            // There was nothing to say, and so no writer will look.
            self.progress(local);
        }
    }

    #[inline]
    pub(super) fn append(self: &Arc<Self>, local: &ConnState, encode: impl FnOnce(&mut Vec<u8>)) {
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

    /// The body of the writer: see [`WriteQueue`].
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
    pub(super) fn progress(&self, local: &ConnState) {
        self.publish(local);
        if local.draining.get() && local.is(Until::Drained, self.options())
            || local.closing.get() && local.out.is_idle()
        {
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
    pub(super) fn await_progress(&self, local: &ConnState, until: Until) {
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

    // ---- from elsewhere ----

    #[cold]
    fn mail_answer(self: &Arc<Self>, key: u64, correlation_id: i64, answer: &WireReply<'_>) {
        let mut mail = lock(&self.mail);
        let before = mail.frames.len();
        answer.encode(&mut mail.frames, self.format(), correlation_id);
        self.post(mail, before, Kind::Answer(key, answer.code != 0));
    }

    /// Leaves a push to the home worker. `encode` learns how many bytes wait there already.
    pub(super) fn mail_push(
        self: &Arc<Self>,
        encode: impl FnOnce(usize, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut mail = lock(&self.mail);
        let before = mail.frames.len();
        encode(before, &mut mail.frames)?;
        self.post(mail, before, Kind::Push);
        Ok(())
    }

    /// Asks the home worker to close, after what it was left before.
    pub(super) fn mail_close(self: &Arc<Self>) {
        let mail = lock(&self.mail);
        let before = mail.frames.len();
        self.post(mail, before, Kind::Close);
    }

    fn post(self: &Arc<Self>, mut mail: MutexGuard<'_, Mail>, before: usize, kind: Kind) {
        let len = mail.frames.len() - before;
        mail.items.push(Item { kind, len });
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
        let mail = {
            let mut mail = lock(&self.mail);
            self.unsent.tell(local.out.unsent() + mail.frames.len());
            std::mem::take(&mut *mail)
        };
        let mut frames = &mail.frames[..];
        for item in mail.items {
            let (frame, rest) = frames.split_at(item.len);
            frames = rest;
            match item.kind {
                Kind::Answer(key, is_error) => {
                    if local.end(key).is_none() {
                        continue;
                    }
                    local.tally.ended(is_error);
                }
                Kind::Push => {}
                Kind::Close => {
                    self.close_here(local);
                    continue;
                }
            }
            self.append(local, |out| out.extend_from_slice(frame));
        }
        if local.out.is_idle() {
            self.progress(local);
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
            self.answer(key, correlation_id, &WireReply::error(Code::EINTERNAL, text));
        }
    }

    /// The coroutine of `handler` is about to end.
    #[inline]
    pub(super) fn handler_left(&self, handler: u64) {
        let local = self.local();
        let is_last = {
            let mut handlers = local.handlers.borrow_mut();
            handlers.remove(handler);
            handlers.is_empty()
        };
        if is_last && local.left.get() {
            self.server.forget(self.id);
        }
    }

    /// Brings the server's counters up to date: once per round, not once per call.
    pub(super) fn publish(&self, local: &ConnState) {
        self.unsent.tell(local.out.unsent());
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
