//! A server's connection: what protocols use of it, and its lifecycle.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::net::Shutdown;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::time::Duration;

use super::connections::{Admitted, Connections, OnClose};
use super::counters::{Counters, add};
use super::handlers::Handlers;
use super::state::{Action, Event, State};
use super::{End, InFlight, Session};
use crate::net::{Addr, Scratch, Stream};
use crate::rt::{self, Deadline, Pinned, Waiter, Waker};

/// A connection of a server, which lives on one worker. Unless a method says otherwise it is to be
/// called there: in [`Protocol::serve`](super::Protocol::serve) and the coroutines that this starts.
pub struct Conn {
    id: u64,
    peer: Addr,
    server: Arc<Connections>,
    /// A [`State`]; the home worker alone changes it.
    state: AtomicU8,
    /// [`close`](Conn::close) was called; the home worker learns of it in a moment.
    close_asked: AtomicBool,
    local: Pinned<Local>,
}

/// What only the home worker touches.
struct Local {
    /// Until the protocol has returned.
    stream: RefCell<Option<Arc<Stream>>>,
    admitted: Cell<Option<Admitted>>,
    handlers: Handlers,
    session: RefCell<Option<Arc<dyn Session>>>,
    counters: RefCell<Arc<Counters>>,
    /// The requests in flight that are counted here and not by a session.
    in_flight: Cell<u64>,
    tally: Tally,
    /// Who waits for the connection to be cut.
    waiter: RefCell<Option<Waker>>,
}

/// What happened since the counters were last brought up to date.
#[derive(Default)]
struct Tally {
    started: Cell<u64>,
    ended: Cell<u64>,
    errors: Cell<u64>,
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
}

impl Conn {
    /// A connection on the calling worker; `None` if the server stops.
    pub(crate) fn new(
        server: &Arc<Connections>,
        admitted: Admitted,
        stream: Stream,
    ) -> Option<Arc<Conn>> {
        let conn = Arc::new(Conn {
            id: server.next_id(),
            peer: stream.peer_addr().clone(),
            server: server.clone(),
            state: AtomicU8::new(State::Open as u8),
            close_asked: AtomicBool::new(false),
            local: Pinned::new(Local {
                stream: RefCell::new(Some(Arc::new(stream))),
                admitted: Cell::new(Some(admitted)),
                handlers: Handlers::new(),
                session: RefCell::new(None),
                counters: RefCell::new(server.undetected().clone()),
                in_flight: Cell::new(0),
                tally: Tally::default(),
                waiter: RefCell::new(None),
            }),
        });
        if !server.insert(&conn) {
            return None;
        }
        server.undetected().connections.fetch_add(1, Ordering::Relaxed);
        Some(conn)
    }

    /// Its number, which its server gives to no other. From anywhere.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The other end. From anywhere.
    pub fn peer(&self) -> &Addr {
        &self.peer
    }

    /// Returns the stream that carries the connection.
    ///
    /// # Panics
    /// After the protocol has returned.
    pub fn stream(&self) -> Arc<Stream> {
        self.local().stream.borrow().clone().expect("asked by the protocol while it serves")
    }

    /// Whether the server stops, or the connection is to end for another reason: what is answered
    /// now is the last. From anywhere.
    #[inline]
    pub fn is_draining(&self) -> bool {
        self.state() != State::Open || self.server.is_stopping()
    }

    /// Whether nobody is likely to read an answer any more: the peer closed its side, the
    /// connection is gone, or the server's stop ran out of time. From anywhere.
    pub fn is_canceled(&self) -> bool {
        self.close_asked.load(Ordering::Relaxed) || self.state().is_gone()
    }

    /// Whether nothing can be read or written any more.
    pub fn is_cut(&self) -> bool {
        self.state() >= State::Cut
    }

    /// Whether its protocol has returned, so that nobody can be reached by it. From anywhere.
    pub(crate) fn has_left(&self) -> bool {
        self.state() == State::Left
    }

