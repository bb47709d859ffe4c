//! Results, panics, deadlines, cancellation, back-pressure.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fastrpc::pool::{Options, ThreadPool};
use fastrpc::rt::{self, Deadline};

use super::{Counted, Gate, LONG, Opens, strict};
use crate::common::{eventually, in_coroutine, init, soon};

#[test]
fn run_returns_the_result_of_a_pool_thread() {
    init();
    let pool = Arc::new(ThreadPool::new(2).unwrap());
    let mut words = vec!["a".to_owned()];
    let name = pool
        .run(|| {
            // Borrows what the caller has.
            words.push("b".to_owned());
            assert!(!rt::is_coroutine());
            thread::current().name().map(str::to_owned)
        })
        .unwrap();
    assert_eq!(words, ["a", "b"]);
    assert!(name.as_ref().unwrap().starts_with("pool-"), "{name:?}");
    let (there, sum) = (pool.clone(), in_coroutine(move || pool.run(|| 3 + 4).unwrap()));
    assert_eq!(sum, 7);
    // A job is counted shortly after its result is available.
    eventually("both are counted", || there.stats().finished == 2);
}

#[test]
fn a_waiting_coroutine_leaves_its_worker_to_others() {
    init();
    let pool = Arc::new(ThreadPool::new(1).unwrap());
    in_coroutine(move || {
        let gate = Arc::new(Gate::default());
        let opener = gate.clone();
        // Runs only if `run` parks, since it was spawned on the same worker.
        let other = rt::spawn(move || opener.open()).unwrap();
        pool.run(|| gate.pass()).unwrap();
        other.join().unwrap();
    });
}

#[test]
fn many_jobs_from_everywhere_run_once_each() {
    init();
    let pool = Arc::new(ThreadPool::new(3).unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let coroutines: Vec<_> = (0..20)
        .map(|_| {
            let (pool, count) = (pool.clone(), count.clone());
            rt::spawn(move || {
                for _ in 0..50 {
                    pool.run(|| count.fetch_add(1, Ordering::Relaxed)).unwrap();
                    let count = count.clone();
                    let add = move || {
                        count.fetch_add(1, Ordering::Relaxed);
                    };
                    pool.post(add).unwrap();
                }
            })
            .unwrap()
        })
        .collect();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..50).for_each(|i| assert_eq!(pool.run(move || i).unwrap(), i)));
        }
    });
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    pool.shutdown(soon()).unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 20 * 50 * 2);
    let stats = pool.stats();
    assert_eq!((stats.finished, stats.threads, stats.waiting), (20 * 50 * 2 + 200, 0, 0));
    assert!(stats.peak_threads <= 3, "{stats:?}");
}

#[test]
fn a_panic_is_an_error_with_its_message_and_the_thread_survives() {
    init();
    let pool = strict(1);
    let error = pool.run(|| -> u8 { panic!("told {}", 7) }).unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("told 7"), "{error}");
    assert!(error.into_panic().is_some());
    let error = pool.submit(|| panic!("again")).unwrap().join().unwrap_err();
    assert!(error.is_panic() && error.to_string().contains("again"), "{error}");
    pool.post(|| panic!("nobody hears it")).unwrap();
    struct Grenade;
    impl Drop for Grenade {
        fn drop(&mut self) {
            panic!("a result that nobody wants");
        }
    }
    let gate = Arc::new(Gate::default());
    let at_gate = gate.clone();
    drop(pool.submit(move || (at_gate.pass(), Grenade).1).unwrap());
    gate.open();
    assert_eq!(pool.run(|| 1).unwrap(), 1);
    assert_eq!(pool.stats().peak_threads, 1);
}

#[test]
fn a_deadline_drops_what_has_not_begun_and_leaves_what_has() {
    init();
    let (pool, gate) = (strict(1), Arc::new(Gate::default()));
    let _opens = Opens(&gate);
    let (told, hears) = mpsc::channel();
    // On a busy machine it may not begin in time at first.
    for millis in (0..12).map(|round| 5 << round).take_while(|_| !gate.has_seen(1)) {
        let (at_gate, told) = (gate.clone(), told.clone());
        let error = pool
            .run_by(Deadline::after(Duration::from_millis(millis)), move || {
                at_gate.pass();
                told.send(()).unwrap();
            })
            .unwrap_err();
        assert!(error.is_timeout(), "{error}");
    }
    // The slot is taken: this one cannot begin.
    let (dropped, watch) = mpsc::channel::<()>();
    let error = pool.run_by(Deadline::after(Duration::from_millis(5)), || drop(dropped));
    assert!(error.unwrap_err().is_timeout());
    assert_eq!(watch.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected));
    gate.open();
    hears.recv_timeout(LONG).expect("what had begun went on to its end");
    assert_eq!(pool.run(|| 5).unwrap(), 5);
}

