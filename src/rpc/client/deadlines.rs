//! The deadlines of calls that nobody waits for.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::channel::{Inner, Local};
use super::pending::Pending;
use crate::rpc::Error;
use crate::rt::{self, Deadline, WaitError, Waiter, Waker};
use crate::slab::Slab;

/// The coroutine that sleeps until the next deadline of a call that nobody waits for.
pub(super) enum Alarm {
    Off,
    Starting,
    Set(Deadline, Waker),
}

impl Inner {
    /// Gives the asynchronous call `key` a deadline. Home worker only.
    pub(super) fn expire_at(self: &Arc<Self>, local: &Local, key: u64, deadline: Deadline) {
        if deadline == Deadline::NEVER {
            return;
        }
        local.deadlines.borrow_mut().add(deadline, key, &mut local.pending.borrow_mut());
        let mut alarm = local.alarm.borrow_mut();
        match &*alarm {
            Alarm::Starting => {}
            Alarm::Set(at, waker) => {
                if deadline < *at {
                    waker.wake();
                }
            }
            Alarm::Off => {
                let inner = self.clone();
                match rt::spawn_detached("rpc deadlines", move || inner.watch_deadlines()) {
                    Ok(_) => *alarm = Alarm::Starting,
                    Err(error) => log::error!("deadlines may be late: {error}"),
                }
            }
        }
    }

    /// The body of the alarm's coroutine: see [`Alarm`].
    fn watch_deadlines(self: Arc<Self>) {
        let local = self.here();
        loop {
            let due = loop {
                let due = local.deadlines.borrow_mut().pop_due(&mut local.pending.borrow_mut());
                match due {
                    Some(key) => {
                        self.end(local, key, || {
                            let text = format!("{} did not answer in time", self.addr);
                            Err(Error::timeout(text))
                        });
                    }
                    None => {
                        break local.deadlines.borrow_mut().next(&mut local.pending.borrow_mut());
                    }
                }
            };
            let Some(next) = due else {
                local.alarm.replace(Alarm::Off);
                return;
            };
            let waiter = Waiter::new();
            local.alarm.replace(Alarm::Set(next, waiter.waker()));
            if let Err(WaitError::Forked) = waiter.wait(next) {
                return;
            }
        }
    }

    pub(super) fn stop_alarm(&self, local: &Local) {
        if let Alarm::Set(_, waker) = &*local.alarm.borrow() {
            waker.wake();
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
