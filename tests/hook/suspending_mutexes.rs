//! With the option `hook_locks` a coroutine that waits for a mutex or a condition variable
//! suspends, and plain threads that use the same ones block as ever.

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use fastrpc::hook::{self, Guard};
use fastrpc::rt;
use libc::timespec;

use crate::WORKERS;
use crate::common::eventually;
use crate::pthread::{Attributes, Monitor, from_now, pthread_cond_clockwait};

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

/// While a thread holds the mutex, coroutines wait without blocking their worker, and lock in turn.
#[test]
fn a_contended_lock_suspends() {
    for kind in [
        Attributes::default(),
        Attributes { kind: libc::PTHREAD_MUTEX_RECURSIVE, ..Attributes::default() },
        Attributes { kind: libc::PTHREAD_MUTEX_ERRORCHECK, ..Attributes::default() },
        Attributes { robust: true, ..Attributes::default() },
        Attributes { inherit: true, ..Attributes::default() },
        Attributes { shared: true, ..Attributes::default() },
    ] {
        let monitor = Monitor::new(kind);
        assert_eq!(monitor.lock(), 0);
        let waiting = Arc::new(AtomicUsize::new(0));
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let (same, begun, seen) = (monitor.clone(), waiting.clone(), order.clone());
        // All on one worker: between workers there is no order.
        let all = hooked(move || {
            let wanting: Vec<_> = (0..5)
                .map(|number| {
                    let (monitor, begun, seen) = (same.clone(), begun.clone(), seen.clone());
                    hooked(move || {
                        assert_eq!(monitor.try_lock(), libc::EBUSY);
                        assert_eq!(monitor.timed_lock(5), libc::ETIMEDOUT);
                        // In turn.
                        while begun.load(Ordering::Relaxed) != number {
                            rt::yield_now();
                        }
                        begun.fetch_add(1, Ordering::Relaxed);
                        let locked = if number % 2 == 0 {
                            monitor.lock()
                        } else {
                            monitor.timed_lock(20_000)
                        };
                        assert_eq!(locked, 0);
                        rt::sleep(Duration::from_micros(100)).unwrap();
                        seen.lock().unwrap().push(number);
                        monitor.unlock();
                    })
                })
                .collect();
            wanting.into_iter().for_each(|one| one.join().unwrap());
        });
        eventually("all wait", || waiting.load(Ordering::Relaxed) == 5);
        // The worker runs.
        hooked(|| rt::sleep(Duration::from_millis(5)).unwrap()).join().unwrap();
        assert!(order.lock().unwrap().is_empty());
        monitor.unlock();
        all.join().unwrap();
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(monitor.try_lock(), 0);
        monitor.unlock();
    }
}

/// An unlock by a thread wakes a coroutine, which does not find it by polling.
#[test]
fn an_unlock_wakes_at_once() {
    let monitor = Monitor::plain();
    let mut delays: Vec<_> = (0..9)
        .map(|_| {
            assert_eq!(monitor.lock(), 0);
            let (same, waits) = (monitor.clone(), Arc::new(AtomicBool::new(false)));
            let begun = waits.clone();
            let waiter = hooked(move || {
                begun.store(true, Ordering::Relaxed);
                assert_eq!(same.lock(), 0);
                same.unlock();
                Instant::now()
            });
            eventually("it waits", || waits.load(Ordering::Relaxed));
            // Polling would look after 12.7 and 25.5 ms, and then every 16.
            std::thread::sleep(Duration::from_millis(27));
            let unlocked = Instant::now();
            monitor.unlock();
            waiter.join().unwrap() - unlocked
        })
        .collect();
    delays.sort();
    assert!(delays[4] < Duration::from_millis(8), "{delays:?}");
}

#[test]
fn kinds_keep_their_rules() {
    hooked(|| {
        let recursive = Monitor::new(Attributes {
            kind: libc::PTHREAD_MUTEX_RECURSIVE,
            ..Attributes::default()
        });
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

        let checked = Monitor::new(Attributes {
            kind: libc::PTHREAD_MUTEX_ERRORCHECK,
            ..Attributes::default()
        });
        assert_eq!((checked.lock(), checked.lock()), (0, libc::EDEADLK));
        assert_eq!(checked.timed_lock(10), libc::EDEADLK);
        checked.unlock();
        // SAFETY: initialized.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(checked.mutex()) }, libc::EPERM);

        // Its owner ends while it holds it.
        let robust = Monitor::new(Attributes { robust: true, ..Attributes::default() });
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
            let monitor = Monitor::new(Attributes { clock, ..Attributes::default() });
            assert_eq!(monitor.lock(), 0);
            let start = Instant::now();
            assert_eq!(monitor.timed_wait(from_now(clock, 30)), libc::ETIMEDOUT);
            assert!(start.elapsed() >= Duration::from_millis(29), "{:?}", start.elapsed());
            assert_eq!(monitor.timed_wait(from_now(clock, -30)), libc::ETIMEDOUT);
            let bad = timespec { tv_sec: 1 << 40, tv_nsec: 1_000_000_000 };
            assert_eq!(monitor.timed_wait(bad), libc::EINVAL);
            let other = libc::CLOCK_MONOTONIC;
            let time = from_now(other, 10);
            // SAFETY: initialized.
            let waited =
                unsafe { pthread_cond_clockwait(monitor.cond(), monitor.mutex(), other, &time) };
            assert_eq!(waited, libc::ETIMEDOUT);
            // The mutex is locked after each of them.
            let same = monitor.clone();
            let busy = std::thread::spawn(move || same.try_lock()).join().unwrap();
            assert_eq!(busy, libc::EBUSY);
            monitor.unlock();
        }
    })
    .join()
    .unwrap();
}

