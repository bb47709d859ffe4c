//! The FIFO of waiters that these types share.

use std::collections::VecDeque;
use std::mem;

use crate::rt::Waker;

/// A FIFO of waiters, oldest first. `X` is the request of each.
pub(super) struct WaitList<X> {
    next: u64,
    /// Sorted by ticket: `push_back` issues ever larger ones, and `push_front` is only for an entry that
    /// was the oldest when it was removed.
    entries: VecDeque<Entry<X>>,
}

pub(super) struct Entry<X> {
    pub(super) ticket: Ticket,
    pub(super) waker: Waker,
    pub(super) request: X,
}

/// Identifies one entry for as long as its list lives.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Ticket(u64);

impl<X> WaitList<X> {
    pub(super) const fn new() -> Self {
        WaitList { next: 0, entries: VecDeque::new() }
    }

    pub(super) fn push_back(&mut self, waker: Waker, request: X) -> Ticket {
        let ticket = Ticket(self.next);
        self.next += 1;
        self.entries.push_back(Entry { ticket, waker, request });
        ticket
    }

    /// Puts an entry that was the oldest back at the head.
    pub(super) fn push_front(&mut self, ticket: Ticket, waker: Waker, request: X) {
        debug_assert!(self.entries.front().is_none_or(|e| ticket < e.ticket));
        self.entries.push_front(Entry { ticket, waker, request });
    }

    pub(super) fn pop_front(&mut self) -> Option<Entry<X>> {
        let entry = self.entries.pop_front();
        self.shrink();
        entry
    }

    pub(super) fn front(&self) -> Option<&Entry<X>> {
        self.entries.front()
    }

    /// Removes an entry, wherever it is, and returns whether it was still there.
    pub(super) fn remove(&mut self, ticket: Ticket) -> bool {
        let found = self.entries.binary_search_by_key(&ticket, |e| e.ticket);
        if let Ok(i) = found {
            self.entries.remove(i);
            self.shrink();
        }
        found.is_ok()
    }

    pub(super) fn take_all(&mut self) -> VecDeque<Entry<X>> {
        mem::take(&mut self.entries)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Frees the buffer of a large crowd once it is empty; a handful of waiters that come and go do not
    /// allocate each time.
    fn shrink(&mut self) {
        if self.entries.is_empty() && self.entries.capacity() > KEPT_CAPACITY {
            self.entries = VecDeque::new();
        }
    }
}

/// Wakes the entries of a list that was taken as a whole. To be called without a lock held.
pub(super) fn wake_all<X>(entries: VecDeque<Entry<X>>) {
    for entry in entries {
        // One whose wait has just ended otherwise needs nothing: no permit or value is handed over.
        entry.waker.wake();
    }
}

const KEPT_CAPACITY: usize = 64;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rt::{Deadline, Waiter};

    #[test]
    fn is_a_fifo_from_which_any_entry_is_removed_once() {
        let mut list = WaitList::new();
        let tickets: Vec<_> = (0..5).map(|i| list.push_back(Waiter::new().waker(), i)).collect();
        assert!(list.remove(tickets[2]));
        assert!(!list.remove(tickets[2]));
        let head = list.pop_front().unwrap();
        assert_eq!(head.request, 0);
        list.push_front(head.ticket, head.waker, 10);
        assert_eq!(list.front().unwrap().request, 10);
        let order: Vec<_> = std::iter::from_fn(|| list.pop_front()).map(|e| e.request).collect();
        assert_eq!(order, [10, 1, 3, 4]);
        assert!(list.is_empty());
        assert!(!list.remove(tickets[4]));
    }

    #[test]
    fn frees_the_memory_of_a_crowd() {
        let mut list = WaitList::new();
        let tickets: Vec<_> =
            (0..1000).map(|_| list.push_back(Waiter::new().waker(), ())).collect();
        assert!(tickets.iter().all(|t| list.remove(*t)));
        assert!(list.entries.capacity() <= KEPT_CAPACITY, "{}", list.entries.capacity());
    }

    #[test]
    fn wakes_all() {
        let (tx, rx) = std::sync::mpsc::channel();
        let threads: Vec<_> = (0..3)
            .map(|_| {
                let tx = tx.clone();
                std::thread::spawn(move || {
                    let waiter = Waiter::new();
                    tx.send(waiter.waker()).unwrap();
                    waiter.wait(Deadline::after(Duration::from_secs(10)))
                })
            })
            .collect();
        let mut list = WaitList::new();
        for waker in rx.iter().take(3) {
            list.push_back(waker, ());
        }
        wake_all(list.take_all());
        assert!(list.is_empty());
        for t in threads {
            assert!(t.join().unwrap().is_ok());
        }
    }
}
