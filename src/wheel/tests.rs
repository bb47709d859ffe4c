//! The timer wheel against a model.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;

use proptest::prelude::*;
use proptest::sample::Index;

use super::{TICK_BITS, TimerId, Wheel};

const TICK: u64 = 1 << TICK_BITS;
const SECOND: u64 = 1_000_000_000;
const HOUR: u64 = 3600 * SECOND;

fn expire<T>(wheel: &mut Wheel<T>, now: u64) -> Vec<T> {
    let mut fired = Vec::new();
    wheel.expire(now, &mut fired);
    fired
}

#[test]
fn a_timer_fires_once_at_its_nanosecond() {
    for start in [0, 1, TICK - 1, 12_345 * SECOND + 678, u64::MAX - HOUR - 1] {
        for delay in [1, 2, TICK - 1, TICK, TICK + 1, 10_000_000, 10 * SECOND, HOUR] {
            let mut wheel = Wheel::new(start);
            let deadline = start + delay;
            wheel.insert(deadline, 'a');
            assert_eq!(wheel.next_deadline(), Some(deadline));
            assert_eq!(expire(&mut wheel, deadline - 1), []);
            assert_eq!(wheel.next_deadline(), Some(deadline));
            assert_eq!(expire(&mut wheel, deadline), ['a']);
            assert_eq!(expire(&mut wheel, u64::MAX), []);
            assert_eq!(wheel.next_deadline(), None);
            assert!(wheel.is_empty());
        }
    }
}

#[test]
fn a_deadline_in_the_past_is_due_at_once() {
    let mut wheel = Wheel::new(HOUR);
    wheel.insert(HOUR, 'c');
    wheel.insert(0, 'a');
    wheel.insert(HOUR - 1, 'b');
    wheel.insert(HOUR + 1, 'd');
    assert_eq!(wheel.next_deadline(), Some(0));
    assert_eq!(expire(&mut wheel, HOUR), ['a', 'b', 'c']);
    assert_eq!(wheel.len(), 1);
}

#[test]
fn a_timer_at_the_end_of_time_works() {
    let mut wheel = Wheel::new(SECOND);
    wheel.insert(u64::MAX, 'z');
    let y = wheel.insert(u64::MAX - 1, 'y');
    assert_eq!(wheel.next_deadline(), Some(u64::MAX - 1));
    assert_eq!(expire(&mut wheel, u64::MAX - 2), []);
    assert_eq!(wheel.cancel(y), Some('y'));
    assert_eq!(expire(&mut wheel, u64::MAX - 1), []);
    assert_eq!(expire(&mut wheel, u64::MAX), ['z']);
}

#[test]
fn nothing_wakes_the_caller_before_the_only_timer() {
    let mut wheel = Wheel::new(0);
    wheel.insert(HOUR + 1, ());
    let mut calls = 0;
    while !wheel.is_empty() {
        let next = wheel.next_deadline().unwrap();
        wheel.expire(next, &mut Vec::new());
        calls += 1;
    }
    assert_eq!(calls, 1);
}

#[test]
fn canceled_timers_wake_the_caller_a_few_times_at_most() {
    let mut wheel = Wheel::new(0);
    wheel.insert(HOUR, 'a');
    // All of these share slots with each other, and the last ones with the timer that stays.
    for i in 1..=100_000 {
        let id = wheel.insert(HOUR - i * 1_000, 'x');
        assert_eq!(wheel.cancel(id), Some('x'));
    }
    let mut wakes = 0;
    let mut fired = Vec::new();
    while fired.is_empty() {
        wheel.expire(wheel.next_deadline().unwrap(), &mut fired);
        wakes += 1;
    }
    assert!(wakes <= 9, "{wakes} wakeups");
}

