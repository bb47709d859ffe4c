//! Layer 0: a table whose keys are never reused, so that what names an entry that is gone names nothing.

/// Entries by key. A key is an index and that index's generation in one positive 63-bit number:
/// small at first (short on the wire), different each time an index is used again.
pub(crate) struct Slab<T> {
    entries: Vec<Entry<T>>,
    free: u32,
    len: usize,
}

struct Entry<T> {
    generation: u64,
    value: Result<T, /* next free index */ u32>,
}

impl<T> Slab<T> {
    pub(crate) const fn new() -> Slab<T> {
        Slab { entries: Vec::new(), free: NONE, len: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts `value` and returns its key. The table holds at most 2^24 entries: the callers'
    /// limits on calls in flight are cut to that.
    pub(crate) fn insert(&mut self, value: T) -> u64 {
        self.len += 1;
        if self.free == NONE {
            let index = self.entries.len() as u64;
            debug_assert!(index <= MAX_LEN as u64);
            self.entries.push(Entry { generation: 1, value: Ok(value) });
            return 1 << INDEX_BITS | index;
        }
        let index = self.free;
        let entry = &mut self.entries[index as usize];
        match std::mem::replace(&mut entry.value, Ok(value)) {
            Err(next) => self.free = next,
            Ok(_) => unreachable!("the free list names free entries"),
        }
        entry.generation << INDEX_BITS | u64::from(index)
    }

    pub(crate) fn get_mut(&mut self, key: u64) -> Option<&mut T> {
        let entry = self.entries.get_mut((key & INDEX_MASK) as usize)?;
        if entry.generation != key >> INDEX_BITS {
            return None;
        }
        entry.value.as_mut().ok()
    }

    pub(crate) fn remove(&mut self, key: u64) -> Option<T> {
        let index = (key & INDEX_MASK) as usize;
        let entry = self.entries.get_mut(index)?;
        if entry.generation != key >> INDEX_BITS || entry.value.is_err() {
            return None;
        }
        entry.generation = entry.generation % MAX_GENERATION + 1;
        self.len -= 1;
        let next = std::mem::replace(&mut self.free, index as u32);
        std::mem::replace(&mut entry.value, Err(next)).ok()
    }

    /// The keys in use.
    pub(crate) fn keys(&self) -> Vec<u64> {
        let used = self.entries.iter().enumerate().filter(|(_, entry)| entry.value.is_ok());
        used.map(|(index, entry)| entry.generation << INDEX_BITS | index as u64).collect()
    }
}

pub(crate) const MAX_LEN: usize = INDEX_MASK as usize;

const INDEX_BITS: u32 = 24;
const INDEX_MASK: u64 = (1 << INDEX_BITS) - 1;
const MAX_GENERATION: u64 = (1 << (63 - INDEX_BITS)) - 1;
const NONE: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_names_its_entry_once() {
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
        assert_eq!(slab.get_mut(a), None);
        assert_eq!(slab.get_mut(c), Some(&mut 'c'));
        let mut keys = slab.keys();
        keys.sort();
        let mut expected = vec![b, c];
        expected.sort();
        assert_eq!(keys, expected);
        assert!(keys.iter().all(|&key| key > 0 && key <= i64::MAX as u64));
    }

    #[test]
    fn unknown_keys_are_nobody() {
        let mut slab: Slab<u8> = Slab::new();
        for key in [0, 1, u64::MAX, 1 << INDEX_BITS, i64::MAX as u64] {
            assert_eq!(slab.get_mut(key), None);
            assert_eq!(slab.remove(key), None);
        }
    }

    #[test]
    fn generations_wrap_within_63_bits() {
        let mut slab = Slab::new();
        let key = slab.insert(());
        slab.entries[0].generation = MAX_GENERATION;
        let last = MAX_GENERATION << INDEX_BITS;
        assert!(last <= i64::MAX as u64);
        assert_eq!(slab.remove(key), None);
        assert_eq!(slab.remove(last), Some(()));
        assert_eq!(slab.insert(()), key);
    }
}
