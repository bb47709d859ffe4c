//! Semaphores: no permit is lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use fastrpc::rt;
use fastrpc::sync::Semaphore;

use super::*;

pub(crate) fn bounds_how_many_are_inside(mix: Mix) {
    let permits = Arc::new(Semaphore::new(3));
    let inside = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = (0..8)
        .map(|t| {
            let (permits, inside) = (permits.clone(), inside.clone());
            go(mix, move || {
                for i in 0..500 {
                    let n = 1 + (t + i) % 3;
                    permits.acquire(n).unwrap();
                    let now = inside.fetch_add(n, SeqCst) + n;
                    assert!(now <= 3, "{now} permits are out");
                    if i % 8 == 0 {
                        rt::yield_now();
                    }
                    inside.fetch_sub(n, SeqCst);
                    permits.release(n);
                }
            })
        })
        .collect();
    join_all(tasks);
    assert_eq!(permits.available(), 3);
}

pub(crate) fn loses_no_permit_to_those_who_gave_up(mix: Mix) {
    const PERMITS: usize = 4;
    let permits = Arc::new(Semaphore::new(PERMITS));
    let tasks: Vec<_> = (0..10)
        .map(|t| {
            let permits = permits.clone();
            go(mix, move || {
                let mut random = Random::new(t);
                let mut got = 0;
                for _ in 0..2000 {
                    let n = 1 + random.below(PERMITS as u64) as usize;
                    if permits.acquire_by(n, random.tight()).is_ok() {
                        got += 1;
                        if random.below(4) == 0 {
                            rt::yield_now();
                        }
                        permits.release(n);
                    }
                }
                got
            })
        })
        .collect();
    let patient = go(mix, {
        let permits = permits.clone();
        move || {
            for _ in 0..200 {
                permits.acquire(PERMITS).unwrap();
                permits.release(PERMITS);
                rt::yield_now();
            }
        }
    });
    patient.join();
    let got = join_all(tasks);
    assert!(got.iter().all(|n| *n > 0), "{got:?}");
    assert_eq!(permits.available(), PERMITS);
    permits.try_acquire(PERMITS).unwrap();
}

pub(crate) fn loses_no_permit_to_the_canceled(mix: Mix) {
    if matches!(mix, Mix::Threads) {
        return;
    }
    const PERMITS: usize = 3;
    let permits = Arc::new(Semaphore::new(PERMITS));
    let stop = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..4)
        .map(|_| {
            let (permits, stop) = (permits.clone(), stop.clone());
            start(mix, move || {
                while !stop.load(SeqCst) {
                    permits.acquire(1).unwrap();
                    rt::yield_now();
                    permits.release(1);
                }
            })
        })
        .collect();
    let mut canceled = 0;
    for round in 0..300 {
        let task = go(Mix::Coroutines, {
            let permits = permits.clone();
            move || {
                let outcome = permits.acquire(1 + round % PERMITS);
                if outcome.is_ok() {
                    permits.release(1 + round % PERMITS);
                }
                outcome
            }
        });
        if round % 2 == 0 {
            std::thread::yield_now();
        }
        task.cancel();
        if let Err(e) = task.join() {
            assert!(e.is_canceled(), "{e:?}");
            canceled += 1;
        }
    }
    stop.store(true, SeqCst);
    join_all(busy);
    assert_eq!(permits.available(), PERMITS, "{canceled} of 300 were canceled");
}

pub(crate) fn times_out(mix: Mix) {
    let permits = Arc::new(Semaphore::new(1));
    go(mix, {
        let permits = permits.clone();
        move || {
            let e = must_time_out(|d| permits.acquire_by(2, d)).unwrap_err();
            assert!(e.is_timeout(), "{e:?}");
            assert!(permits.try_acquire(2).unwrap_err().would_block());
        }
    })
    .join();
    permits.try_acquire(1).unwrap();
}

/// The first in line requests many permits and gives up; the next takes what is available without
/// any release.
pub(crate) fn serves_the_next_when_the_first_gives_up(mix: Mix) {
    let permits = Arc::new(Semaphore::new(1));
    let many = go(Mix::Coroutines, {
        let permits = permits.clone();
        move || permits.acquire(2)
    });
    eventually("the permits are waited for", || {
        permits.try_acquire(1).map(|()| permits.release(1)).is_err()
    });
    let one = go(mix, {
        let permits = permits.clone();
        move || permits.acquire_by(1, late())
    });
    many.cancel();
    assert!(many.join().unwrap_err().is_canceled());
    one.join().unwrap();
    assert_eq!(permits.available(), 0);
}
