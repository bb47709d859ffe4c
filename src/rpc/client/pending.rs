//! Calls that wait for their response.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use crate::rpc::{Error, Response};
use crate::rt::Waker;
use crate::sync::lock;

pub(super) type Outcome = Result<Response, Error>;
pub(super) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A call in flight.
pub(super) enum Pending {
    /// A coroutine of the client's own worker waits. It handles its own deadline, and removes the
    /// entry itself once it wakes.
    OnWorker { waker: Waker, outcome: Option<Outcome> },
    /// A thread, or a coroutine of another worker, waits, and handles its own deadline.
    CrossThread(Arc<Slot>),
    /// Nobody waits.
    Async(Done),
}

/// Hands the outcome of a call to a caller on another thread.
pub(super) struct Slot {
    /// The call's key, once it has one; 0 before.
    pub(super) key: AtomicU64,
    waker: Waker,
    state: Mutex<State>,
}

enum State {
    Waiting,
    Ended(Outcome),
    /// The caller no longer waits, or has its outcome.
    Over,
}

impl Slot {
    pub(super) fn new(waker: Waker) -> Slot {
        Slot { key: AtomicU64::new(0), waker, state: Mutex::new(State::Waiting) }
    }

    /// Wakes the caller with this outcome, unless it no longer waits.
    pub(super) fn complete(&self, outcome: Outcome) {
        {
            let mut state = lock(&self.state);
            if !matches!(*state, State::Waiting) {
                return;
            }
            *state = State::Ended(outcome);
        }
        self.waker.wake();
    }

    /// Takes the outcome. If this returns `None`, a later outcome is discarded.
    pub(super) fn take(&self) -> Option<Outcome> {
        match std::mem::replace(&mut *lock(&self.state), State::Over) {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}