#[test]
fn cancel_gives_the_value_back_once() {
    let mut wheel = Wheel::new(0);
    let soon = wheel.insert(5, "soon");
    let late = wheel.insert(HOUR, "late");
    assert_eq!(wheel.cancel(late), Some("late"));
    assert_eq!(wheel.cancel(late), None);
    assert_eq!(wheel.cancel(soon), Some("soon"));
    assert_eq!(wheel.cancel(soon), None);

    // The place of a canceled or expired timer is used again; its id is not.
    let again = wheel.insert(HOUR, "again");
    assert!(again != soon && again != late);
    assert_eq!(wheel.cancel(soon), None);
    assert_eq!(expire(&mut wheel, HOUR), ["again"]);
    assert_eq!(wheel.cancel(again), None);
}

#[test]
fn an_id_stays_stale_when_the_generations_run_out() {
    let mut wheel = Wheel::new(0);
    let first = wheel.insert(HOUR, 1);
    wheel.cancel(first);
    wheel.slab.age(first.index());

    let last = wheel.insert(HOUR, 2);
    assert_eq!(last.index(), first.index());
    assert_eq!(wheel.cancel(last), Some(2));

    let next = wheel.insert(HOUR, 3);
    assert_ne!(next.index(), first.index());
    assert_eq!(wheel.cancel(first), None);
    assert_eq!(wheel.cancel(last), None);
    assert_eq!(wheel.len(), 1);
    assert_eq!(expire(&mut wheel, HOUR), [3]);
}

#[test]
fn memory_of_canceled_timers_is_reused() {
    // In the heap as well as in slots: there, stale entries must not pile up.
    for delay in [0, 10, 10 * SECOND] {
        let mut wheel = Wheel::new(SECOND);
        wheel.insert(SECOND, 0);
        let mut window: Vec<TimerId> = (0..100).map(|i| wheel.insert(SECOND + delay, i)).collect();
        for i in 0..1_000_000 {
            let oldest = &mut window[i % 100];
            assert!(wheel.cancel(*oldest).is_some());
            *oldest = wheel.insert(SECOND + delay, 0);
        }
        assert_eq!(wheel.slab.high_water(), 101);
        assert!(wheel.heap.len() < 1_000, "{} entries", wheel.heap.len());
        assert_eq!(expire(&mut wheel, SECOND + delay).len(), 101);
        assert!(wheel.heap.is_empty() && wheel.stale == 0);
    }
}

#[test]
fn a_crowded_slot_is_not_quadratic() {
    // A quadratic wheel would need 10^11 steps here and never return.
    let count = 1_000_000;
    let mut wheel = Wheel::new(0);
    let base = HOUR / TICK * TICK;
    for i in 0..count {
        wheel.insert(base + i * 7_919 % 50_000, i);
    }
    let mut fired = Vec::new();
    for now in (base..base + 50_000).step_by(500) {
        wheel.expire(now, &mut fired);
    }
    wheel.expire(base + 50_000, &mut fired);
    assert_eq!(fired.len() as u64, count);
    assert!(fired.is_sorted_by_key(|i| i * 7_919 % 50_000));
}

#[test]
fn a_jump_ahead_and_back_is_harmless() {
    let mut wheel = Wheel::new(HOUR);
    wheel.insert(2 * HOUR, 'b');
    assert_eq!(expire(&mut wheel, u64::MAX), ['b']);
    // Later timers go to slots again, not all into the heap.
    assert_eq!(expire(&mut wheel, HOUR), []);
    wheel.insert(3 * HOUR, 'd');
    wheel.insert(2 * HOUR, 'c');
    assert!(wheel.heap.is_empty());

    assert_eq!(expire(&mut wheel, 0), []);
    assert_eq!(wheel.next_deadline(), Some(2 * HOUR));
    assert_eq!(expire(&mut wheel, 3 * HOUR), ['c', 'd']);
}

