//! By the option `hook_locks` a coroutine that waits for a mutex or a condition variable suspends, and
//! plain threads that use the same ones block as ever.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use fastrpc::hook::{self, Guard};
use fastrpc::rt;
use libc::{c_int, pthread_cond_t, pthread_mutex_t, timespec};

use crate::WORKERS;

unsafe extern "C" {
    fn pthread_cond_clockwait(
        cond: *mut pthread_cond_t,
        mutex: *mut pthread_mutex_t,
        clock: libc::clockid_t,
        time: *const timespec,
    ) -> c_int;
    fn pthread_mutexattr_setprotocol(
        attributes: *mut libc::pthread_mutexattr_t,
        protocol: c_int,
    ) -> c_int;
}

/// Starts a hooked coroutine.
pub fn hooked<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> rt::JoinHandle<T> {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let options = rt::Options::default().workers(WORKERS).hook_locks(true);
        rt::configure(options).expect("not started yet");
    });
    rt::spawn(move || {
        let _hooked = Guard::enabled();
        f()
    })
    .expect("spawns")
}

pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "still not so: {what}");
        rt::sleep(Duration::from_micros(200)).expect("not cancelled");
    }
}

/// A mutex and a condition variable, where they can be shared.
struct Pair(*mut (pthread_mutex_t, pthread_cond_t));

// SAFETY: both are for several threads.
unsafe impl Send for Pair {}
// SAFETY: as above.
unsafe impl Sync for Pair {}

#[derive(Default)]
struct Kind {
    kind: c_int,
    robust: bool,
    inherit: bool,
    shared: bool,
    clock: libc::clockid_t,
}

impl Pair {
    fn new(wanted: Kind) -> Arc<Pair> {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of zeros.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
        assert_ne!(place, libc::MAP_FAILED);
        let pair = Pair(place.cast());
        // SAFETY: places for what is initialised here.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attributes);
            assert_eq!(libc::pthread_mutexattr_settype(&mut attributes, wanted.kind), 0);
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            if wanted.robust {
                assert_eq!(libc::pthread_mutexattr_setrobust(&mut attributes, robust), 0);
            }
            if wanted.inherit {
                assert_eq!(pthread_mutexattr_setprotocol(&mut attributes, 1), 0);
            }
            let sharing = c_int::from(wanted.shared);
            libc::pthread_mutexattr_setpshared(&mut attributes, sharing);
            assert_eq!(libc::pthread_mutex_init(pair.mutex(), &attributes), 0);
            let mut attributes = std::mem::zeroed();
            libc::pthread_condattr_init(&mut attributes);
            libc::pthread_condattr_setpshared(&mut attributes, sharing);
            assert_eq!(libc::pthread_condattr_setclock(&mut attributes, wanted.clock), 0);
            assert_eq!(libc::pthread_cond_init(pair.cond(), &attributes), 0);
        }
        Arc::new(pair)
    }

    fn plain() -> Arc<Pair> {
        Pair::new(Kind::default())
    }

    fn mutex(&self) -> *mut pthread_mutex_t {
        // SAFETY: a place that stays.
        unsafe { &raw mut (*self.0).0 }
    }

    fn cond(&self) -> *mut pthread_cond_t {
        // SAFETY: a place that stays.
        unsafe { &raw mut (*self.0).1 }
    }

    fn lock(&self) -> c_int {
        // SAFETY: initialised, here and below.
        unsafe { libc::pthread_mutex_lock(self.mutex()) }
    }

    fn try_lock(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(self.mutex()) }
    }

    fn timed_lock(&self, millis: i64) -> c_int {
        let time = from_now(libc::CLOCK_REALTIME, millis);
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_timedlock(self.mutex(), &time) }
    }

    fn unlock(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.mutex()) }, 0);
    }

    fn wait(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_cond_wait(self.cond(), self.mutex()) }
    }

    fn timed_wait(&self, time: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_cond_timedwait(self.cond(), self.mutex(), &time) }
    }

    fn signal(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_cond_signal(self.cond()) }, 0);
    }

    fn broadcast(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_cond_broadcast(self.cond()) }, 0);
    }
}

fn from_now(clock: libc::clockid_t, millis: i64) -> timespec {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the time.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let nanos = time.tv_nsec + millis * 1_000_000;
    time.tv_sec += nanos.div_euclid(1_000_000_000);
    time.tv_nsec = nanos.rem_euclid(1_000_000_000);
    time
}

