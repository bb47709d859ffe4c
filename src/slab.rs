//! A generational slab: a table whose keys are never reused, so that a key kept beyond the life of its
//! entry finds nothing.

// What it may call: nothing.

/// A table of values by key. A key is positive, fits into 63 bits and is small at first (short on the
/// wire): the index of the entry in the low 24 bits, the generation of that index above.
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    /// The head of the list of free entries.
    free: u32,
    len: usize,
}

struct Entry<T> {
    generation: u64,
    value: Result<T, /* next free index */ u32>,
}

impl<T> Slab<T> {
    /// Creates an empty table, without allocating.
    pub(crate) const fn new() -> Slab<T> {
        Slab { entries: Vec::new(), free: NONE, len: 0 }
    }

    /// Returns the number of entries.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Whether the table has no entry.
    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts `value` and returns its key, which no other entry has had or will have.
    ///
    /// # Panics
    /// With more than [`MAX_LEN`] entries: callers bound their number.
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        self.len += 1;
        if self.free == NONE {
            let index = self.entries.len();
            assert!(index <= INDEX_MASK as usize, "a slab has at most {MAX_LEN} entries");
            self.entries.push(Entry { generation: 1, value: Ok(value) });
            return key(1, index);
        }
        let index = self.free as usize;
        let entry = &mut self.entries[index];
        match std::mem::replace(&mut entry.value, Ok(value)) {
            Err(next) => self.free = next,
            Ok(_) => unreachable!("the free list names free entries"),
        }
        key(entry.generation, index)
    }

    /// Returns the value of `key`; `None` if it was removed.
    pub(crate) fn get(&self, key: u64) -> Option<&T> {
        let entry = self.entries.get((key & INDEX_MASK) as usize)?;
        if entry.generation != key >> INDEX_BITS {
            return None;
        }
        entry.value.as_ref().ok()
    }

    /// Returns the value of `key` for modification; `None` if it was removed.
    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let entry = self.entries.get_mut((key & INDEX_MASK) as usize)?;
        if entry.generation != key >> INDEX_BITS {
            return None;
        }
        entry.value.as_mut().ok()
    }

    /// Removes the entry of `key` and returns its value; `None` if it was removed before.
    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let index = (key & INDEX_MASK) as usize;
        let entry = self.entries.get_mut(index)?;
        if entry.generation != key >> INDEX_BITS || entry.value.is_err() {
            return None;
        }
        self.len -= 1;
        if entry.generation == MAX_GENERATION {
            // Retired: one more generation would begin to repeat keys.
            return std::mem::replace(&mut entry.value, Err(NONE)).ok();
        }
        entry.generation += 1;
        let next = std::mem::replace(&mut self.free, index as u32);
        std::mem::replace(&mut entry.value, Err(next)).ok()
    }

    /// Returns the keys of all entries.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let used = self.entries.iter().enumerate().filter(|(_, entry)| entry.value.is_ok());
        used.map(|(index, entry)| key(entry.generation, index)).collect()
    }
}

fn key(generation: u64, index: usize) -> u64 {
    generation << INDEX_BITS | index as u64
}

/// The most entries that a table may be asked to hold: some below what its indices can name, for those
/// that are retired.
pub(crate) const MAX_LEN: usize = INDEX_MASK as usize - 1024;

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const MAX_GENERATION: u64 = (1 << (63 - INDEX_BITS)) - 1;
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use proptest::prelude::*;
    use proptest::sample::Index;

    use super::*;

    #[test]
    fn a_removed_key_finds_nothing_when_its_index_is_used_again() {
        let mut slab = Slab::new();
        let a = slab.insert('a');
        let b = slab.insert('b');
        assert_ne!(a, b);
        assert_eq!(slab.len(), 2);
        assert_eq!(slab.remove(a), Some('a'));
        assert_eq!(slab.remove(a), None);
        assert_eq!(slab.get_mut(a), None);
        let c = slab.insert('c');
        assert_eq!(c & INDEX_MASK, a & INDEX_MASK, "the index is used again");
        assert_ne!(c, a);
        assert_eq!(slab.get(a), None);
        assert_eq!(slab.get_mut(a), None);
        assert_eq!(slab.get(c), Some(&'c'));
        assert_eq!(slab.get_mut(c), Some(&mut 'c'));
        let mut keys = slab.keys();
        keys.sort();
        let mut expected = vec![b, c];
        expected.sort();
        assert_eq!(keys, expected);
        assert!(keys.iter().all(|&key| key > 0 && key <= i64::MAX as u64));
    }

    #[test]
    fn unknown_keys_find_nothing() {
        let mut slab: Slab<u8> = Slab::new();
        for key in [0, 1, u64::MAX, u64::MAX - 1, 1 << INDEX_BITS, i64::MAX as u64] {
            assert_eq!(slab.get(key), None);
            assert_eq!(slab.get_mut(key), None);
            assert_eq!(slab.remove(key), None);
        }
    }

    #[test]
    fn an_index_is_retired_after_its_last_generation() {
        let mut slab = Slab::new();
        let first = slab.insert('a');
        slab.entries[0].generation = MAX_GENERATION;
        let last = key(MAX_GENERATION, 0);
        assert_eq!(last >> 63, 0, "fits into 63 bits");
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.remove(last), Some('a'));
        assert!(slab.is_empty());
        assert_eq!(slab.remove(last), None);
        assert_eq!(slab.get(last), None);
        let next = slab.insert('b');
        assert_eq!(next & INDEX_MASK, 1, "index 0 is not used again");
        assert_eq!(slab.keys(), [next]);
    }

    proptest! {
        /// Like a map whose keys are all different. Indices near their last generation are retired.
        #[test]
        fn behaves_like_a_map_and_never_reuses_a_key(
            operations in prop::collection::vec((any::<bool>(), any::<Index>()), 1..400),
            generations_left in 0u64..6,
        ) {
            let (mut slab, mut model) = (Slab::new(), HashMap::new());
            let (mut seen, mut removed) = (HashSet::new(), Vec::new());
            for (number, (insert, which)) in operations.into_iter().enumerate() {
                if insert {
                    let key = slab.insert(number);
                    prop_assert!(seen.insert(key), "{key:#x} again");
                    prop_assert!(key > 0 && key >> 63 == 0);
                    model.insert(key, number);
                    let entry = &mut slab.entries[(key & INDEX_MASK) as usize];
                    if entry.generation == 1 && key & 1 == 1 {
                        // As if it had been used very often.
                        entry.generation = MAX_GENERATION - generations_left;
                        model.remove(&key);
                        let key = self::key(entry.generation, (key & INDEX_MASK) as usize);
                        prop_assert!(seen.insert(key));
                        model.insert(key, number);
                    }
                } else if !model.is_empty() {
                    let mut keys: Vec<u64> = model.keys().copied().collect();
                    keys.sort();
                    let key = *which.get(&keys);
                    prop_assert_eq!(slab.remove(key), model.remove(&key));
                    removed.push(key);
                }
                prop_assert_eq!(slab.len(), model.len());
                prop_assert_eq!(slab.is_empty(), model.is_empty());
            }
            for key in removed {
                prop_assert_eq!(slab.get(key), None);
                prop_assert_eq!(slab.remove(key), None);
            }
            let mut keys = slab.keys();
            keys.sort();
            let mut expected: Vec<u64> = model.keys().copied().collect();
            expected.sort();
            prop_assert_eq!(keys, expected);
            for (key, value) in model {
                prop_assert_eq!(slab.get(key), Some(&value));
                prop_assert_eq!(slab.get_mut(key).copied(), Some(value));
            }
        }
    }
}