#[test]
fn every_value_is_dropped_once() {
    struct Counted(Rc<Cell<u32>>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.set(self.0.get() + 1);
        }
    }
    let drops = Rc::new(Cell::new(0));
    let mut wheel = Wheel::new(0);
    let ids: Vec<_> = (0..1_000).map(|i| wheel.insert(i * i, Counted(drops.clone()))).collect();
    wheel.expire(10_000, &mut Vec::new());
    assert_eq!(drops.get(), 101);

    // A canceled timer is gone at once, even if the heap still has an entry for it.
    assert!(wheel.heap.len() > 2);
    ids.iter().step_by(2).for_each(|&id| drop(wheel.cancel(id)));
    assert_eq!(drops.get(), 101 + 449);
    assert_eq!(Rc::strong_count(&drops) - 1, wheel.len());

    drop(wheel);
    assert_eq!(drops.get(), 1_000);
    assert_eq!(Rc::strong_count(&drops), 1);
}

/// A wheel that does the same as the obvious implementation, or fails.
struct Checked {
    wheel: Wheel<u64>,
    /// By deadline and value; a value is used once.
    model: BTreeMap<(u64, u64), TimerId>,
    stale: Vec<TimerId>,
    values: u64,
    now: u64,
    most: usize,
}

impl Checked {
    fn new(now: u64) -> Self {
        let (wheel, model, stale) = (Wheel::new(now), BTreeMap::new(), Vec::new());
        Checked { wheel, model, stale, values: 0, now, most: 0 }
    }

    fn apply(&mut self, op: &Op) {
        match *op {
            Op::InsertAt(deadline) => self.insert(deadline),
            Op::InsertIn(delay) => self.insert(self.now.saturating_add(delay)),
            Op::InsertAgo(delay) => self.insert(self.now.saturating_sub(delay)),
            Op::Cancel(which) if !self.model.is_empty() => {
                let (&key, &id) = self.model.iter().nth(which.index(self.model.len())).unwrap();
                self.cancel(key, id);
            }
            Op::CancelFirst => {
                if let Some((&key, &id)) = self.model.first_key_value() {
                    self.cancel(key, id);
                }
            }
            Op::CancelStale(which) if !self.stale.is_empty() => {
                let id = self.stale[which.index(self.stale.len())];
                assert_eq!(self.wheel.cancel(id), None, "{id:?} is stale");
            }
            Op::Cancel(_) | Op::CancelStale(_) => {}
            Op::Step(by) => self.expire(self.now.saturating_add(by)),
            Op::Back(by) => self.expire(self.now.saturating_sub(by)),
            Op::Jump(to) => self.expire(to),
            Op::JustBeforeFirst => {
                if let Some((&(deadline, _), _)) = self.model.first_key_value() {
                    self.expire(deadline.saturating_sub(1));
                }
            }
            Op::Next => {
                if let Some(next) = self.wheel.next_deadline() {
                    self.expire(next);
                }
            }
        }
        self.check();
    }

    fn insert(&mut self, deadline: u64) {
        let id = self.wheel.insert(deadline, self.values);
        assert!(!self.stale.contains(&id), "{id:?} came back");
        self.model.insert((deadline, self.values), id);
        self.values += 1;
        self.most = self.most.max(self.model.len());
    }

    fn cancel(&mut self, key: (u64, u64), id: TimerId) {
        assert_eq!(self.wheel.cancel(id), Some(key.1));
        self.model.remove(&key);
        self.stale.push(id);
    }

    fn expire(&mut self, now: u64) {
        self.now = now;
        let fired = expire(&mut self.wheel, now);

        let mut later = BTreeMap::new();
        later.extend(self.model.range((Excluded((now, u64::MAX)), Unbounded)));
        let due: BTreeMap<_, _> = std::mem::replace(&mut self.model, later)
            .into_iter()
            .filter(|&((deadline, _), _)| deadline <= now)
            .collect();
        let deadlines: BTreeMap<u64, u64> = due.keys().map(|&(d, value)| (value, d)).collect();
        self.stale.extend(due.values());

        let mut sorted = fired.clone();
        sorted.sort_unstable();
        assert!(sorted.iter().eq(deadlines.keys()), "fired {sorted:?}, due {deadlines:?}");
        assert!(fired.is_sorted_by_key(|value| deadlines[value]), "order of {fired:?}");

        // A tick that lags behind does no harm but puts new timers on higher levels than needed.
        assert!(self.wheel.tick >= now >> TICK_BITS);
        let next = self.wheel.next_deadline();
        assert!(next.is_none_or(|next| next > now), "at {now} the next deadline is {next:?}");
    }