    /// Closes it, once what was written before has been sent. A [`Session`] drops its requests in
    /// flight; without one they are answered first. Does not wait. From anywhere.
    pub fn close(self: &Arc<Self>) {
        self.close_asked.store(true, Ordering::Relaxed);
        let conn = self.clone();
        // Behind what was posted before, such as pushes from elsewhere. It fails in a forked child
        // only, which has no connections.
        let _ = rt::post(self.home(), move || {
            let has_session = conn.local().session.borrow().is_some();
            conn.advance(if has_session { Event::Close } else { Event::Drain });
        });
    }

    // ---- for protocols ----

    /// Keeps what the connection's end needs to know of a protocol with several requests in flight.
    pub fn attach(&self, session: Arc<dyn Session>) {
        self.local().session.replace(Some(session));
    }

    /// A request was taken. It is in flight until this is dropped, after its answer was written.
    pub fn begin_request(self: &Arc<Self>) -> InFlight {
        self.requests_began(1);
        self.publish();
        InFlight::new(self.clone())
    }

    /// Reads what there is, at most `buffer.len()` bytes, and counts it; 0 is the end of the
    /// stream. Suspends.
    ///
    /// # Errors
    /// As for [`Stream::read_by`].
    pub fn read(&self, buffer: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        let count = self.stream().read_by(buffer, deadline)?;
        self.count_bytes(count as u64, 0);
        Ok(count)
    }

    /// Writes all of `bytes` and counts them. Suspends.
    ///
    /// # Errors
    /// As for [`Stream::write_all_by`].
    pub fn write_all(&self, bytes: &[u8], deadline: Deadline) -> io::Result<()> {
        self.stream().write_all_by(bytes, deadline)?;
        self.count_bytes(0, bytes.len() as u64);
        Ok(())
    }

    /// Runs `handler` in a coroutine of its own, on this worker, and cancels its waits if the stop
    /// runs out of time.
    ///
    /// # Errors
    /// When no coroutine can be started.
    pub fn spawn(
        self: &Arc<Self>,
        name: &'static str,
        handler: impl FnOnce() + 'static,
    ) -> io::Result<()> {
        let conn = self.clone();
        self.handlers().spawn(name, |key| {
            move || {
                handler();
                conn.handler_ended(key);
            }
        })
    }

    /// Ends the connection in order: tells the peer that nothing more will come, and waits a little
    /// for it to do the same. To close with its bytes unread would take back the answers that are
    /// still on their way. Suspends.
    pub fn hang_up(self: &Arc<Self>) {
        self.advance(Event::Drain);
        let stream = self.stream();
        while matches!(stream.read_lazily(Deadline::NEVER, Scratch::borrow), Ok((_, 1..))) {}
    }

    /// Requests were answered, or bytes have left, without the connection's own knowledge: looks
    /// whether that was all it waited for. A [`Session`] calls it.
    #[inline]
    pub fn progress(self: &Arc<Self>) {
        if self.state().awaits_idle() {
            self.end_if_idle();
        }
    }

    // ---- for the protocols of this crate ----

    pub(crate) fn home(&self) -> usize {
        self.local.home()
    }

    /// Whether the server stops. From anywhere.
    #[inline]
    pub(crate) fn is_server_stopping(&self) -> bool {
        self.server.is_stopping()
    }

    pub(crate) fn counters(&self) -> Arc<Counters> {
        self.local().counters.borrow().clone()
    }

    pub(crate) fn handlers(&self) -> &Handlers {
        &self.local().handlers
    }

    /// A handler's coroutine is about to end.
    #[inline]
    pub(crate) fn handler_ended(&self, key: u64) {
        let is_last = self.local().handlers.remove(key);
        if is_last && self.state() == State::Left {
            self.server.forget(self.id);
        }
    }

    #[inline]
    pub(crate) fn requests_began(&self, count: u64) {
        let local = self.local();
        bump(&local.in_flight, count);
        bump(&local.tally.started, count);
    }

