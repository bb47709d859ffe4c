//! Calls that wait for their answer, on the client's side.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::notify::lock;
use super::slab::Slab;
use super::{Error, Response};
use crate::rt::{Deadline, Waker};

pub(super) type Outcome = Result<Response, Error>;
pub(super) type Done = Box<dyn FnOnce(Outcome) + Send>;

/// A call in flight.
pub(super) enum Pending {
    /// A coroutine of the client's own worker waits. It looks after its own deadline, and takes
    /// the entry out itself once it woke.
    Here { waker: Waker, outcome: Option<Outcome> },
    /// A thread, or a coroutine of another worker, waits, and looks after its own deadline.
    Afar(Arc<Slot>),
    /// Nobody waits.
    Async(Done),
}

/// Where the outcome of a call made from afar meets its caller.
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

    /// Hands the caller its outcome, unless it gave up.
    pub(super) fn end(&self, outcome: Outcome) {
        {
            let mut state = lock(&self.state);
            if !matches!(*state, State::Waiting) {
                return;
            }
            *state = State::Ended(outcome);
        }
        self.waker.wake();
    }

    /// The outcome, or `None`, after which none will be accepted.
    pub(super) fn take(&self) -> Option<Outcome> {
        match std::mem::replace(&mut *lock(&self.state), State::Over) {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

/// When calls that nobody waits for run out of time. Those that ended before stay in until there
/// are more of them than of the others.
#[derive(Default)]
pub(super) struct Deadlines {
    heap: BinaryHeap<Reverse<(Deadline, u64)>>,
}

impl Deadlines {
    pub(super) fn add(&mut self, deadline: Deadline, key: u64, pending: &mut Slab<Pending>) {
        if self.heap.len() > 2 * pending.len() + SLACK {
            self.heap.retain(|Reverse((_, key))| pending.get_mut(*key).is_some());
        }
        self.heap.push(Reverse((deadline, key)));
    }

    /// The first deadline of a call still in flight.
    pub(super) fn next(&mut self, pending: &mut Slab<Pending>) -> Option<Deadline> {
        while let Some(&Reverse((deadline, key))) = self.heap.peek() {
            if pending.get_mut(key).is_some() {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// A call whose deadline has passed.
    pub(super) fn pop_due(&mut self, pending: &mut Slab<Pending>) -> Option<u64> {
        let due = self.next(pending)?.has_passed();
        if due { self.heap.pop().map(|Reverse((_, key))| key) } else { None }
    }
}

const SLACK: usize = 64;
