//! The cost of the runtime's own operations, each as one line of JSON.
//!
//! Everything runs on one worker, pinned to one core. Each time is the median of several
//! repetitions, in nanoseconds. `--only NAME` measures one operation, for a profiler.

mod common;

use std::sync::Arc;
use std::time::{Duration, Instant};

use fastrpc::pool::ThreadPool;
use fastrpc::rt::{self, Deadline, Timer};
use fastrpc::sync::{Queue, Semaphore};

const REPETITIONS: usize = 7;

fn main() {
    // Cargo appends --bench to the user's arguments.
    let words = std::env::args().skip(1).filter(|word| word != "--bench");
    let arguments = common::Arguments::parse(words, &[("core", "0"), ("only", "")]);
    common::pin_to_core(arguments.get("core"));
    let only: String = arguments.get("only");
    let figures = rt::spawn(move || {
        for (name, measure) in FIGURES {
            if only.is_empty() || only == name {
                println!("{{\"{name}\": {:.1}}}", measure());
            }
        }
    })
    .expect("a coroutine");
    figures.join().expect("the figures");
}

type Figure = (&'static str, fn() -> f64);

const FIGURES: [Figure; 14] = [
    // First: later, pages of stacks and of the heap are resident from earlier measurements.
    ("timer_bytes", || timer_bytes(1_000_000)),
    ("parked_bytes", || parked_bytes(10_000)),
    ("yield_ns", || median(|| yields(2, 500_000))),
    ("yield_100_ns", || median(|| yields(100, 10_000))),
    ("yield_alone_ns", || median(|| yields(1, 200_000))),
    ("park_unpark_ns", || median(|| park_unpark(500_000))),
    ("semaphore_ns", || median(|| hand_overs(500_000))),
    ("spawn_join_ns", || median(|| spawn_join(500_000))),
    ("spawn_join_1000_ns", || median(|| spawn_burst(1_000, 200))),
    ("pool_run_ns", || median(|| pool_runs(20_000))),
    ("timer_ns", || median(|| timers(1, 500_000))),
    ("timer_million_ns", || median(|| timers(1_000_000, 500_000))),
    ("queue_ns", || median(|| queue_between(Kind::Coroutines, 500_000))),
    ("queue_threads_ns", || median(|| queue_between(Kind::Threads, 200_000))),
];

fn median(mut measure: impl FnMut() -> f64) -> f64 {
    let mut values: Vec<f64> = (0..REPETITIONS).map(|_| measure()).collect();
    values.sort_by(f64::total_cmp);
    values[REPETITIONS / 2]
}

fn nanos_each(elapsed: Duration, times: usize) -> f64 {
    elapsed.as_nanos() as f64 / times as f64
}

/// Measures one yield, while `coroutines` coroutines yield in turn.
fn yields(coroutines: usize, each: usize) -> f64 {
    let begin = Instant::now();
    let yielding: Vec<_> = (0..coroutines)
        .map(|_| {
            rt::spawn(move || {
                for _ in 0..each {
                    rt::yield_now();
                }
            })
            .expect("a coroutine")
        })
        .collect();
    yielding.into_iter().for_each(|handle| handle.join().expect("its end"));
    nanos_each(begin.elapsed(), coroutines * each)
}

/// Measures one park and unpark: two coroutines wake each other and wait.
fn park_unpark(rounds: usize) -> f64 {
    nanos_each(rt::bench::park_unpark(rounds).expect("a coroutine"), 2 * rounds)
}

/// Measures the same through a semaphore: two coroutines pass a permit back and forth.
fn hand_overs(rounds: usize) -> f64 {
    let (to, fro) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (there, back) = (to.clone(), fro.clone());
    let other = rt::spawn(move || {
        for _ in 0..rounds {
            there.acquire(1).expect("a permit");
            back.release(1);
        }
    })
    .expect("a coroutine");
    let begin = Instant::now();
    for _ in 0..rounds {
        to.release(1);
        fro.acquire(1).expect("a permit");
    }
    let elapsed = begin.elapsed();
    other.join().expect("its end");
    nanos_each(elapsed, 2 * rounds)
}

/// Measures one spawn and join, one coroutine at a time: all but the first come from the pool.
fn spawn_join(times: usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..times {
        rt::spawn(|| ()).expect("a coroutine").join().expect("its end");
    }
    nanos_each(begin.elapsed(), times)
}

/// Measures one spawn and join, of many coroutines that are alive at once.
fn spawn_burst(burst: usize, times: usize) -> f64 {
    let begin = Instant::now();
    for _ in 0..times {
        let alive: Vec<_> = (0..burst).map(|_| rt::spawn(|| ()).expect("a coroutine")).collect();
        alive.into_iter().for_each(|handle| handle.join().expect("its end"));
    }
    nanos_each(begin.elapsed(), burst * times)
}

/// Measures one run of a job in a pool, a round trip: the pool's thread is on the worker's core.
fn pool_runs(times: usize) -> f64 {
    let pool = ThreadPool::new(1).expect("a pool");
    pool.run(|| ()).expect("a thread");
    let begin = Instant::now();
    for _ in 0..times {
        pool.run(|| ()).expect("its end");
    }
    nanos_each(begin.elapsed(), times)
}

/// Measures one timer added and canceled, while `pending` timers are armed.
fn timers(pending: usize, times: usize) -> f64 {
    let armed = arm(pending);
    let begin = Instant::now();
    for i in 0..times {
        let delay = Duration::from_micros(1_000_000 + (i as u64 * 7_919) % 60_000_000);
        let timer = Timer::after(delay, || ()).expect("a timer");
        assert!(timer.cancel());
    }
    let elapsed = begin.elapsed();
    armed.iter().for_each(|timer| assert!(timer.cancel()));
    nanos_each(elapsed, times)
}

/// Arms timers that are not due for a long time, each at a different time.
fn arm(count: usize) -> Vec<Timer> {
    let after = |i: usize| Duration::from_secs(3600) + Duration::from_micros(i as u64 * 977);
    (0..count).map(|i| Timer::after(after(i), || ()).expect("a timer")).collect()
}

/// Measures resident memory per armed timer, its handle included.
fn timer_bytes(count: usize) -> f64 {
    let before = resident_bytes();
    let armed = arm(count);
    let bytes = (resident_bytes() - before) as f64 / count as f64;
    armed.iter().for_each(|timer| assert!(timer.cancel()));
    bytes
}

enum Kind {
    Coroutines,
    Threads,
}

/// Measures one element passed through a queue of 64, from one end to the other: between two
/// coroutines of this worker, or between two threads, which share this core.
fn queue_between(kind: Kind, elements: usize) -> f64 {
    let queue = Arc::new(Queue::new(64));
    let (into, out) = (queue.clone(), queue);
    let push = move || (0..elements).for_each(|i| into.push(i).expect("open"));
    let pop = move || (0..elements).for_each(|i| assert_eq!(out.pop().expect("open"), i));
    let begin = Instant::now();
    match kind {
        Kind::Coroutines => {
            let ends = [rt::spawn(push), rt::spawn(pop)];
            ends.into_iter().for_each(|end| end.expect("a coroutine").join().expect("its end"));
        }
        Kind::Threads => std::thread::scope(|scope| {
            scope.spawn(push);
            scope.spawn(pop);
        }),
    }
    nanos_each(begin.elapsed(), elements)
}

/// Measures resident memory of the process per waiting coroutine.
fn parked_bytes(coroutines: usize) -> f64 {
    let gate = Arc::new(Semaphore::new(0));
    let parked = Arc::new(Semaphore::new(0));
    let before = resident_bytes();
    let waiting: Vec<_> = (0..coroutines)
        .map(|_| {
            let (gate, parked) = (gate.clone(), parked.clone());
            rt::spawn(move || {
                parked.release(1);
                gate.acquire(1).expect("a permit");
            })
            .expect("a coroutine")
        })
        .collect();
    parked.acquire_by(coroutines, Deadline::after(Duration::from_secs(30))).expect("all of them");
    let after = resident_bytes();
    gate.release(coroutines);
    waiting.into_iter().for_each(|handle| handle.join().expect("its end"));
    (after - before) as f64 / coroutines as f64
}

fn resident_bytes() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").expect("/proc/self/statm");
    let pages: usize = statm.split(' ').nth(1).and_then(|n| n.parse().ok()).expect("a number");
    // SAFETY: sysconf has no preconditions.
    pages * unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize
}