/// What a thread holds, coroutines wait for without blocking their worker, and get in turn.
#[test]
fn a_contended_lock_suspends() {
    for kind in [
        Kind::default(),
        Kind { kind: libc::PTHREAD_MUTEX_RECURSIVE, ..Kind::default() },
        Kind { kind: libc::PTHREAD_MUTEX_ERRORCHECK, ..Kind::default() },
        Kind { robust: true, ..Kind::default() },
        Kind { inherit: true, ..Kind::default() },
        Kind { shared: true, ..Kind::default() },
    ] {
        let pair = Pair::new(kind);
        assert_eq!(pair.lock(), 0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (same, begun, seen) = (pair.clone(), waiting.clone(), order.clone());
        // All on one worker: between workers there is no order.
        let all = hooked(move || {
            let wanting: Vec<_> = (0..5)
                .map(|number| {
                    let (pair, begun, seen) = (same.clone(), begun.clone(), seen.clone());
                    hooked(move || {
                        assert_eq!(pair.try_lock(), libc::EBUSY);
                        assert_eq!(pair.timed_lock(5), libc::ETIMEDOUT);
                        // In turn.
                        while begun.load(Ordering::Relaxed) != number {
                            rt::yield_now();
                        }
                        begun.fetch_add(1, Ordering::Relaxed);
                        let locked =
                            if number % 2 == 0 { pair.lock() } else { pair.timed_lock(20_000) };
                        assert_eq!(locked, 0);
                        rt::sleep(Duration::from_micros(100)).unwrap();
                        seen.lock().unwrap().push(number);
                        pair.unlock();
                    })
                })
                .collect();
            wanting.into_iter().for_each(|one| one.join().unwrap());
        });
        eventually("all wait", || waiting.load(Ordering::Relaxed) == 5);
        // The worker runs.
        hooked(|| rt::sleep(Duration::from_millis(5)).unwrap()).join().unwrap();
        assert_eq!(*order.lock().unwrap(), []);
        pair.unlock();
        all.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(pair.try_lock(), 0);
        pair.unlock();
    }
}

/// An unlock by a thread wakes a coroutine; it does not find out by looking again some time.
#[test]
fn an_unlock_is_noticed_at_once() {
    let pair = Pair::plain();
    let mut delays: Vec<_> = (0..9)
        .map(|_| {
            assert_eq!(pair.lock(), 0);
            let (same, waits) = (pair.clone(), Arc::new(AtomicBool::new(false)));
            let begun = waits.clone();
            let waiter = hooked(move || {
                begun.store(true, Ordering::Relaxed);
                assert_eq!(same.lock(), 0);
                same.unlock();
                Instant::now()
            });
            eventually("it waits", || waits.load(Ordering::Relaxed));
            // It looks after 12.7 and 25.5 ms, and then every 16.
            std::thread::sleep(Duration::from_millis(27));
            let unlocked = Instant::now();
            pair.unlock();
            waiter.join().unwrap() - unlocked
        })
        .collect();
    delays.sort();
    assert!(delays[4] < Duration::from_millis(8), "{delays:?}");
}

#[test]
fn kinds_keep_their_rules() {
    hooked(|| {
        let recursive = Pair::new(Kind { kind: libc::PTHREAD_MUTEX_RECURSIVE, ..Kind::default() });
        assert_eq!((recursive.lock(), recursive.lock(), recursive.try_lock()), (0, 0, 0));
        let same = recursive.clone();
        let other = hooked(move || {
            assert_eq!(
                same.try_lock(),
                libc::EBUSY,
                "the thread is the same, the coroutine is not"
            );
            assert_eq!(same.lock(), 0);
            same.unlock();
        });
        rt::yield_now();
        (0..3).for_each(|_| recursive.unlock());
        other.join().unwrap();

        let checked = Pair::new(Kind { kind: libc::PTHREAD_MUTEX_ERRORCHECK, ..Kind::default() });
        assert_eq!((checked.lock(), checked.lock()), (0, libc::EDEADLK));
        assert_eq!(checked.timed_lock(10), libc::EDEADLK);
        checked.unlock();
        // SAFETY: initialised.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(checked.mutex()) }, libc::EPERM);

        // Its owner ends with it locked.
        let robust = Pair::new(Kind { robust: true, ..Kind::default() });
        let same = robust.clone();
        std::thread::spawn(move || assert_eq!(same.lock(), 0)).join().unwrap();
        assert_eq!(robust.lock(), libc::EOWNERDEAD);
        // SAFETY: locked by the caller.
        assert_eq!(unsafe { libc::pthread_mutex_consistent(robust.mutex()) }, 0);
        robust.unlock();
    })
    .join()
    .unwrap();
}

#[test]
fn condition_waits_end_in_time() {
    hooked(|| {
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            let pair = Pair::new(Kind { clock, ..Kind::default() });
            assert_eq!(pair.lock(), 0);
            let start = Instant::now();
            assert_eq!(pair.timed_wait(from_now(clock, 30)), libc::ETIMEDOUT);
            assert!(start.elapsed() >= Duration::from_millis(29), "{:?}", start.elapsed());
            assert_eq!(pair.timed_wait(from_now(clock, -30)), libc::ETIMEDOUT);
            let bad = timespec { tv_sec: 1 << 40, tv_nsec: 1_000_000_000 };
            assert_eq!(pair.timed_wait(bad), libc::EINVAL);
            let other = libc::CLOCK_MONOTONIC;
            let time = from_now(other, 10);
            // SAFETY: initialised.
            let waited = unsafe { pthread_cond_clockwait(pair.cond(), pair.mutex(), other, &time) };
            assert_eq!(waited, libc::ETIMEDOUT);
            // It is locked after each of them.
            let same = pair.clone();
            let busy = std::thread::spawn(move || same.try_lock()).join().unwrap();
            assert_eq!(busy, libc::EBUSY);
            pair.unlock();
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_signal_wakes_the_first_and_a_broadcast_all() {
    let pair = Pair::plain();
    let (waiting, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (same, begun, counted) = (pair.clone(), waiting.clone(), woken.clone());
    let wait = move || {
        assert_eq!(same.lock(), 0);
        begun.fetch_add(1, Ordering::Relaxed);
        assert_eq!(same.wait(), 0);
        counted.fetch_add(1, Ordering::Relaxed);
        same.unlock();
    };
    let coroutines: Vec<_> = (0..20).map(|_| hooked(wait.clone())).collect();
    let waits = |count| {
        eventually("all wait", || waiting.load(Ordering::Relaxed) == count);
        // Those who have counted themselves have the mutex until they wait.
        assert_eq!(pair.lock(), 0);
        pair.unlock();
    };
    waits(20);
    for count in 1..=5 {
        pair.signal();
        eventually("one woke", || woken.load(Ordering::Relaxed) == count);
    }
    hooked(|| rt::sleep(Duration::from_millis(20)).unwrap()).join().unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 5, "nobody else woke");
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(wait.clone())).collect();
    waits(23);
    pair.broadcast();
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(woken.load(Ordering::Relaxed), 23);
}

/// A queue with a bound, between coroutines and threads in any mix: nothing is lost or doubled.
#[test]
fn a_queue_passes_everything_on() {
    struct Queue {
        pair: Arc<Pair>,
        space: Arc<Pair>,
        items: UnsafeCell<VecDeque<usize>>,
    }
    // SAFETY: the items are touched with the mutex locked alone.
    unsafe impl Sync for Queue {}
    // SAFETY: as above.
    unsafe impl Send for Queue {}

    impl Queue {
        #[expect(clippy::mut_from_ref, reason = "the mutex is locked")]
        fn items(&self) -> &mut VecDeque<usize> {
            // SAFETY: the mutex is locked, and nobody keeps what this gives.
            unsafe { &mut *self.items.get() }
        }
        fn push(&self, item: usize) {
            assert_eq!(self.pair.lock(), 0);
            while self.items().len() >= 4 {
                // SAFETY: initialised, with the other's mutex.
                unsafe { libc::pthread_cond_wait(self.space.cond(), self.pair.mutex()) };
            }
            self.items().push_back(item);
            self.pair.signal();
            self.pair.unlock();
        }
        fn pop(&self) -> usize {
            assert_eq!(self.pair.lock(), 0);
            while self.items().is_empty() {
                self.pair.timed_wait(from_now(libc::CLOCK_REALTIME, 5000));
            }
            let item = self.items().pop_front().unwrap();
            self.pair.unlock();
            self.space.signal();
            item
        }
    }

    const ITEMS: usize = 1500;
    let queue =
        Arc::new(Queue { pair: Pair::plain(), space: Pair::plain(), items: UnsafeCell::default() });
    let sum = Arc::new(AtomicUsize::new(0));
    let produce = {
        let queue = queue.clone();
        move || (1..=ITEMS).for_each(|item| queue.push(item))
    };
    let consume = {
        let (queue, sum) = (queue.clone(), sum.clone());
        move || {
            (0..ITEMS).for_each(|_| {
                sum.fetch_add(queue.pop(), Ordering::Relaxed);
            });
        }
    };
    let mut coroutines = Vec::new();
    for _ in 0..3 {
        coroutines.push(hooked(produce.clone()));
        coroutines.push(hooked(consume.clone()));
    }
    let threads = [
        std::thread::spawn(produce.clone()),
        std::thread::spawn(consume.clone()),
        std::thread::spawn(produce),
        std::thread::spawn(consume),
    ];
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(sum.load(Ordering::Relaxed), 5 * ITEMS * (ITEMS + 1) / 2);
    assert!(queue.items().is_empty());
}

#[test]
fn another_process_signals_and_unlocks() {
    let pair = Pair::new(Kind { shared: true, ..Kind::default() });
    let same = pair.clone();
    let waits = Arc::new(AtomicBool::new(false));
    let begun = waits.clone();
    let waiter = hooked(move || {
        assert_eq!(same.lock(), 0);
        begun.store(true, Ordering::Relaxed);
        // The value next to them is what the other process changes.
        // SAFETY: in the mapping, behind the pair.
        let value = unsafe { same.0.add(1).cast::<u32>() };
        // SAFETY: as above.
        while unsafe { value.read_volatile() } == 0 {
            assert_eq!(same.wait(), 0);
        }
        same.unlock();
    });
    eventually("it waits", || waits.load(Ordering::Relaxed));
    // SAFETY: the child calls what works on shared memory alone, and ends.
    let child = match unsafe { libc::fork() } {
        0 => {
            pair.lock();
            let pause = timespec { tv_sec: 0, tv_nsec: 30_000_000 };
            // SAFETY: as above; the mapping has room.
            unsafe {
                libc::nanosleep(&pause, std::ptr::null_mut());
                pair.0.add(1).cast::<u32>().write_volatile(1);
            }
            pair.signal();
            pair.unlock();
            // SAFETY: ends the process.
            unsafe { libc::_exit(0) }
        }
        child => child,
    };
    waiter.join().unwrap();
    let mut status = -1;
    // SAFETY: a child of ours.
    assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
    assert_eq!(status, 0);
}

#[test]
fn cancellation_ends_neither() {
    let pair = Pair::plain();
    let (waiting, same) = (Arc::new(AtomicBool::new(false)), pair.clone());
    let begun = waiting.clone();
    let waiter = hooked(move || {
        assert_eq!(same.lock(), 0);
        begun.store(true, Ordering::Relaxed);
        let waited = same.wait();
        same.unlock();
        // What comes after it fails.
        (waited, rt::sleep(Duration::from_secs(20)).is_err())
    });
    eventually("it waits", || waiting.load(Ordering::Relaxed));
    waiter.cancel();
    hooked(|| rt::sleep(Duration::from_millis(10)).unwrap()).join().unwrap();
    assert!(!waiter.is_finished());
    assert_eq!(pair.lock(), 0);
    pair.signal();
    pair.unlock();
    assert_eq!(waiter.join().unwrap(), (0, true));
}

/// To wait with a lock is no fault here: nothing is told, and others wait in their turn.
#[test]
fn a_lock_may_be_held_in_a_wait() {
    let before = hook::deadlocks_averted();
    let pair = Pair::plain();
    let (sum, inside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let coroutines: Vec<_> = (0..WORKERS * 10)
        .map(|number| {
            let (pair, sum, inside) = (pair.clone(), sum.clone(), inside.clone());
            hooked(move || {
                for i in 0..100 {
                    assert_eq!(pair.lock(), 0);
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    if (i + number) % 3 == 0 {
                        rt::yield_now();
                    }
                    sum.fetch_add(1, Ordering::Relaxed);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    pair.unlock();
                }
            })
        })
        .collect();
    let same = pair.clone();
    let thread = std::thread::spawn(move || {
        for _ in 0..1000 {
            assert_eq!(same.lock(), 0);
            same.unlock();
        }
    });
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    thread.join().unwrap();
    assert_eq!(sum.load(Ordering::Relaxed), WORKERS * 1000);
    assert_eq!(hook::deadlocks_averted(), before);
}
