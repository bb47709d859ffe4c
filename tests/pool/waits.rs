//! Blocking compensation: a job that waits releases its slot.

use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrpc::pool::{self, Options, ThreadPool};
use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt::{self, Interest};
use fastrpc::sync::{Mutex, Queue, Semaphore};
use fastrpc::{Server, ServerOptions};

use super::{Gate, Opens, strict};
use crate::common::{eventually, in_coroutine, init, soon};

fn pool_of(threads: usize, extra_threads: usize, idle: Duration) -> ThreadPool {
    let mut options = Options::default();
    (options.threads, options.extra_threads, options.idle_timeout) = (threads, extra_threads, idle);
    ThreadPool::with_options(options).unwrap()
}

#[test]
fn two_threads_serve_a_hundred_jobs_that_wait_for_our_client() {
    init();
    let server = Server::new(ServerOptions::default());
    server
        .add_method("s", "Slow", |call| {
            rt::sleep(Duration::from_millis(300)).unwrap();
            call.reply(b"done");
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let client = Arc::new(Client::new(&addr, ClientOptions::default()).unwrap());
    let pool = Arc::new(pool_of(2, 62, Duration::from_millis(50)));
    let start = Instant::now();
    let coroutines: Vec<_> = (0..100)
        .map(|_| {
            let (pool, client) = (pool.clone(), client.clone());
            rt::spawn(move || {
                let call = || client.call("s", "Slow", b"", &CallOptions::default());
                pool.run(call).unwrap().unwrap().into_body()
            })
            .unwrap()
        })
        .collect();
    for coroutine in coroutines {
        assert_eq!(coroutine.join().unwrap(), b"done");
    }
    let took = start.elapsed();
    // Two by two they take 15 seconds; a busy machine needs more than the 0.6 of an idle one.
    assert!(took < Duration::from_secs(10), "{took:?}");
    let stats = pool.stats();
    assert!((3..=64).contains(&stats.peak_threads), "{stats:?}");
    eventually("extra threads end", || pool.stats().threads == 2);
    eventually("two stay", || pool.stats().idle == 2);
}

#[test]
fn every_wait_of_ours_lets_another_job_run() {
    init();
    // With one thread and one slot, the second job can only run while the first waits.
    let releases_slot = |name: &str, wait: &(dyn Fn() + Sync), end: &(dyn Fn() + Sync)| {
        let pool = pool_of(1, 1, Duration::from_secs(10));
        std::thread::scope(|scope| {
            let first = scope.spawn(|| pool.run(wait));
            eventually(name, || pool.stats().blocked == 1);
            pool.run(end).unwrap();
            first.join().unwrap().unwrap();
        });
        assert_eq!((pool.stats().peak_threads, pool.stats().blocked), (2, 0), "{name}");
    };
    let semaphore = Semaphore::new(0);
    releases_slot("permit", &|| semaphore.acquire_by(1, soon()).unwrap(), &|| semaphore.release(1));
    let queue = Queue::new(1);
    releases_slot("value", &|| queue.pop_by(soon()).unwrap(), &|| queue.push(()).unwrap());
    let mutex = Mutex::new(());
    let guard = std::sync::Mutex::new(Some(mutex.lock().unwrap()));
    let unlock = || drop(guard.lock().unwrap().take());
    releases_slot("lock", &|| drop(mutex.lock_by(soon()).unwrap()), &unlock);
    let (ours, theirs) = UnixStream::pair().unwrap();
    let wait = || assert!(rt::wait_fd(ours.as_raw_fd(), Interest::Read, soon()).is_ok());
    releases_slot("fd", &wait, &|| (&theirs).write_all(b"x").unwrap());
    releases_slot("sleep", &|| rt::sleep(Duration::from_millis(100)).unwrap(), &|| ());
    let coroutine = || rt::spawn(|| rt::sleep(Duration::from_millis(100))).unwrap().join();
    releases_slot("join", &|| coroutine().unwrap().unwrap(), &|| ());
    let other = strict(1);
    let in_other = || other.run(|| std::thread::sleep(Duration::from_millis(100))).unwrap();
    releases_slot("another pool", &in_other, &|| ());
    let gate = Gate::default();
    releases_slot("a marked call", &|| pool::blocking(|| gate.pass()), &|| gate.open());
}

#[test]
fn a_block_outside_our_waits_keeps_its_slot() {
    init();
    let (pool, gate) = (pool_of(1, 5, Duration::from_secs(10)), Arc::new(Gate::default()));
    let _opens = Opens(&gate);
    let at_gate = gate.clone();
    pool.post(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    let second = pool.submit(|| ()).unwrap();
    rt::sleep(Duration::from_millis(30)).unwrap();
    assert!(!second.is_finished());
    assert_eq!(pool.stats().threads, 1);
    gate.open();
    second.join().unwrap();
}

#[test]
fn jobs_beyond_the_thread_limit_are_queued() {
    init();
    let (pool, permits) = (pool_of(1, 2, Duration::from_secs(10)), Arc::new(Semaphore::new(0)));
    let jobs: Vec<_> = (0..10)
        .map(|_| {
            let permits = permits.clone();
            pool.submit(move || permits.acquire_by(1, soon())).unwrap()
        })
        .collect();
    eventually("three wait", || pool.stats().blocked == 3);
    assert_eq!((pool.stats().threads, pool.stats().waiting), (3, 7));
    permits.release(10);
    jobs.into_iter().for_each(|job| job.join().unwrap().unwrap());
    assert_eq!(pool.stats().peak_threads, 3);
}

/// A job whose wait has ended does not wait for a slot: the running job may need what it holds.
#[test]
fn a_job_whose_wait_ended_continues_at_once() {
    init();
    let pool = pool_of(1, 1, Duration::from_secs(10));
    let (back, gate) = (Arc::new(Semaphore::new(0)), Arc::new(Gate::default()));
    let _opens = Opens(&gate);
    let (waits, opens) = (back.clone(), gate.clone());
    let first = pool
        .submit(move || {
            waits.acquire_by(1, soon()).unwrap();
            opens.open();
        })
        .unwrap();
    eventually("the first waits", || pool.stats().blocked == 1);
    let at_gate = gate.clone();
    let second = pool.submit(move || at_gate.pass()).unwrap();
    gate.wait_for(1);
    // The only slot is taken by the second, which ends when the first does.
    back.release(1);
    first.join().unwrap();
    second.join().unwrap();
}

#[test]
fn blocking_nests_and_is_harmless_elsewhere() {
    init();
    let pool = pool_of(1, 1, Duration::from_secs(10));
    let inner = pool.run(|| pool::blocking(|| pool::blocking(|| pool.stats().blocked))).unwrap();
    assert_eq!(inner, 1);
    assert_eq!(pool.run(|| pool.stats().running).unwrap(), 1);
    assert_eq!(pool::blocking(|| 3), 3);
    assert_eq!(in_coroutine(|| pool::blocking(|| 4)), 4);
    let panics = pool.run(|| pool::blocking(|| panic!("inside")));
    assert!(panics.unwrap_err().is_panic());
    let stats = pool.stats();
    assert_eq!((stats.blocked, pool.run(|| pool.stats().running).unwrap()), (0, 1));
}

/// A handler moves its call to the pool, and the job responds to it.
#[test]
fn a_pool_thread_responds_to_a_call() {
    init();
    let pool = Arc::new(ThreadPool::new(2).unwrap());
    let server = Server::new(ServerOptions::default());
    let there = pool.clone();
    server
        .add_method("s", "Pooled", move |call| {
            there
                .post(move || {
                    let body = call.request().to_vec();
                    call.reply(&body);
                })
                .unwrap();
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    for i in 0..50_u8 {
        let response = client.call("s", "Pooled", &[i], &CallOptions::default()).unwrap();
        assert_eq!(response.body()[..], [i]);
    }
    eventually("the jobs have ended", || pool.stats().finished == 50);
}

/// Many jobs wait and continue, with few slots: all of them end, and the counters return to zero.
#[test]
fn the_counters_return_to_zero() {
    init();
    let pool = Arc::new(pool_of(2, 6, Duration::from_millis(5)));
    for round in 0..20_u64 {
        let jobs: Vec<_> = (0..40)
            .map(|i| {
                pool.submit(move || {
                    for step in 0..3 {
                        rt::sleep(Duration::from_micros((round * 37 + i * 13 + step) % 300))
                            .unwrap();
                    }
                })
                .unwrap()
            })
            .collect();
        jobs.into_iter().for_each(|job| job.join().unwrap());
    }
    eventually("two idle threads are left", || {
        let stats = pool.stats();
        (stats.threads, stats.idle, stats.running, stats.blocked) == (2, 2, 0, 0)
    });
    let stats = pool.stats();
    assert_eq!((stats.finished, stats.waiting), (800, 0));
    assert!(stats.peak_threads <= 8, "{stats:?}");
}
