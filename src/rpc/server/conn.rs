//! A connection that is called in frames: its calls in flight and its write queue. What reads it is
//! in `reader`.

use std::io;

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::Rpc;
use super::connection::Unsent;
use super::encode::{Format, WireReply};
use super::state::{ConnState, InFlight};
use crate::protocol::{Conn, Counters, End, Session, add};
use crate::rpc::io::Writer;
use crate::rpc::{Code, Error, Options};
use crate::rt::{self, Deadline, Pinned, Waiter};
use crate::sync::lock;

/// A connection of a server that speaks RPC. Answers from elsewhere than its worker come through
/// the inbox.
pub(super) struct RpcConn {
    pub(super) base: Arc<Conn>,
    pub(super) rpc: Arc<Rpc>,
    counters: Arc<Counters>,
    /// A [`Format`].
    format: AtomicU8,
    /// The size of the write queue, for other threads.
    pub(super) unsent: Unsent,
    inbox: Mutex<Inbox>,
    local: Pinned<ConnState>,
}

/// Answers and pushes made away from the home worker.
#[derive(Default)]
struct Inbox {
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
}

impl RpcConn {
    pub(super) fn new(base: &Arc<Conn>, rpc: &Arc<Rpc>, format: Format) -> Arc<RpcConn> {
        Arc::new(RpcConn {
            base: base.clone(),
            rpc: rpc.clone(),
            counters: base.counters(),
            format: AtomicU8::new(format as u8),
            unsent: Unsent::default(),
            inbox: Mutex::default(),
            local: Pinned::new(ConnState::new(base.stream())),
        })
    }

    pub(super) fn options(&self) -> &Options {
        &self.rpc.options
    }

    pub(super) fn max_frame(&self) -> usize {
        self.rpc.options.max_frame
    }

    /// How answers are written.
    #[inline]
    pub(super) fn format(&self) -> Format {
        Format::from_u8(self.format.load(Ordering::Relaxed))
    }

    pub(super) fn set_format(&self, format: Format) {
        self.format.store(format as u8, Ordering::Relaxed);
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
            None => self.send_answer(key, correlation_id, answer),
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
        let ((), writer) = local.out.append(encode);
        if writer == Writer::Start {
            let conn = self.clone();
            if let Err(error) = rt::spawn_detached("rpc writer", move || conn.write()) {
                let peer = self.base.peer();
                log::error!("closing the connection of {peer}: no coroutine to write it: {error}");
                self.base.fail();
            }
        }
    }

    /// The body of the writer: see [`WriteQueue`].
    fn write(&self) {
        let local = self.local();
        let stall = self.options().write_stall;
        if let Err(error) = local.out.flush(stall, || self.progress(local)) {
            if error.kind() == io::ErrorKind::TimedOut {
                log::warn!("closing the connection of {}: it takes no answers", self.base.peer());
                self.base.count_bad_peer();
            }
            self.base.fail();
        }
        self.progress(local);
    }

    /// Looks whether answers that left are what somebody waited for.
    pub(super) fn progress(&self, local: &ConnState) {
        self.publish(local);
        self.base.progress();
        if local.has_half_the_room(self.options())
            && let Some(waker) = local.awaits_room.take()
        {
            waker.wake();
        }
    }

    /// Suspends the reader until half of the limits are free.
    pub(super) fn wait_for_room(&self, local: &ConnState) -> Result<(), End> {
        while !local.has_half_the_room(self.options()) && !self.base.is_cut() {
            let waiter = Waiter::new();
            local.awaits_room.replace(Some(waiter.waker()));
            let result = waiter.wait(Deadline::NEVER);
            local.awaits_room.replace(None);
            result.map_err(io::Error::from)?;
        }
        if self.base.is_cut() { Err(End::Closed) } else { Ok(()) }
    }

    // ---- from elsewhere ----

