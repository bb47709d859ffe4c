//! Shutting a pool down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use fastrpc::pool::ThreadPool;
use fastrpc::rt::{self, Deadline};
use fastrpc::sync::Semaphore;

use super::{Counted, Gate, LONG, Opens, strict};
use crate::common::{eventually, in_coroutine, init, soon};

#[test]
fn shutdown_runs_what_was_accepted_and_refuses_the_rest() {
    init();
    let pool = strict(2);
    let count = Arc::new(AtomicUsize::new(0));
    for _ in 0..100 {
        let count = count.clone();
        pool.post(move || {
            std::thread::sleep(Duration::from_micros(100));
            count.fetch_add(1, Ordering::SeqCst);
        })
        .unwrap();
    }
    pool.shutdown(soon()).unwrap();
    assert_eq!(count.load(Ordering::SeqCst), 100);
    assert_eq!(pool.stats().threads, 0);
    assert!(pool.run(|| ()).unwrap_err().is_shut_down());
    assert!(pool.submit(|| ()).unwrap_err().is_shut_down());
    assert!(pool.run_by(soon(), || ()).unwrap_err().is_shut_down());
    pool.shutdown(Deadline::NOW).unwrap();
}

#[test]
fn the_deadline_of_a_shutdown_drops_what_has_not_begun() {
    init();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let (pool, gate) = (strict(1), Arc::new(Gate::default()));
    let at_gate = gate.clone();
    let running = pool.submit(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    let counted = Counted(&DROPS);
    let waiting = pool.submit(move || drop(counted)).unwrap();
    let error = pool.shutdown(Deadline::after(Duration::from_millis(20))).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    assert!(waiting.join().unwrap_err().is_shut_down());
    assert_eq!(DROPS.load(Ordering::SeqCst), 1);
    let shared = pool.stats();
    assert_eq!((shared.threads, shared.waiting), (1, 0));
    // Does not wait for the one that runs.
    drop(pool);
    gate.open();
    running.join().unwrap();
}

#[test]
fn shutdown_can_be_waited_for_again_and_by_many() {
    init();
    let (pool, gate) = (Arc::new(strict(1)), Arc::new(Gate::default()));
    let _opens = Opens(&gate);
    let at_gate = gate.clone();
    pool.post(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    assert!(pool.shutdown(Deadline::NOW).unwrap_err().is_timeout());
    let waiters: Vec<_> = (0..3)
        .map(|_| {
            let pool = pool.clone();
            rt::spawn(move || pool.shutdown(soon())).unwrap()
        })
        .collect();
    gate.open();
    waiters.into_iter().for_each(|waiter| waiter.join().unwrap().unwrap());
}

#[test]
fn a_job_cannot_wait_for_its_own_pool() {
    init();
    let pool = Arc::new(ThreadPool::new(1).unwrap());
    let there = pool.clone();
    let error = pool.run(move || there.shutdown(Deadline::NEVER)).unwrap().unwrap_err();
    assert!(error.is_own_job(), "{error}");
    assert_eq!(pool.run(|| 4).unwrap(), 4, "nothing was shut");
    // The last owner is a job: dropping it there does not wait, and the threads exit.
    let (there, gate) = (pool.clone(), Arc::new(Gate::default()));
    let at_gate = gate.clone();
    let job = pool.submit(move || {
        at_gate.pass();
        drop(there);
    });
    gate.wait_for(1);
    drop(pool);
    gate.open();
    job.unwrap().join().unwrap();
}

#[test]
fn a_coroutine_that_is_canceled_may_drop_a_pool_and_still_waits() {
    init();
    let gate = Arc::new(Gate::default());
    let at_gate = gate.clone();
    let ran = Arc::new(AtomicUsize::new(0));
    let counts = ran.clone();
    let owner = rt::spawn(move || {
        let pool = strict(1);
        for _ in 0..3 {
            let (gate, counts) = (at_gate.clone(), counts.clone());
            pool.post(move || {
                gate.pass();
                counts.fetch_add(1, Ordering::SeqCst);
            })
            .unwrap();
        }
        assert!(rt::sleep(LONG).is_err());
        drop(pool);
        counts.load(Ordering::SeqCst)
    })
    .unwrap();
    gate.wait_for(1);
    owner.cancel();
    gate.open();
    assert_eq!(owner.join().unwrap(), 3);
    assert_eq!(ran.load(Ordering::SeqCst), 3);
}

#[test]
fn shutdown_fails_those_who_wait_for_room() {
    init();
    let mut options = fastrpc::pool::Options::default();
    (options.threads, options.extra_threads, options.queue_size) = (1, 0, 1);
    let pool = Arc::new(ThreadPool::with_options(options).unwrap());
    let gate = Arc::new(Gate::default());
    let _opens = Opens(&gate);
    let at_gate = gate.clone();
    pool.post(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    pool.post(|| ()).unwrap();
    let there = pool.clone();
    let waiter = rt::spawn(move || there.run(|| ())).unwrap();
    let there = pool.clone();
    let closer = rt::spawn(move || there.shutdown(soon())).unwrap();
    // Either it waited for room, or it came after the end.
    assert!(waiter.join().unwrap().unwrap_err().is_shut_down());
    gate.open();
    closer.join().unwrap().unwrap();
}

#[test]
fn a_pool_without_jobs_ends_at_once() {
    init();
    drop(ThreadPool::new(4).unwrap());
    let pool = ThreadPool::new(4).unwrap();
    assert_eq!(pool.stats().threads, 0, "threads start when they are needed");
    pool.shutdown(Deadline::NEVER).unwrap();
    in_coroutine(|| drop(ThreadPool::new(1).unwrap()));
}

/// Jobs, waiters and a shutdown at any moment: each job runs or is rejected, and all waits end.
#[test]
fn shutdown_at_any_moment_loses_no_job() {
    init();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let mut made = 0;
    for round in 0..60_u64 {
        let pool = Arc::new(ThreadPool::new(2).unwrap());
        let start = Arc::new(OnceLock::new());
        let tasks: Vec<_> = (0..8)
            .map(|i| {
                let (pool, start) = (pool.clone(), start.clone());
                rt::spawn(move || {
                    while start.get().is_none() {
                        rt::yield_now();
                    }
                    let counted = Counted(&DROPS);
                    let job = move || {
                        rt::sleep(Duration::from_micros(round * 7 + i)).unwrap();
                        drop(counted);
                    };
                    match i % 3 {
                        0 => pool.run(job),
                        1 => pool.post(job),
                        _ => pool.run_by(Deadline::after(Duration::from_micros(round * 5)), job),
                    }
                })
                .unwrap()
            })
            .collect();
        made += tasks.len();
        start.set(()).unwrap();
        std::thread::sleep(Duration::from_micros(round * 11));
        pool.shutdown(soon()).unwrap();
        for task in tasks {
            if let Err(error) = task.join().unwrap() {
                assert!(error.is_shut_down() || error.is_timeout(), "{error}");
            }
        }
        assert_eq!(pool.stats().threads, 0);
    }
    eventually("each is dropped once", || DROPS.load(Ordering::SeqCst) == made);
}

#[test]
fn a_job_that_waits_when_the_pool_shuts_down_is_waited_for() {
    init();
    let pool = Arc::new(ThreadPool::new(1).unwrap());
    let permit = Arc::new(Semaphore::new(0));
    let waits = permit.clone();
    let job = pool.submit(move || waits.acquire_by(1, soon())).unwrap();
    eventually("the job waits", || pool.stats().blocked == 1);
    let there = pool.clone();
    let closer = rt::spawn(move || there.shutdown(soon())).unwrap();
    rt::sleep(Duration::from_millis(5)).unwrap();
    assert!(!closer.is_finished());
    permit.release(1);
    closer.join().unwrap().unwrap();
    job.join().unwrap().unwrap();
}
