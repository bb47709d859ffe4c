//! Mutexes: exclusion, fairness, timeouts.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use fastrpc::rt;
use fastrpc::sync::{Mutex, RawMutex};

use super::*;

pub(crate) fn excludes(mix: Mix) {
    let count = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|t| {
            let count = count.clone();
            go(mix, move || {
                for i in 0..1000 {
                    let mut guard = count.lock().unwrap();
                    let seen = *guard;
                    if (i + t) % 16 == 0 {
                        rt::yield_now();
                    }
                    *guard = seen + 1;
                }
            })
        })
        .collect();
    join_all(tasks);
    assert_eq!(*count.lock().unwrap(), 8000);
}

pub(crate) fn raw_excludes(mix: Mix) {
    struct Shared(RawMutex, Cell<usize>);
    // SAFETY: the test reaches the cell only while it holds the mutex.
    unsafe impl Sync for Shared {}
    let shared = Arc::new(Shared(RawMutex::new(), Cell::new(0)));
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let shared = shared.clone();
            go(mix, move || {
                let shared = &*shared;
                for i in 0..1000 {
                    if i % 2 == 0 || shared.0.try_lock().is_err() {
                        shared.0.lock_by(late()).unwrap();
                    }
                    let seen = shared.1.get();
                    if i % 16 == 0 {
                        rt::yield_now();
                    }
                    shared.1.set(seen + 1);
                    shared.0.unlock();
                }
            })
        })
        .collect();
    join_all(tasks);
    assert!(!shared.0.is_locked());
    assert_eq!(shared.1.get(), 4000);
}

/// Two hogs take the lock again as soon as they have released it, until all others have had their
/// turns.
pub(crate) fn starves_nobody(mix: Mix) {
    const TURNS: usize = 50;
    let lock = Arc::new(Mutex::new(()));
    let left = Arc::new(AtomicUsize::new(4));
    let stop = Arc::new(AtomicBool::new(false));
    let hogs: Vec<_> = (0..2)
        .map(|_| {
            let (lock, stop) = (lock.clone(), stop.clone());
            start(mix, move || {
                while !stop.load(SeqCst) {
                    let guard = lock.lock().unwrap();
                    rt::yield_now();
                    drop(guard);
                }
            })
        })
        .collect();
    let others: Vec<_> = (0..4)
        .map(|_| {
            let (lock, left, stop) = (lock.clone(), left.clone(), stop.clone());
            go(mix, move || {
                for turn in 0..TURNS {
                    let got = lock.lock_by(late());
                    if got.is_err() {
                        stop.store(true, SeqCst);
                    }
                    drop(got.unwrap_or_else(|e| panic!("turn {turn}: {e}")));
                    rt::yield_now();
                }
                if left.fetch_sub(1, SeqCst) == 1 {
                    stop.store(true, SeqCst);
                }
            })
        })
        .collect();
    join_all(others);
    join_all(hogs);
}

pub(crate) fn times_out(mix: Mix) {
    let lock = Arc::new(Mutex::new(7));
    let guard = lock.lock().unwrap();
    let task = go(mix, {
        let lock = lock.clone();
        move || {
            let e = must_time_out(|d| lock.lock_by(d).map(drop)).unwrap_err();
            assert!(e.is_timeout(), "{e:?}");
            assert!(lock.try_lock().unwrap_err().would_block());
        }
    });
    task.join();
    drop(guard);
    assert_eq!(*lock.try_lock().unwrap(), 7);
}

pub(crate) fn hands_on_past_those_who_gave_up(mix: Mix) {
    let lock = Arc::new(Mutex::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|t| {
            let lock = lock.clone();
            go(mix, move || {
                let mut random = Random::new(t);
                let mut got = 0;
                for _ in 0..2000 {
                    if let Ok(mut guard) = lock.lock_by(random.tight()) {
                        got += 1;
                        *guard += 1;
                        if random.below(4) == 0 {
                            rt::yield_now();
                        }
                    }
                }
                got
            })
        })
        .collect();
    // This one never gives up: it would wait forever if a turn got lost.
    let patient = go(mix, {
        let lock = lock.clone();
        move || {
            for _ in 0..500 {
                *lock.lock().unwrap() += 1;
                rt::yield_now();
            }
        }
    });
    patient.join();
    let got: usize = join_all(tasks).into_iter().sum();
    assert_eq!(*lock.try_lock().unwrap(), got + 500);
}

pub(crate) fn wait_is_canceled(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    let lock = Arc::new(Mutex::new(()));
    let guard = lock.lock().unwrap();
    let waiting = go(Mix::Coroutines, {
        let lock = lock.clone();
        move || {
            let first = lock.lock().map(drop);
            // And a free lock is still taken.
            let other = Mutex::new(()).lock().map(drop);
            (first, other)
        }
    });
    let behind = go(mix, {
        let lock = lock.clone();
        move || lock.lock().map(drop)
    });
    waiting.cancel();
    let (first, other) = waiting.join();
    assert!(first.unwrap_err().is_canceled());
    other.unwrap();
    drop(guard);
    behind.join().unwrap();
}

pub(crate) fn a_panic_unlocks(mix: Mix) {
    let lock = Arc::new(Mutex::new(1));
    let task = go(mix, {
        let lock = lock.clone();
        move || {
            let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let mut guard = lock.lock().unwrap();
                *guard = 2;
                std::panic::resume_unwind(Box::new(()));
            }));
            assert!(caught.is_err());
        }
    });
    task.join();
    assert_eq!(*lock.try_lock().unwrap(), 2);
}
