//! The deadlines of calls that nobody waits for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::pending::Pending;
use crate::rt::{Deadline, Waker};
use crate::slab::Slab;

/// The coroutine that sleeps until the first of the [`Deadlines`].
pub(super) enum DeadlineTask {
    Off,
    Starting,
    Sleeping(Deadline, Waker),
}

/// The deadlines of calls that nobody waits for. Entries of ended calls are removed once they
/// outnumber those in flight.
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

    /// Returns the earliest deadline of a call still in flight.
    pub(super) fn next(&mut self, pending: &mut Slab<Pending>) -> Option<Deadline> {
        while let Some(&Reverse((deadline, key))) = self.heap.peek() {
            if pending.get_mut(key).is_some() {
                return Some(deadline);
            }
            self.heap.pop();
        }
        None
    }

    /// Removes a call whose deadline has passed, and returns its key.
    pub(super) fn pop_due(&mut self, pending: &mut Slab<Pending>) -> Option<u64> {
        let due = self.next(pending)?.has_passed();
        if due { self.heap.pop().map(|Reverse((_, key))| key) } else { None }
    }
}

const SLACK: usize = 64;
