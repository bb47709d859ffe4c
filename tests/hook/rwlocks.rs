//! Pthread reader-writer locks: waits while one is held are reported, and a deadlock within a worker is
//! averted, as with mutexes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use fastrpc::hook;
use fastrpc::rt;

use crate::WORKERS;
use crate::common::{eventually, in_coroutine, thread_id};
use crate::mutexes::{alone, records};
use crate::pthread::{Mode, RwLock, rwlock_results};
use crate::support::same;

#[test]
fn results_are_libcs() {
    let _alone = alone();
    same("rwlock", rwlock_results);
}

#[test]
fn a_wait_with_one_is_reported() {
    let _alone = alone();
    for (mode, how) in [(Mode::Read, "for reading"), (Mode::Write, "for writing")] {
        let before = hook::waits_with_locks();
        let lock = RwLock::new();
        in_coroutine(move || {
            assert_eq!(lock.lock(mode), 0);
            lock.unlock();
            rt::sleep(Duration::from_millis(1)).unwrap();
            assert_eq!(lock.lock(mode), 0);
            rt::sleep(Duration::from_millis(1)).unwrap();
            lock.unlock();
            // Timed locks that were unlocked are not held.
            assert_eq!(lock.lock_for(mode, None, 10), 0);
            lock.unlock();
            rt::sleep(Duration::from_millis(1)).unwrap();
        });
        assert_eq!(hook::waits_with_locks(), before + 1);
        eventually("it is reported", || {
            let texts = records();
            let found = texts.iter().any(|text| {
                text.contains("waits while it holds the pthread rwlock") && text.contains(how)
            });
            found && texts.iter().any(|text| text.contains("locked it at"))
        });
    }
}

#[test]
fn a_lock_that_would_deadlock_suspends() {
    let _alone = alone();
    for (has, wants) in
        [(Mode::Read, Mode::Write), (Mode::Write, Mode::Read), (Mode::Write, Mode::Write)]
    {
        let before = hook::deadlocks_averted();
        in_coroutine(move || {
            let lock = Arc::new(RwLock::new());
            let go = Arc::new(AtomicBool::new(false));
            let (held, inside) = (lock.clone(), go.clone());
            let holder = rt::spawn(move || {
                assert_eq!(held.lock(has), 0);
                while !inside.load(Ordering::Relaxed) {
                    rt::sleep(Duration::from_millis(1)).unwrap();
                }
                held.unlock();
            })
            .unwrap();
            rt::yield_now();
            // The caller's thread holds it, but another coroutine.
            assert_eq!(lock.try_lock(wants), libc::EBUSY);
            assert_eq!(lock.lock_for(wants, None, 10), libc::ETIMEDOUT);
            assert_eq!(lock.lock_for(wants, Some(libc::CLOCK_MONOTONIC), 10), libc::ETIMEDOUT);
            go.store(true, Ordering::Relaxed);
            assert_eq!(lock.lock(wants), 0);
            lock.unlock();
            holder.join().unwrap();
        });
        assert!(hook::deadlocks_averted() > before, "{has:?} {wants:?}");
    }
    assert!(records().iter().any(|text| text.contains("locks the pthread rwlock")));
}

#[test]
fn readers_of_a_worker_read_together() {
    let _alone = alone();
    in_coroutine(|| {
        let lock = Arc::new(RwLock::new());
        let (inside, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let readers: Vec<_> = (0..10)
            .map(|_| {
                let (lock, inside, most) = (lock.clone(), inside.clone(), most.clone());
                rt::spawn(move || {
                    assert_eq!(lock.lock(Mode::Read), 0);
                    let now = inside.fetch_add(1, Ordering::Relaxed) + 1;
                    most.fetch_max(now, Ordering::Relaxed);
                    rt::sleep(Duration::from_millis(5)).unwrap();
                    inside.fetch_sub(1, Ordering::Relaxed);
                    lock.unlock();
                })
                .unwrap()
            })
            .collect();
        readers.into_iter().for_each(|reader| reader.join().unwrap());
        assert_eq!(most.load(Ordering::Relaxed), 10);
        // All readers have unlocked.
        assert_eq!(lock.try_lock(Mode::Write), 0);
        lock.unlock();
    });
}

/// Coroutines of all workers and threads, with waits under the lock: nobody blocks for ever, and
/// writers exclude all others.
#[test]
fn one_held_across_waits_excludes_as_ever() {
    let _alone = alone();
    let lock = Arc::new(RwLock::new());
    let inside = Arc::new(AtomicUsize::new(0));
    let work = move |index: usize, in_coroutine: bool| {
        let (lock, inside) = (lock.clone(), inside.clone());
        move || {
            for round in 0..100 {
                let mode = if (index + round).is_multiple_of(4) { Mode::Write } else { Mode::Read };
                let here = if mode == Mode::Write { 1000 } else { 1 };
                assert_eq!(lock.lock(mode), 0);
                let before = inside.fetch_add(here, Ordering::SeqCst);
                assert!(if here == 1 { before < 1000 } else { before == 0 }, "{mode:?} {before}");
                if in_coroutine && round % 5 == 0 {
                    rt::yield_now();
                }
                inside.fetch_sub(here, Ordering::SeqCst);
                lock.unlock();
            }
            thread_id()
        }
    };
    let coroutines: Vec<_> =
        (0..4 * WORKERS).map(|index| rt::spawn(work(index, true)).unwrap()).collect();
    let threads: Vec<_> = (0..2).map(|index| std::thread::spawn(work(index, false))).collect();
    for coroutine in coroutines {
        coroutine.join_by(crate::common::soon()).expect("it ended").expect("no panic");
    }
    for thread in threads {
        thread.join().expect("no panic");
    }
}
