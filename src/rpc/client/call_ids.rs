//! Call ids for frames whose id field has 32 bits.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::pending::Pending;
use crate::slab::Slab;

/// Counts from 1 to the largest 32-bit number and wraps around, skipping ids in flight. Ids of
/// ended calls are removed once they outnumber those in flight.
#[derive(Default)]
pub(super) struct CallIds {
    last: u32,
    keys: HashMap<u32, u64>,
}

impl CallIds {
    /// Assigns an id to the call `key`, which is in flight.
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

    /// Removes an id that a response carries, and returns the key of its call.
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
    fn ids_wrap_past_those_in_flight() {
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
        assert_eq!(ids.take(2), None, "a response arrives once");
    }

    #[test]
    fn calls_without_a_response_take_no_memory() {
        let (mut ids, mut pending) = (CallIds::default(), Slab::new());
        for _ in 0..10_000 {
            let key = call(&mut pending);
            ids.assign(key, &mut pending);
            pending.remove(key);
        }
        assert!(ids.keys.len() <= SLACK + 3, "{}", ids.keys.len());
    }
}
