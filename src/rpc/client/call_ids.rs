//! The numbers of a client's calls in frames that have 32 bits for them.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::pending::Pending;
use crate::slab::Slab;

/// Counts from 1 to the last 32-bit number and over again, past those that are in flight. Those
/// whose call has ended stay in until there are more of them than of the others.
#[derive(Default)]
pub(super) struct CallIds {
    last: u32,
    keys: HashMap<u32, u64>,
}

impl CallIds {
    /// A number for the call `key`, which is in flight.
    pub(super) fn assign(&mut self, key: u64, pending: &mut Slab<Pending>) -> u32 {
        if self.keys.len() > 2 * pending.len() + SLACK {
            self.keys.retain(|_, key| pending.get_mut(*key).is_some());
        }
        loop {
            self.last = self.last.checked_add(1).unwrap_or(1);
            match self.keys.entry(self.last) {
                Entry::Occupied(other) if pending.get_mut(*other.get()).is_some() => {}
                Entry::Occupied(mut ended) => {
                    ended.insert(key);
                    return self.last;
                }
                Entry::Vacant(free) => {
                    free.insert(key);
                    return self.last;
                }
            }
        }
    }

    /// The call that an answer is for. Asked once for each number.
    pub(super) fn take(&mut self, id: u32) -> Option<u64> {
        self.keys.remove(&id)
    }
}

const SLACK: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn call(pending: &mut Slab<Pending>) -> u64 {
        pending.insert(Pending::Async(Box::new(|_| {})))
    }

    #[test]
    fn numbers_wrap_past_those_in_flight() {
        let (mut ids, mut pending) = (CallIds::default(), Slab::new());
        let [a, b, c] = [(); 3].map(|()| call(&mut pending));
        assert_eq!(ids.assign(a, &mut pending), 1);
        assert_eq!(ids.assign(b, &mut pending), 2);
        ids.last = u32::MAX - 1;
        assert_eq!(ids.assign(c, &mut pending), u32::MAX);
        // The first has ended, the second has not.
        pending.remove(a);
        let [d, e] = [(); 2].map(|()| call(&mut pending));
        assert_eq!(ids.assign(d, &mut pending), 1);
        assert_eq!(ids.assign(e, &mut pending), 3);
        let taken = [1, 2, 3, u32::MAX, 0].map(|id| ids.take(id));
        assert_eq!(taken, [Some(d), Some(b), Some(e), Some(c), None]);
        assert_eq!(ids.take(2), None, "an answer comes once");
    }

    #[test]
    fn calls_that_are_never_answered_take_no_memory() {
        let (mut ids, mut pending) = (CallIds::default(), Slab::new());
        for _ in 0..10_000 {
            let key = call(&mut pending);
            ids.assign(key, &mut pending);
            pending.remove(key);
        }
        assert!(ids.keys.len() <= SLACK + 3, "{}", ids.keys.len());
    }
}
