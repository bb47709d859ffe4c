//! A hierarchical timer wheel: any number of timers, added and canceled in constant time.
//!
//! The wheel has no clock: the caller passes nanoseconds on a clock of its choice. It neither runs
//! callbacks nor drops a value: [`Wheel::cancel`] and [`Wheel::expire`] return the values, so that no
//! code of the caller runs while the wheel is borrowed.
//!
//! # How it works
//!
//! Time is cut into ticks of 2^16 ns. Eight levels of 64 slots cover every `u64`: a timer goes to
//! the level of the highest 6-bit digit in which its tick differs from the current tick, and to
//! the slot of that digit. Hence the lowest occupied slot of the lowest occupied level always
//! holds the earliest timers, and a bitmap for each level finds it without a search.
//!
//! When time reaches a slot, its timers are handed out if due, or else move to a lower level, at
//! most once for each level. Timers of the current tick wait in a binary heap, which makes the
//! wheel exact to the nanosecond: the tick is a unit of sorting, not of precision.
//!
//! Each slot remembers the earliest deadline put into it. So the caller is not woken in order to
//! move timers between levels: that is done on the way, whenever it calls `expire` anyway.

// What it may call: nothing.

#![forbid(unsafe_code)]

mod slab;
#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use self::slab::{NIL, Slab};

pub(crate) use self::slab::TimerId;

/// Timers that carry a `T` each; see the module for how it works.
pub(crate) struct Wheel<T> {
    slab: Slab<T>,
    /// The current tick. Timers in slots are later than it; timers up to it are in the heap.
    tick: u64,
    /// Bit `level` is set if that level has an occupied slot.
    levels: u8,
    /// Bit `digit` of a level is set if that slot is occupied.
    occupied: [u64; LEVELS],
    slots: Box<[Slot; SLOTS]>,
    /// Timers that do not belong in a slot. Canceled ones stay as stale entries, except at the top: the
    /// top is always a live timer.
    heap: BinaryHeap<Reverse<Soon>>,
    /// The number of stale entries in the heap.
    stale: usize,
    /// Collected by `expire`; empty between calls, kept for its memory.
    due: Vec<(u64, T)>,
}

impl<T> Wheel<T> {
    /// Creates an empty wheel. Timers may have deadlines before `now_ns`: they are due at once.
    pub(crate) fn new(now_ns: u64) -> Self {
        Wheel {
            slab: Slab::new(),
            tick: tick_of(now_ns),
            levels: 0,
            occupied: [0; LEVELS],
            slots: Box::new([Slot::EMPTY; SLOTS]),
            heap: BinaryHeap::new(),
            stale: 0,
            due: Vec::new(),
        }
    }

    /// Adds a timer that is due once the time is `deadline_ns` or later.
    ///
    /// # Panics
    ///
    /// With 2^32 - 1 timers pending.
    #[inline]
    pub(crate) fn insert(&mut self, deadline_ns: u64, value: T) -> TimerId {
        let id = self.slab.insert(deadline_ns, value);
        self.place(id.index(), deadline_ns);
        id
    }

    /// Removes a timer and returns its value; `None` if it has expired or was canceled.
    #[inline]
    pub(crate) fn cancel(&mut self, id: TimerId) -> Option<T> {
        let node = self.slab.get(id)?;
        let (slot, prev, next) = (node.slot, node.prev, node.next);
        if slot == IN_HEAP {
            let (_, value) = self.slab.remove(id.index());
            self.stale += 1;
            self.drop_stale();
            return value;
        }
        if next != NIL {
            self.slab[next].prev = prev;
        }
        if prev != NIL {
            self.slab[prev].next = next;
        } else {
            let slot = usize::from(slot) % SLOTS;
            self.slots[slot].head = next;
            if next == NIL {
                self.set_vacant(slot);
            }
        }
        self.slab.remove(id.index()).1
    }