#[test]
fn a_signal_wakes_the_first_and_a_broadcast_all() {
    let monitor = Monitor::plain();
    let (waiting, woken) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (same, begun, counted) = (monitor.clone(), waiting.clone(), woken.clone());
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
        // Those that are counted hold the mutex until they wait.
        assert_eq!(monitor.lock(), 0);
        monitor.unlock();
    };
    waits(20);
    for count in 1..=5 {
        monitor.signal();
        eventually("one woke", || woken.load(Ordering::Relaxed) == count);
    }
    hooked(|| rt::sleep(Duration::from_millis(20)).unwrap()).join().unwrap();
    assert_eq!(woken.load(Ordering::Relaxed), 5, "nobody else woke");
    let threads: Vec<_> = (0..3).map(|_| std::thread::spawn(wait.clone())).collect();
    waits(23);
    monitor.broadcast();
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(woken.load(Ordering::Relaxed), 23);
}

/// A bounded queue between coroutines and threads: nothing is lost or doubled.
#[test]
fn a_queue_passes_everything_on() {
    struct Queue {
        monitor: Arc<Monitor>,
        space: Arc<Monitor>,
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
            assert_eq!(self.monitor.lock(), 0);
            while self.items().len() >= 4 {
                // SAFETY: initialized, with the other's mutex.
                unsafe { libc::pthread_cond_wait(self.space.cond(), self.monitor.mutex()) };
            }
            self.items().push_back(item);
            self.monitor.signal();
            self.monitor.unlock();
        }
        fn pop(&self) -> usize {
            assert_eq!(self.monitor.lock(), 0);
            while self.items().is_empty() {
                self.monitor.timed_wait(from_now(libc::CLOCK_REALTIME, 5000));
            }
            let item = self.items().pop_front().unwrap();
            self.monitor.unlock();
            self.space.signal();
            item
        }
    }

    const ITEMS: usize = 1500;
    let queue = Arc::new(Queue {
        monitor: Monitor::plain(),
        space: Monitor::plain(),
        items: UnsafeCell::default(),
    });
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
    let monitor = Monitor::new(Attributes { shared: true, ..Attributes::default() });
    let same = monitor.clone();
    let waits = Arc::new(AtomicBool::new(false));
    let begun = waits.clone();
    let waiter = hooked(move || {
        assert_eq!(same.lock(), 0);
        begun.store(true, Ordering::Relaxed);
        // The other process changes the value next to them.
        // SAFETY: in the mapping, behind the monitor.
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
            monitor.lock();
            let pause = timespec { tv_sec: 0, tv_nsec: 30_000_000 };
            // SAFETY: as above; the mapping has room.
            unsafe {
                libc::nanosleep(&pause, std::ptr::null_mut());
                monitor.0.add(1).cast::<u32>().write_volatile(1);
            }
            monitor.signal();
            monitor.unlock();
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
fn cancellation_ends_neither_wait() {
    let monitor = Monitor::plain();
    let (waiting, same) = (Arc::new(AtomicBool::new(false)), monitor.clone());
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
    assert_eq!(monitor.lock(), 0);
    monitor.signal();
    monitor.unlock();
    assert_eq!(waiter.join().unwrap(), (0, true));
}

/// A wait with a mutex is allowed here: nothing is reported, and others wait in turn.
#[test]
fn a_mutex_may_be_held_across_waits() {
    let before = hook::deadlocks_averted();
    let monitor = Monitor::plain();
    let (sum, inside) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let coroutines: Vec<_> = (0..WORKERS * 10)
        .map(|number| {
            let (monitor, sum, inside) = (monitor.clone(), sum.clone(), inside.clone());
            hooked(move || {
                for i in 0..100 {
                    assert_eq!(monitor.lock(), 0);
                    assert_eq!(inside.fetch_add(1, Ordering::Relaxed), 0);
                    if (i + number) % 3 == 0 {
                        rt::yield_now();
                    }
                    sum.fetch_add(1, Ordering::Relaxed);
                    inside.fetch_sub(1, Ordering::Relaxed);
                    monitor.unlock();
                }
            })
        })
        .collect();
    let same = monitor.clone();
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
