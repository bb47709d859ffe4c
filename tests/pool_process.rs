//! Thread pool tests that need a process of their own: forks.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use common::{alone, soon, wait_for};
use fastrpc::pool::{self, ThreadPool};
use fastrpc::rt;

const WORKERS: usize = 1;

/// Forks; the child runs `f` and exits with whether it returned true.
fn in_child(f: impl FnOnce() -> bool) -> libc::pid_t {
    // SAFETY: the child runs what the test is about, and ends without unwinding.
    let child = unsafe { libc::fork() };
    if child == 0 {
        let code = i32::from(!f());
        // SAFETY: ends the child.
        unsafe { libc::_exit(code) };
    }
    child
}

#[test]
fn a_forked_child_gets_errors_and_never_hangs() {
    if !alone("a_forked_child_gets_errors_and_never_hangs") {
        return;
    }
    common::init();
    let pool = ThreadPool::new(2).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    // So that forks happen at any moment of a thread's life.
    for _ in 0..2 {
        let stop = stop.clone();
        pool.post(move || {
            while !stop.load(Ordering::Relaxed) {
                rt::sleep(Duration::from_micros(50)).unwrap();
            }
        })
        .unwrap();
    }
    for _ in 0..30 {
        let child = in_child(|| {
            let run = pool.run(|| ()).is_err_and(|error| error.is_forked());
            let spawn = pool.submit(|| ()).is_err_and(|error| error.is_forked());
            let shutdown = pool.shutdown(soon()).is_err_and(|error| error.is_forked());
            let made = ThreadPool::new(1).unwrap();
            let new = made.post(|| ()).is_err_and(|error| error.is_forked());
            drop(made);
            let stats = pool.stats().threads == 0;
            let right = run && spawn && shutdown && new && stats && pool::blocking(|| true);
            if !right {
                eprintln!("{:?}", (run, spawn, shutdown, new, stats));
            }
            // SAFETY: a copy of the pool, which the child never looks at again.
            drop(unsafe { std::ptr::read(&pool) });
            right
        });
        assert_eq!(wait_for(child), 0, "the child's checks");
    }
    stop.store(true, Ordering::Relaxed);
    assert_eq!(pool.run(|| 5).unwrap(), 5, "the parent works on");
    pool.shutdown(soon()).unwrap();
}

#[test]
fn a_job_may_fork_and_its_child_ends_with_it() {
    if !alone("a_job_may_fork_and_its_child_ends_with_it") {
        return;
    }
    common::init();
    let pool = ThreadPool::new(1).unwrap();
    let child = pool
        .run(|| {
            pool::blocking(|| {
                // SAFETY: the child only tries to wait, and then ends by leaving the job.
                let child = unsafe { libc::fork() };
                if child == 0 {
                    assert!(rt::sleep(Duration::from_secs(30)).is_err());
                }
                child
            })
        })
        .unwrap();
    // In the child this line is never reached: its only thread is the pool's.
    assert_eq!(wait_for(child), 0);
    assert_eq!(pool.run(|| 5).unwrap(), 5);
}

/// An unused pool works in the child as in the parent.
#[test]
fn a_pool_that_has_not_begun_works_in_the_child() {
    if !alone("a_pool_that_has_not_begun_works_in_the_child") {
        return;
    }
    common::init();
    let pool = ThreadPool::new(1).unwrap();
    let child = in_child(|| pool.run(|| 6).is_ok_and(|six| six == 6));
    assert_eq!(wait_for(child), 0);
    assert_eq!(pool.run(|| 7).unwrap(), 7);
}
