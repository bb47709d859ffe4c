//! What of a server's connection only its home worker touches.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use crate::net::Stream;
use crate::rpc::ServerOptions;
use crate::rpc::io::WriteQueue;
use crate::rt::{self, Detached, Waker};
use crate::slab::Slab;

/// See the module.
pub(super) struct ConnState {
    pub(super) stream: RefCell<Option<Arc<Stream>>>,
    pub(super) calls: RefCell<Slab<InFlight>>,
    /// The handlers that run, those of calls that were answered meanwhile included.
    pub(super) handlers: RefCell<Slab<Option<Detached>>>,
    /// The reader has left: the connection is kept for its handlers alone.
    pub(super) left: Cell<bool>,
    /// What the requests in `calls` weigh.
    pub(super) request_bytes: Cell<usize>,
    pub(super) out: WriteQueue,
    /// The reader, while it waits for answers to leave.
    pub(super) awaiting: RefCell<Option<(Until, Waker)>>,
    /// No more calls are taken; the connection closes when the last answer has left.
    pub(super) draining: Cell<bool>,
    /// The same at once, but for what waits to be sent.
    pub(super) closing: Cell<bool>,
    /// The peer speaks HTTP, so that its answers do not pass through `out`.
    pub(super) speaks_http: Cell<bool>,
    /// Nothing can be read or written any more.
    pub(super) cut: Cell<bool>,
    pub(super) tally: Tally,
}

/// A call that waits for its answer.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) correlation_id: i64,
    pub(super) request_bytes: usize,
    /// Its handler has returned; the call lives on elsewhere.
    pub(super) handler_ended: bool,
    /// Dropped by a handler that panics.
    pub(super) abandoned: bool,
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

impl ConnState {
    pub(super) fn new(stream: Arc<Stream>) -> ConnState {
        let out = WriteQueue::new();
        out.attach(stream.clone());
        ConnState {
            stream: RefCell::new(Some(stream)),
            calls: RefCell::new(Slab::new()),
            handlers: RefCell::new(Slab::new()),
            left: Cell::new(false),
            request_bytes: Cell::new(0),
            out,
            awaiting: RefCell::new(None),
            draining: Cell::new(false),
            closing: Cell::new(false),
            speaks_http: Cell::new(false),
            cut: Cell::new(false),
            tally: Tally::default(),
        }
    }

    /// Enters a call; its key.
    #[inline]
    pub(super) fn begin(&self, correlation_id: i64, request_bytes: usize) -> u64 {
        self.tally.started();
        self.request_bytes.set(self.request_bytes.get() + request_bytes);
        let call = InFlight { correlation_id, request_bytes, ..InFlight::default() };
        self.calls.borrow_mut().insert(call)
    }

    /// Starts the coroutine of a handler: `body` gets its key, and what it makes must end with
    /// [`handler_left`](super::conn::Conn::handler_left).
    #[inline]
    pub(super) fn spawn_handler<F: FnOnce() + 'static>(
        &self,
        name: &'static str,
        body: impl FnOnce(u64) -> F,
    ) -> io::Result<()> {
        let key = self.handlers.borrow_mut().insert(None);
        let spawned = rt::spawn_detached(name, body(key));
        let mut handlers = self.handlers.borrow_mut();
        match (spawned, handlers.get_mut(key)) {
            (Ok(spawned), Some(entry)) => {
                *entry = Some(spawned);
                Ok(())
            }
            (spawned, _) => {
                handlers.remove(key);
                spawned.map(drop)
            }
        }
    }

    /// Takes out a call that is about to be answered, unless it was answered.
    #[inline]
    pub(super) fn end(&self, key: u64) -> Option<InFlight> {
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

    pub(super) fn is(&self, until: Until, options: &ServerOptions) -> bool {
        let room = || {
            self.in_flight() <= options.max_in_flight / 2
                && self.request_bytes.get() <= options.max_in_flight_bytes / 2
                && self.out.unsent() <= options.max_unsent / 2
        };
        self.cut.get()
            || match until {
                Until::Room => room(),
                Until::Drained => {
                    (self.in_flight() == 0 || self.closing.get()) && self.out.is_idle()
                }
            }
    }
}

impl Tally {
    #[inline]
    pub(super) fn started(&self) {
        self.started.set(self.started.get() + 1);
    }

    pub(super) fn read(&self, bytes: usize) {
        self.bytes_in.set(self.bytes_in.get() + bytes as u64);
    }

    #[inline]
    pub(super) fn ended(&self, is_error: bool) {
        self.ended.set(self.ended.get() + 1);
        if is_error {
            self.errors.set(self.errors.get() + 1);
        }
    }
}