    /// Returns when to call `expire` next: never later than the earliest deadline.
    ///
    /// It may be earlier after the earliest timer was canceled; calling `expire` then corrects it.
    /// After `expire(now)` it is always later than `now`.
    #[inline]
    pub(crate) fn next_deadline(&self) -> Option<u64> {
        let in_heap = self.heap.peek().map(|Reverse(soon)| soon.deadline);
        let in_slot = self.first_slot().map(|(slot, _)| self.slots[slot].earliest);
        match (in_heap, in_slot) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// Appends to `fired` the values of all timers with a deadline of at most `now_ns`, in the
    /// order of their deadlines (in any order among equal ones), and of no other timer.
    ///
    /// Time may go backwards: nothing fires twice or early.
    #[inline]
    pub(crate) fn expire(&mut self, now_ns: u64, fired: &mut Vec<T>) {
        let now = tick_of(now_ns);
        let slot_is_due = self.first_slot().is_some_and(|(_, start)| start <= now);
        let heap_is_due = self.heap.peek().is_some_and(|Reverse(soon)| soon.deadline <= now_ns);
        if slot_is_due || heap_is_due {
            self.expire_some(now_ns, fired);
        }
        // No occupied slot lies between the old and the new tick, so none changes its level. With
        // all slots empty the tick may even go back, which ends the effect of a jump ahead.
        if now > self.tick || self.levels == 0 {
            self.tick = now;
        }
    }

    /// Returns the number of pending timers.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether no timer is pending.
    pub(crate) fn is_empty(&self) -> bool {
        self.slab.len() == 0
    }

    #[cold]
    fn expire_some(&mut self, now_ns: u64, fired: &mut Vec<T>) {
        while let Some((slot, start)) = self.first_slot()
            && start <= tick_of(now_ns)
        {
            self.tick = start;
            self.empty_slot(slot, now_ns);
        }
        while let Some(&Reverse(soon)) = self.heap.peek()
            && soon.deadline <= now_ns
        {
            self.heap.pop();
            let (deadline, value) = self.slab.remove(soon.id.index());
            self.due.extend(value.map(|value| (deadline, value)));
            self.drop_stale();
        }
        // A stable sort profits from the present order: slots were taken in order.
        self.due.sort_by_key(|&(deadline, _)| deadline);
        fired.extend(self.due.drain(..).map(|(_, value)| value));
    }

    /// Collects the due timers of a slot and moves the others.
    fn empty_slot(&mut self, slot: usize, now_ns: u64) {
        let mut index = self.slots[slot].head;
        self.set_vacant(slot);
        while index != NIL {
            let node = &self.slab[index];
            let (deadline, next) = (node.deadline, node.next);
            if deadline <= now_ns {
                let (_, value) = self.slab.remove(index);
                self.due.extend(value.map(|value| (deadline, value)));
            } else {
                self.place(index, deadline);
            }
            index = next;
        }
    }

    /// Puts a timer into its slot, or into the heap, relative to the current tick.
    #[inline]
    fn place(&mut self, index: u32, deadline: u64) {
        let tick = tick_of(deadline);
        if tick <= self.tick {
            self.place_in_heap(index, deadline);
            return;
        }
        // `tick` has 48 bits, of which one differs: the level is at most 7.
        let level = ((tick ^ self.tick).ilog2() / DIGIT_BITS) as usize % LEVELS;
        let digit = (tick >> (level as u32 * DIGIT_BITS)) as usize % DIGITS;
        let slot = level * DIGITS + digit;

        let head = self.slots[slot].head;
        let node = &mut self.slab[index];
        node.slot = slot as u16;
        node.prev = NIL;
        node.next = head;
        self.slots[slot].head = index;
        if head == NIL {
            self.slots[slot].earliest = deadline;
            self.levels |= 1 << level;
            self.occupied[level] |= 1 << digit;
        } else {
            self.slab[head].prev = index;
            let earliest = &mut self.slots[slot].earliest;
            *earliest = deadline.min(*earliest);
        }
    }

    fn place_in_heap(&mut self, index: u32, deadline: u64) {
        self.slab[index].slot = IN_HEAP;
        let id = self.slab.id(index);
        self.heap.push(Reverse(Soon { deadline, id }));
    }

    /// Removes stale entries from the top of the heap, and all of them once they are the majority.
    fn drop_stale(&mut self) {
        while self.stale > 0
            && let Some(&Reverse(soon)) = self.heap.peek()
            && self.slab.get(soon.id).is_none()
        {
            self.heap.pop();
            self.stale -= 1;
        }
        if self.stale > MAX_STALE && self.stale > self.heap.len() / 2 {
            let slab = &self.slab;
            self.heap.retain(|Reverse(soon)| slab.get(soon.id).is_some());
            self.stale = 0;
        }
    }

    /// Returns the occupied slot with the earliest timers, and the tick at which it begins.
    #[inline]
    fn first_slot(&self) -> Option<(usize, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros() as usize % LEVELS;
        let digit = self.occupied[level].trailing_zeros() as usize % DIGITS;
        let shift = level as u32 * DIGIT_BITS;
        let above = self.tick >> (shift + DIGIT_BITS) << (shift + DIGIT_BITS);
        Some((level * DIGITS + digit, above | (digit as u64) << shift))
    }

    fn set_vacant(&mut self, slot: usize) {
        let (level, digit) = (slot / DIGITS, slot % DIGITS);
        self.slots[slot].head = NIL;
        self.occupied[level] &= !(1 << digit);
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }
}

/// A list of timers.
#[derive(Clone, Copy)]
struct Slot {
    /// No timer of the list is earlier; meaningless in an empty list.
    earliest: u64,
    head: u32,
}

impl Slot {
    const EMPTY: Slot = Slot { earliest: 0, head: NIL };
}

/// An entry of the heap; stale once the slab no longer knows the id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Soon {
    deadline: u64,
    id: TimerId,
}

fn tick_of(ns: u64) -> u64 {
    ns >> TICK_BITS
}

const TICK_BITS: u32 = 16;
const DIGIT_BITS: u32 = 6;
const DIGITS: usize = 1 << DIGIT_BITS;
const LEVELS: usize = (u64::BITS - TICK_BITS).div_ceil(DIGIT_BITS) as usize;
const SLOTS: usize = LEVELS * DIGITS;

/// The `slot` of a node that is in the heap.
const IN_HEAP: u16 = SLOTS as u16;

/// Stale entries in the heap that are not worth a sweep.
const MAX_STALE: usize = 64;

const _: () = assert!(LEVELS <= u8::BITS as usize);
