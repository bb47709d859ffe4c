//! Condition variables: no notification is lost.

use std::sync::Arc;

use fastrpc::rt::{self, Deadline};
use fastrpc::sync::{Condvar, Mutex, RawMutex};

use super::*;

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    consumed: Condvar,
}

#[derive(Default, Debug)]
struct State {
    waiting: usize,
    woken: usize,
    tokens: usize,
    stop: bool,
}

pub(crate) fn notify_one_wakes_one(mix: Mix) {
    const WAITERS: usize = 6;
    let shared = Arc::new(Shared::default());
    let tasks: Vec<_> = (0..WAITERS)
        .map(|_| {
            let shared = shared.clone();
            go(mix, move || {
                let mut state = shared.state.lock().unwrap();
                state.waiting += 1;
                shared.changed.wait_by(&mut state, late()).unwrap();
                state.woken += 1;
            })
        })
        .collect();
    let woken = || shared.state.lock().unwrap().woken;
    eventually("all wait", || shared.state.lock().unwrap().waiting == WAITERS);
    for n in 1..=3 {
        shared.changed.notify_one();
        eventually("they are woken", || woken() >= n);
        assert_eq!(woken(), n);
    }
    // A surplus wakeup would have arrived by now.
    go(mix, || rt::sleep(SHORT).unwrap()).join();
    assert_eq!(woken(), 3);
    shared.changed.notify_all();
    join_all(tasks);
    assert_eq!(woken(), WAITERS);
    // A notification without waiters is not stored.
    shared.changed.notify_one();
    let mut state = shared.state.lock().unwrap();
    assert!(shared.changed.wait_by(&mut state, soon()).unwrap_err().is_timeout());
}

/// Of the waiters, some keep giving up and consume nothing then. One always waits, so each
/// notification must end in one `Ok`.
pub(crate) fn loses_no_notification_to_those_who_gave_up(mix: Mix) {
    const ROUNDS: usize = 1000;
    let shared = Arc::new(Shared::default());
    let tasks: Vec<_> = (0..6)
        .map(|t| {
            let shared = shared.clone();
            go(mix, move || {
                let mut random = Random::new(t);
                let mut taken = 0;
                let mut state = shared.state.lock().unwrap();
                state.waiting += usize::from(t == 0);
                while !state.stop {
                    let deadline = if t == 0 { Deadline::NEVER } else { random.tight() };
                    if shared.changed.wait_by(&mut state, deadline).is_ok() && !state.stop {
                        state.tokens -= 1;
                        taken += 1;
                        shared.consumed.notify_one();
                    }
                }
                taken
            })
        })
        .collect();
    eventually("all wait", || shared.state.lock().unwrap().waiting == 1);
    let mut state = shared.state.lock().unwrap();
    for round in 0..ROUNDS {
        state.tokens += 1;
        shared.changed.notify_one();
        let used = shared.consumed.wait_while_by(&mut state, late(), |s| s.tokens > 0);
        assert!(used.is_ok(), "notification {round} was lost");
    }
    state.stop = true;
    drop(state);
    shared.changed.notify_all();
    assert_eq!(join_all(tasks).into_iter().sum::<usize>(), ROUNDS);
}

pub(crate) fn times_out_with_the_lock_held(mix: Mix) {
    let shared = Arc::new(Shared::default());
    go(mix, {
        let shared = shared.clone();
        move || {
            let mut state = shared.state.lock().unwrap();
            let e = must_time_out(|d| shared.changed.wait_by(&mut state, d)).unwrap_err();
            assert!(e.is_timeout(), "{e:?}");
            assert!(shared.state.try_lock().unwrap_err().would_block());
            let e = must_time_out(|d| shared.changed.wait_while_by(&mut state, d, |_| true));
            assert!(e.unwrap_err().is_timeout());
        }
    })
    .join();
    shared.state.try_lock().map(drop).unwrap();
}

pub(crate) fn wait_is_canceled_with_the_lock_held(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    let shared = Arc::new(Shared::default());
    let task = go(Mix::Coroutines, {
        let shared = shared.clone();
        move || {
            let mut state = shared.state.lock().unwrap();
            state.waiting = 1;
            let outcome = shared.changed.wait(&mut state);
            state.woken += 1;
            (outcome, shared.state.try_lock().is_err())
        }
    });
    eventually("all wait", || shared.state.lock().unwrap().waiting == 1);
    // The lock is held while the wait ends, so that relocking has to wait.
    let held = shared.state.lock().unwrap();
    task.cancel();
    go(mix, || rt::sleep(SHORT).unwrap()).join();
    assert_eq!(held.woken, 0, "the wait returned without the lock");
    drop(held);
    let (outcome, locked) = task.join();
    assert!(outcome.unwrap_err().is_canceled());
    assert!(locked, "the lock was not held after the wait");
    assert_eq!(shared.state.try_lock().unwrap().woken, 1);
}

pub(crate) fn raw_ping_pong(mix: Mix) {
    struct Table {
        lock: RawMutex,
        changed: Condvar,
        turn: AtomicUsize,
    }
    const TURNS: usize = 1000;
    let table = Arc::new(Table {
        lock: RawMutex::new(),
        changed: Condvar::new(),
        turn: AtomicUsize::new(0),
    });
    let players: Vec<_> = (0..2)
        .map(|me| {
            let table = table.clone();
            go(mix, move || {
                table.lock.lock().unwrap();
                while table.turn.load(Relaxed) < TURNS {
                    if table.turn.load(Relaxed) % 2 == me {
                        table.turn.fetch_add(1, Relaxed);
                        table.changed.notify_all();
                    } else {
                        table.changed.wait_raw_by(&table.lock, late()).unwrap();
                    }
                }
                table.lock.unlock();
            })
        })
        .collect();
    join_all(players);
    assert_eq!(table.turn.load(Relaxed), TURNS);
}
