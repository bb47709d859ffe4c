//! The nodes of the timers: an intrusive slab.

use std::num::NonZeroU32;
use std::ops::{Index, IndexMut};

/// Identifies one timer; never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct TimerId {
    index: u32,
    generation: NonZeroU32,
}

impl TimerId {
    pub(super) fn index(self) -> u32 {
        self.index
    }
}

/// An intrusive slab of nodes. It grows to the highest number of timers alive at once, and keeps that
/// memory.
pub(super) struct Slab<T> {
    nodes: Vec<Node<T>>,
    /// The node freed last, the head of a list through `next`: most likely still cached.
    free: u32,
    len: usize,
}

/// One timer, or a free node.
pub(super) struct Node<T> {
    pub(super) deadline: u64,
    pub(super) prev: u32,
    pub(super) next: u32,
    /// Incremented when the node is freed, which makes the ids of its former timers stale.
    generation: NonZeroU32,
    /// The list that the node is in. The wheel's, as are `prev` and `next` of a timer.
    pub(super) slot: u16,
    /// `None` if the node is free.
    value: Option<T>,
}

impl<T> Slab<T> {
    pub(super) fn new() -> Self {
        Slab { nodes: Vec::new(), free: NIL, len: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Inserts a timer that is in no list yet.
    #[inline]
    pub(super) fn insert(&mut self, deadline: u64, value: T) -> TimerId {
        let index = self.free;
        if index == NIL {
            return self.grow(deadline, value);
        }
        self.len += 1;
        let node = &mut self.nodes[index as usize];
        self.free = node.next;
        node.deadline = deadline;
        node.value = Some(value);
        TimerId { index, generation: node.generation }
    }

    /// Frees a node and returns the deadline and the value it had.
    #[inline]
    pub(super) fn remove(&mut self, index: u32) -> (u64, Option<T>) {
        let node = &mut self.nodes[index as usize];
        let value = node.value.take();
        self.len -= 1;
        node.generation = node.generation.saturating_add(1);
        // After its last generation a node is retired: some 40 bytes every 2^32 timers are a fair
        // price for ids that are never reused.
        if node.generation != RETIRED {
            node.next = self.free;
            self.free = index;
        }
        (node.deadline, value)
    }

    /// Returns the node of a timer that has not been removed.
    #[inline]
    pub(super) fn get(&self, id: TimerId) -> Option<&Node<T>> {
        let node = self.nodes.get(id.index as usize)?;
        (node.generation == id.generation).then_some(node)
    }

    pub(super) fn id(&self, index: u32) -> TimerId {
        TimerId { index, generation: self[index].generation }
    }

    #[cold]
    fn grow(&mut self, deadline: u64, value: T) -> TimerId {
        let index = self.nodes.len();
        assert!(index < NIL as usize, "too many timers");
        let generation = NonZeroU32::MIN;
        let value = Some(value);
        self.len += 1;
        self.nodes.push(Node { deadline, prev: NIL, next: NIL, generation, slot: 0, value });
        TimerId { index: index as u32, generation }
    }
}

impl<T> Index<u32> for Slab<T> {
    type Output = Node<T>;

    #[inline]
    fn index(&self, index: u32) -> &Node<T> {
        &self.nodes[index as usize]
    }
}

impl<T> IndexMut<u32> for Slab<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut Node<T> {
        &mut self.nodes[index as usize]
    }
}

#[cfg(test)]
impl<T> Slab<T> {
    /// Returns the highest number of timers alive at once, retired nodes included.
    pub(super) fn high_water(&self) -> usize {
        self.nodes.len()
    }

    /// Ages a node as if it had been freed until one generation is left.
    pub(super) fn age(&mut self, index: u32) {
        assert!(self.nodes[index as usize].value.is_none(), "node {index} is in use");
        self.nodes[index as usize].generation = NonZeroU32::new(u32::MAX - 1).unwrap();
    }
}

/// No node.
pub(super) const NIL: u32 = u32::MAX;

/// The generation that no id has.
const RETIRED: NonZeroU32 = NonZeroU32::MAX;

const _: () = assert!(size_of::<TimerId>() == 8 && size_of::<Option<TimerId>>() == 8);
