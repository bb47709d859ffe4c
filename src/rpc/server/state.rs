//! The worker-local state of an RPC connection.

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use crate::net::Stream;
use crate::rpc::Options;
use crate::rpc::io::WriteQueue;
use crate::rt::Waker;
use crate::slab::Slab;

pub(super) struct ConnState {
    pub(super) calls: RefCell<Slab<InFlight>>,
    /// The bytes of the requests in `calls`.
    request_bytes: Cell<usize>,
    pub(super) out: WriteQueue,
    /// The reader, while it waits for answers to leave.
    pub(super) awaits_room: RefCell<Option<Waker>>,
    pub(super) tally: Tally,
}

/// A call that waits for its answer.
#[derive(Default)]
pub(super) struct InFlight {
    pub(super) correlation_id: i64,
    /// The index of its method in the registry.
    pub(super) method: u32,
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

impl ConnState {
    pub(super) fn new(stream: Arc<Stream>) -> ConnState {
        let out = WriteQueue::new();
        out.attach(stream);
        ConnState {
            calls: RefCell::new(Slab::new()),
            request_bytes: Cell::new(0),
            out,
            awaits_room: RefCell::new(None),
            tally: Tally::default(),
        }
    }

    /// Enters a call; its key.
    #[inline]
    pub(super) fn begin(&self, correlation_id: i64, method: u32, request_bytes: usize) -> u64 {
        self.tally.started();
        self.request_bytes.set(self.request_bytes.get() + request_bytes);
        let call = InFlight { correlation_id, method, request_bytes, ..InFlight::default() };
        self.calls.borrow_mut().insert(call)
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

    /// Forgets all calls: what answers them later goes nowhere.
    pub(super) fn forget_calls(&self) {
        let calls = self.calls.replace(Slab::new());
        self.tally.ended.set(self.tally.ended.get() + calls.len() as u64);
        self.request_bytes.set(0);
    }

    /// Whether the peer may be read: the limits are not reached.
    #[inline]
    pub(super) fn has_room(&self, options: &Options) -> bool {
        self.in_flight() < options.max_in_flight
            && self.request_bytes.get() < options.max_in_flight_bytes
            && self.out.unsent() < options.max_unsent
    }

    /// Whether half of the limits are free.
    pub(super) fn has_half_the_room(&self, options: &Options) -> bool {
        self.in_flight() <= options.max_in_flight / 2
            && self.request_bytes.get() <= options.max_in_flight_bytes / 2
            && self.out.unsent() <= options.max_unsent / 2
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