    /// Requests were answered and their answers have left, or never will. Looks whether the
    /// connection waited for that.
    pub(crate) fn requests_ended(self: &Arc<Self>, count: u64, errors: u64) {
        let local = self.local();
        // Those that were given up meanwhile have been counted.
        let count = count.min(local.in_flight.get());
        local.in_flight.set(local.in_flight.get() - count);
        bump(&local.tally.ended, count);
        bump(&local.tally.errors, errors.min(count));
        self.publish();
        self.progress();
    }

    pub(crate) fn count_bytes(&self, read: u64, written: u64) {
        let tally = &self.local().tally;
        bump(&tally.bytes_in, read);
        bump(&tally.bytes_out, written);
    }

    pub(crate) fn count_bad_peer(&self) {
        self.local().counters.borrow().bad_peers.fetch_add(1, Ordering::Relaxed);
    }

    /// Brings the counters up to date: once per round, not once per request.
    pub(crate) fn publish(&self) {
        let Local { tally, counters, .. } = self.local();
        let counters = counters.borrow();
        add(&counters.started, tally.started.take());
        add(&counters.ended, tally.ended.take());
        add(&counters.errors, tally.errors.take());
        add(&counters.bytes_in, tally.bytes_in.take());
        add(&counters.bytes_out, tally.bytes_out.take());
    }

    /// Keeps a waker, or none, for when the connection is cut.
    pub(crate) fn watch(&self, waker: Option<Waker>) {
        self.local().waiter.replace(waker);
    }

    /// Writing failed: ends reading, too.
    pub(crate) fn fail(self: &Arc<Self>) {
        self.advance(Event::Failed);
    }

    // ---- for the server ----

    /// The protocol is known: counts the connection there.
    pub(crate) fn count_at(&self, counters: &Arc<Counters>) {
        let before = self.local().counters.replace(counters.clone());
        before.connections.fetch_sub(1, Ordering::Relaxed);
        counters.connections.fetch_add(1, Ordering::Relaxed);
        // With what was read to find out.
        self.publish();
    }

    /// The server is stopping.
    pub(super) fn drain(self: &Arc<Self>) {
        self.advance(Event::Drain);
    }

    /// The stop ran out of time. Returns the number of requests that were in flight.
    pub(super) fn abort(self: &Arc<Self>) -> usize {
        let in_flight = self.in_flight();
        self.advance(Event::Abort);
        in_flight
    }

    /// The end of the connection's coroutine: what the protocol returned with.
    pub(crate) fn conclude(self: &Arc<Self>, end: End) {
        let peer_closed = matches!(end, End::PeerClosed);
        match end {
            // It may have closed one side only.
            End::PeerClosed => self.advance(Event::PeerClosed),
            End::Closed => {}
            End::Failed(_) if self.is_cut() => {}
            End::Failed(error) => log::debug!("the connection of {} broke: {error}", self.peer),
            End::Bad(why) => {
                log::warn!("closing the connection of {}: {why}", self.peer);
                self.count_bad_peer();
            }
        }
        // What is in flight may wait for what the handler does.
        self.run_on_close();
        if peer_closed {
            self.wait_cut();
        }
        self.advance(Event::Served);
    }

    fn wait_cut(self: &Arc<Self>) {
        while !self.is_cut() {
            let waiter = Waiter::new();
            self.watch(Some(waiter.waker()));
            let result = waiter.wait(Deadline::NEVER);
            self.watch(None);
            if result.is_err() {
                return;
            }
        }
    }

    /// Runs the handler of closed connections, if there is one.
    fn run_on_close(self: &Arc<Self>) {
        let Some(handler) = self.server.on_close() else { return };
        let (id, called) = (self.id, handler.clone());
        if self.spawn("close handler", move || call_on_close(&called, id)).is_err() {
            // This is a coroutine, too.
            call_on_close(&handler, id);
        }
    }

    // ---- the lifecycle ----

    #[inline]
    fn state(&self) -> State {
        State::from_u8(self.state.load(Ordering::Relaxed))
    }

