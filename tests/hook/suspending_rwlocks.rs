//! With the option `hook_locks` a coroutine that waits for a reader-writer lock suspends.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrpc::hook;
use fastrpc::rt;

use crate::WORKERS;
use crate::common::eventually;
use crate::pthread::{Mode, RwLock, rwlock_results};
use crate::suspending_mutexes::hooked;

#[test]
fn results_are_libcs() {
    let bare = std::thread::spawn(rwlock_results).join().unwrap();
    assert_eq!(hooked(rwlock_results).join().unwrap(), bare);
}

#[test]
fn one_held_by_a_thread_suspends() {
    for (has, wants) in
        [(Mode::Read, Mode::Write), (Mode::Write, Mode::Read), (Mode::Write, Mode::Write)]
    {
        let lock = Arc::new(RwLock::new());
        assert_eq!(lock.lock(has), 0);
        let before = hook::waits_with_locks();
        let waiting = Arc::new(AtomicUsize::new(0));
        let waiters: Vec<_> = (0..2 * WORKERS)
            .map(|_| {
                let (lock, waiting) = (lock.clone(), waiting.clone());
                hooked(move || {
                    assert_eq!(lock.try_lock(wants), libc::EBUSY);
                    for clock in [None, Some(libc::CLOCK_MONOTONIC)] {
                        let start = Instant::now();
                        assert_eq!(lock.lock_for(wants, clock, 20), libc::ETIMEDOUT);
                        assert!(start.elapsed() >= Duration::from_millis(19));
                    }
                    waiting.fetch_add(1, Ordering::Relaxed);
                    assert_eq!(lock.lock(wants), 0);
                    // A wait with the lock is allowed where locks suspend.
                    rt::sleep(Duration::from_millis(1)).unwrap();
                    lock.unlock();
                })
            })
            .collect();
        eventually("all wait", || waiting.load(Ordering::Relaxed) == 2 * WORKERS);
        // Every worker is free.
        let others: Vec<_> = (0..4 * WORKERS)
            .map(|_| hooked(|| rt::sleep(Duration::from_millis(1)).unwrap()))
            .collect();
        others.into_iter().for_each(|other| other.join().unwrap());
        lock.unlock();
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
        assert_eq!(lock.try_lock(Mode::Write), 0);
        lock.unlock();
        assert!(hook::waits_with_locks() >= before);
    }
}

#[test]
fn writers_are_alone_among_readers() {
    let lock = Arc::new(RwLock::new());
    let inside = Arc::new(AtomicUsize::new(0));
    let work = move |index: usize, waits: bool| {
        let (lock, inside) = (lock.clone(), inside.clone());
        move || {
            for round in 0..200 {
                let mode = if (index + round).is_multiple_of(3) { Mode::Write } else { Mode::Read };
                let here = if mode == Mode::Write { 1000 } else { 1 };
                assert_eq!(lock.lock(mode), 0);
                let before = inside.fetch_add(here, Ordering::SeqCst);
                assert!(if here == 1 { before < 1000 } else { before == 0 }, "{mode:?} {before}");
                if waits && round % 3 == 0 {
                    rt::yield_now();
                }
                inside.fetch_sub(here, Ordering::SeqCst);
                lock.unlock();
            }
        }
    };
    let coroutines: Vec<_> = (0..4 * WORKERS).map(|index| hooked(work(index, true))).collect();
    let threads: Vec<_> = (0..2).map(|index| std::thread::spawn(work(index, false))).collect();
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}