    fn check(&self) {
        assert_eq!(self.wheel.len(), self.model.len());
        assert_eq!(self.wheel.is_empty(), self.model.is_empty());
        assert!(self.wheel.slab.high_water() <= self.most);

        let first = self.model.first_key_value().map(|(&(deadline, _), _)| deadline);
        let next = self.wheel.next_deadline();
        assert_eq!(next.is_some(), first.is_some());
        assert!(
            next <= first,
            "the next deadline is {next:?}, the first timer is due at {first:?}"
        );
    }

    /// Goes from one deadline to the next until nothing is left.
    fn drain(&mut self) {
        let mut wakes = 0;
        let timers = self.wheel.len();
        while let Some(next) = self.wheel.next_deadline() {
            self.expire(next);
            self.check();
            wakes += 1;
        }
        assert!(wakes <= 9 * timers, "{wakes} wakeups for {timers} timers");
        assert!(self.wheel.heap.is_empty() && self.wheel.stale == 0);
    }
}

#[derive(Clone, Debug)]
enum Op {
    InsertAt(u64),
    InsertIn(u64),
    InsertAgo(u64),
    Cancel(Index),
    CancelFirst,
    CancelStale(Index),
    Step(u64),
    Back(u64),
    Jump(u64),
    JustBeforeFirst,
    Next,
}

/// Spans of all magnitudes, and those around the borders of slots and levels.
fn span() -> impl Strategy<Value = u64> {
    prop_oneof![
        (0..64u32, any::<u64>()).prop_map(|(shift, random)| random >> shift),
        (0..64u32, 0..3u64).prop_map(|(shift, off)| (1 << shift) - 1 + off),
        0..3 * TICK,
        0..20 * SECOND,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => span().prop_map(Op::InsertAt),
        8 => span().prop_map(Op::InsertIn),
        4 => (0..2 * TICK).prop_map(Op::InsertIn),
        1 => span().prop_map(Op::InsertAgo),
        3 => any::<Index>().prop_map(Op::Cancel),
        2 => Just(Op::CancelFirst),
        1 => any::<Index>().prop_map(Op::CancelStale),
        3 => (0..2 * TICK).prop_map(Op::Step),
        1 => (0..20 * SECOND).prop_map(Op::Step),
        1 => span().prop_map(Op::Step),
        1 => span().prop_map(Op::Back),
        1 => span().prop_map(Op::Jump),
        1 => Just(Op::JustBeforeFirst),
        2 => Just(Op::Next),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..Default::default() })]

    #[test]
    fn it_does_what_a_sorted_map_does(
        start in span(),
        ops in prop::collection::vec(op(), 1..200),
    ) {
        let mut checked = Checked::new(start);
        ops.iter().for_each(|op| checked.apply(op));
        checked.drain();
    }

    /// Time that goes ahead in steps of its usual size, with the timers of an RPC client.
    #[test]
    fn it_does_what_a_sorted_map_does_in_daily_work(
        start in any::<u32>(),
        ops in prop::collection::vec(
            prop_oneof![
                4 => (0..100_000_000u64).prop_map(Op::InsertIn),
                4 => (0..100 * TICK).prop_map(Op::InsertIn),
                3 => any::<Index>().prop_map(Op::Cancel),
                4 => (0..50_000_000u64).prop_map(Op::Step),
                4 => (0..2 * TICK).prop_map(Op::Step),
                2 => Just(Op::Next),
            ],
            1..300,
        ),
    ) {
        let mut checked = Checked::new(u64::from(start));
        ops.iter().for_each(|op| checked.apply(op));
        checked.drain();
    }
}