    /// Moves on, and does what goes with it: nothing else has these effects.
    fn advance(self: &Arc<Self>, event: Event) {
        let (next, actions) = self.state().on(event);
        self.state.store(next as u8, Ordering::Relaxed);
        for action in actions {
            match action {
                Action::DropRequests => self.drop_requests(),
                Action::FailRequests => self.fail_requests(),
                Action::CancelHandlers => self.handlers().cancel(),
                Action::CutSoon => self.cut_after(FINAL_FLUSH_TIMEOUT),
                Action::HangUp => self.close_our_side(),
                Action::Cut => self.cut(),
                Action::Leave => self.leave(),
            }
        }
        self.progress();
    }

    fn end_if_idle(self: &Arc<Self>) {
        let session = self.session();
        let is_flushed = session.is_none_or(|session| session.is_flushed());
        if is_flushed && self.in_flight() == 0 {
            self.advance(Event::Idle);
        }
    }

    fn in_flight(&self) -> usize {
        let session = self.session().map_or(0, |session| session.in_flight());
        session + self.local().in_flight.get() as usize
    }

    fn drop_requests(self: &Arc<Self>) {
        self.end_own_requests(false);
        if let Some(session) = self.session() {
            session.drop_requests();
        }
    }

    fn fail_requests(self: &Arc<Self>) {
        self.end_own_requests(true);
        if let Some(session) = self.session() {
            session.fail_requests();
        }
    }

    fn end_own_requests(&self, is_error: bool) {
        let Local { in_flight, tally, .. } = self.local();
        let count = in_flight.take();
        bump(&tally.ended, count);
        bump(&tally.errors, if is_error { count } else { 0 });
    }

    fn close_our_side(self: &Arc<Self>) {
        if let Some(session) = self.session() {
            session.shut();
        }
        if let Some(stream) = &*self.local().stream.borrow() {
            let _ = stream.shutdown(Shutdown::Write);
        }
        self.cut_after(LINGER);
    }

    fn cut_after(self: &Arc<Self>, delay: Duration) {
        let conn = Arc::downgrade(self);
        let timer = rt::Timer::after(delay, move || {
            if let Some(conn) = conn.upgrade() {
                conn.advance(Event::Failed);
            }
        });
        if timer.is_err() {
            self.advance(Event::Failed);
        }
    }

    fn cut(&self) {
        if let Some(session) = self.session() {
            session.shut();
        }
        let local = self.local();
        if let Some(stream) = &*local.stream.borrow() {
            stream.close();
        }
        if let Some(waker) = local.waiter.take() {
            waker.wake();
        }
    }

    /// Leaves the server, or stays in its table until the last handler has ended.
    fn leave(self: &Arc<Self>) {
        self.drop_requests();
        let local = self.local();
        local.stream.take();
        local.session.take();
        self.publish();
        local.counters.borrow().connections.fetch_sub(1, Ordering::Relaxed);
        local.admitted.take();
        if local.handlers.is_empty() {
            self.server.forget(self.id);
        }
    }

    #[inline]
    fn local(&self) -> &Local {
        self.local.get().expect("called on the connection's worker")
    }

    fn session(&self) -> Option<Arc<dyn Session>> {
        self.local().session.borrow().clone()
    }
}

impl fmt::Debug for Conn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Conn")
            .field("id", &self.id)
            .field("peer", &self.peer)
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

fn call_on_close(handler: &OnClose, id: u64) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler(id))) {
        let text = rt::panic_text(panic.as_ref());
        log::error!("the handler of closed connections panicked: {text}");
    }
}

#[inline]
fn bump(cell: &Cell<u64>, by: u64) {
    cell.set(cell.get() + by);
}

/// How long a peer may take to close its side after ours.
const LINGER: Duration = Duration::from_secs(1);
/// How long the last answers of a stop that ran out of time may take to leave.
const FINAL_FLUSH_TIMEOUT: Duration = Duration::from_millis(200);