    #[cold]
    fn send_answer(self: &Arc<Self>, key: u64, correlation_id: i64, answer: &WireReply<'_>) {
        let mut inbox = lock(&self.inbox);
        let before = inbox.frames.len();
        answer.encode(&mut inbox.frames, self.format(), correlation_id);
        self.post(inbox, before, Kind::Answer(key, answer.code != 0));
    }

    /// Leaves a push to the home worker. `encode` learns how many bytes wait there already.
    pub(super) fn send_push(
        self: &Arc<Self>,
        encode: impl FnOnce(usize, &mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut inbox = lock(&self.inbox);
        let before = inbox.frames.len();
        encode(before, &mut inbox.frames)?;
        self.post(inbox, before, Kind::Push);
        Ok(())
    }

    fn post(self: &Arc<Self>, mut inbox: MutexGuard<'_, Inbox>, before: usize, kind: Kind) {
        let len = inbox.frames.len() - before;
        inbox.items.push(Item { kind, len });
        let is_first = inbox.items.len() == 1;
        drop(inbox);
        if is_first {
            let conn = self.clone();
            // It fails in a forked child only, where there is nobody to answer.
            let _ = rt::post(self.base.home(), move || conn.take_inbox());
        }
    }

    fn take_inbox(self: &Arc<Self>) {
        let local = self.local();
        let inbox = {
            let mut inbox = lock(&self.inbox);
            self.unsent.tell(local.out.unsent() + inbox.frames.len());
            std::mem::take(&mut *inbox)
        };
        let mut frames = &inbox.frames[..];
        for item in inbox.items {
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
    pub(super) fn handler_returned(self: &Arc<Self>, key: u64, text: &str) {
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

    /// Brings the server's counters up to date: once per round, not once per call.
    pub(super) fn publish(&self, local: &ConnState) {
        self.unsent.tell(local.out.unsent());
        let (tally, counters) = (&local.tally, &self.counters);
        add(&counters.started, tally.started.take());
        add(&counters.ended, tally.ended.take());
        add(&counters.errors, tally.errors.take());
        add(&counters.bytes_in, tally.bytes_in.take());
        add(&counters.bytes_out, local.out.take_written());
    }
}

impl RpcConn {
    /// Whoever forgot to answer a call learns here which one.
    fn log_unanswered(&self, call: &InFlight) {
        let method = self.rpc.registry.at(call.method);
        let (service, name, peer) = (&method.service, &method.name, self.base.peer());
        let why = match call.handler_ended {
            true => "its handler returned and nobody has answered since",
            false => "its handler still runs",
        };
        log::warn!(
            "the stop ran out of time before {service}.{name} of {peer} was answered: {why}"
        );
    }
}

impl Session for RpcConn {
    fn in_flight(&self) -> usize {
        self.local().in_flight()
    }

    fn is_flushed(&self) -> bool {
        self.local().out.is_idle()
    }

    fn drop_requests(self: Arc<Self>) {
        let local = self.local();
        local.forget_calls();
        self.publish(local);
    }

    fn fail_requests(self: Arc<Self>) {
        let local = self.local();
        let keys = local.calls.borrow().keys();
        for (at, key) in keys.iter().enumerate() {
            let call = local.end(*key).expect("listed above");
            if at < MAX_NAMED {
                self.log_unanswered(&call);
            }
            local.tally.ended(true);
            let answer = WireReply::error(Code::ELOGOFF, "the server stopped before the answer");
            self.append_answer(local, call.correlation_id, &answer);
        }
        if keys.len() > MAX_NAMED {
            let more = keys.len() - MAX_NAMED;
            log::warn!("... nor were {more} more calls of {}", self.base.peer());
        }
    }

    fn shut(&self) {
        let local = self.local();
        local.out.shut();
        if let Some(waker) = local.awaits_room.take() {
            waker.wake();
        }
        self.rpc.forget(self.base.id());
    }
}

/// How many calls of a connection that were not answered are named in the log.
const MAX_NAMED: usize = 8;