#[test]
fn a_canceled_coroutine_drops_what_has_not_begun() {
    init();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let (before, gate) = (DROPS.load(Ordering::SeqCst), Arc::new(Gate::default()));
    let (pool, at_gate) = (Arc::new(strict(1)), gate.clone());
    let _opens = Opens(&gate);
    pool.post(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    let there = pool.clone();
    let waiter = rt::spawn(move || {
        let counted = Counted(&DROPS);
        there.run(move || {
            let _counted = counted;
            RUNS.fetch_add(1, Ordering::SeqCst);
        })
    })
    .unwrap();
    eventually("it waits", || pool.stats().waiting == 1);
    waiter.cancel();
    let error = waiter.join().unwrap().unwrap_err();
    assert!(error.is_canceled(), "{error}");
    assert_eq!(DROPS.load(Ordering::SeqCst), before + 1);
    gate.open();
    pool.run(|| ()).unwrap();
    assert_eq!((DROPS.load(Ordering::SeqCst), RUNS.load(Ordering::SeqCst)), (before + 1, 0));
}

#[test]
fn a_canceled_coroutine_waits_for_what_has_begun() {
    init();
    static DROPS: AtomicUsize = AtomicUsize::new(0);
    let gate = Arc::new(Gate::default());
    let (pool, at_gate) = (Arc::new(strict(1)), gate.clone());
    let waiter = rt::spawn(move || {
        let counted = Counted(&DROPS);
        let mut lent = 0;
        let result = pool.run(|| {
            let _counted = counted;
            at_gate.pass();
            lent = 8;
        });
        // It is canceled: only `run` could not be interrupted.
        (result.map(|()| lent), rt::sleep(LONG).is_err())
    })
    .unwrap();
    gate.wait_for(1);
    waiter.cancel();
    rt::sleep(Duration::from_millis(20)).unwrap();
    assert!(!waiter.is_finished());
    gate.open();
    let (result, sleep_failed) = waiter.join().unwrap();
    assert_eq!((result.unwrap(), sleep_failed, DROPS.load(Ordering::SeqCst)), (8, true, 1));
}

#[test]
fn handles_join_cancel_and_report_the_end() {
    init();
    let (pool, gate) = (strict(1), Arc::new(Gate::default()));
    let _opens = Opens(&gate);
    let at_gate = gate.clone();
    let first = pool.submit(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    let second = pool.submit(|| 2).unwrap();
    let third = pool.submit(|| 3).unwrap();
    assert!(!first.cancel(), "it has begun");
    assert!(third.cancel() && !third.cancel() && third.is_finished());
    assert!(third.join().unwrap_err().is_withdrawn());
    let second = second.join_by(Deadline::after(Duration::from_millis(5))).unwrap_err();
    assert!(!second.is_finished());
    gate.open();
    assert_eq!(second.join_by(soon()).unwrap().unwrap(), 2);
    first.join().unwrap();
}

#[test]
fn a_full_queue_refuses_or_waits() {
    init();
    let mut options = Options::default();
    (options.threads, options.extra_threads, options.queue_size) = (1, 0, 2);
    let pool = ThreadPool::with_options(options).unwrap();
    let gate = Arc::new(Gate::default());
    let _opens = Opens(&gate);
    let at_gate = gate.clone();
    pool.post(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    pool.post(|| ()).unwrap();
    pool.post(|| ()).unwrap();
    assert!(pool.post(|| ()).unwrap_err().is_full());
    let error = pool.run_by(Deadline::after(Duration::from_millis(5)), || ()).unwrap_err();
    assert!(error.is_timeout(), "{error}");
    thread::scope(|scope| {
        let waits = scope.spawn(|| pool.run(|| 6));
        gate.open();
        assert_eq!(waits.join().unwrap().unwrap(), 6);
    });
}

#[test]
fn run_in_a_job_of_the_same_pool_is_a_call() {
    init();
    fn nest(pool: &ThreadPool, depth: usize) -> usize {
        if depth == 0 { 0 } else { 1 + pool.run(|| nest(pool, depth - 1)).unwrap() }
    }
    let (pool, other) = (strict(1), strict(1));
    assert_eq!(pool.run(|| nest(&pool, 300)).unwrap(), 300);
    assert_eq!(pool.stats().peak_threads, 1);
    // In a job of another pool it is not.
    let names =
        pool.run(|| other.run(|| thread::current().id()).unwrap() != thread::current().id());
    assert!(names.unwrap());
}

#[test]
fn bad_options_are_refused() {
    let with = |change: fn(&mut Options)| {
        let mut options = Options::default();
        change(&mut options);
        ThreadPool::with_options(options).map_err(|error| error.kind())
    };
    let invalid = std::io::ErrorKind::InvalidInput;
    assert_eq!(with(|o| o.threads = 0).unwrap_err(), invalid);
    assert_eq!(with(|o| o.threads = usize::MAX).unwrap_err(), invalid);
    assert_eq!(with(|o| o.extra_threads = usize::MAX).unwrap_err(), invalid);
    assert_eq!(with(|o| o.queue_size = 0).unwrap_err(), invalid);
    assert_eq!(with(|o| o.name = "a\0b".into()).unwrap_err(), invalid);
    init();
    // No such stack can be allocated: an error, and the job is dropped.
    let pool = with(|o| o.stack_size = 1 << 60).unwrap();
    assert!(pool.run(|| ()).unwrap_err().is_not_started());
    assert!(pool.post(|| ()).unwrap_err().is_not_started());
    pool.shutdown(soon()).unwrap();
}
