//! Pthread mutexes: waits while one is held are reported, and no worker blocks for one that only a
//! coroutine of its own could unlock.

use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Once, PoisonError};
use std::time::Duration;

use fastrpc::hook::{self, Guard};
use fastrpc::rt;

use crate::WORKERS;
use crate::common::{eventually, in_coroutine, init, is_alone, run_alone, run_alone_with};
use crate::pthread::Mutex as PthreadMutex;
use crate::support::*;

/// Runs one test at a time, because the counts belong to the process, and collects log records.
pub fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    static ONCE: Once = Once::new();
    let alone = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    ONCE.call_once(|| {
        log::set_logger(&Logger).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
    });
    init();
    RECORDS.lock().unwrap().clear();
    alone
}

struct Logger;

static RECORDS: Mutex<Vec<String>> = Mutex::new(Vec::new());

impl log::Log for Logger {
    fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        RECORDS.lock().unwrap().push(format!("{}: {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

pub fn records() -> Vec<String> {
    RECORDS.lock().unwrap().clone()
}

fn pause() {
    rt::sleep(Duration::from_millis(1)).unwrap();
}

#[test]
fn a_wait_with_a_mutex_is_reported_once_per_pair_of_call_sites() {
    let _alone = alone();
    let before = hook::waits_with_locks();
    // Also in a coroutine whose hooks are off: others may be hooked.
    let name = "careless";
    let careless = || {
        let lock = PthreadMutex::normal();
        for _ in 0..20 {
            lock.lock();
            pause();
            lock.unlock();
            pause();
        }
    };
    rt::Builder::new().name(name).spawn(careless).unwrap().join().unwrap();
    assert_eq!(hook::waits_with_locks() - before, 20);
    // And once more, with the whole stack of a later lock at that site.
    eventually("it is reported", || records().len() >= 2);
    let told = records();
    assert_eq!(told.len(), 2, "{told:#?}");
    // The lines between the header and the next heading.
    let stack = |text: &str| text.split("waits at").next().unwrap().lines().count() - 3;
    assert!(stack(&told[0]) <= 4 && stack(&told[1]) > 6, "{told:#?}");
    let text = &told[0];
    assert!(text.starts_with("WARN: coroutine 'careless' ("), "{text}");
    // Where it was locked: the first frame after these words is in `Mutex::lock`.
    let [locked, waits] = ["locked it at\n", "waits at\n"]
        .map(|words| text.split(words).nth(1).unwrap_or_else(|| panic!("no {words:?}: {text}")));
    let program = std::env::current_exe().unwrap();
    let frame = locked.lines().next().unwrap().trim();
    let program = program.file_name().unwrap().to_str().unwrap();
    assert!(frame.split(' ').next().unwrap().ends_with(program), "{text}");
    let offset = frame.rsplit(" 0x").next().unwrap().split(' ').next().unwrap();
    let offset = usize::from_str_radix(offset, 16).unwrap();
    let start = PthreadMutex::lock as *const () as usize - base_of(PthreadMutex::lock as *const ());
    assert!((start..start + 300).contains(&offset), "{start:#x}: {text}");
    assert!(waits.lines().count() > 4, "{text}");

    // Another call site, another record.
    in_coroutine(|| {
        let lock = PthreadMutex::normal();
        assert_eq!(lock.try_lock(), 0);
        pause();
        lock.unlock();
    });
    eventually("it is reported", || records().len() == 3);
}

fn base_of(address: *const ()) -> usize {
    // SAFETY: all-zero bytes are valid, and a place for what is known.
    unsafe {
        let mut info: libc::Dl_info = std::mem::zeroed();
        assert_ne!(libc::dladdr(address.cast(), &mut info), 0);
        info.dli_fbase as usize
    }
}

#[test]
fn only_held_mutexes_count() {
    let _alone = alone();
    let before = hook::waits_with_locks();
    in_coroutine(|| {
        let (first, second) = (PthreadMutex::normal(), PthreadMutex::normal());
        first.lock();
        second.lock();
        assert_eq!(first.try_lock(), libc::EBUSY);
        assert_eq!(first.timed_lock(None, 1), libc::ETIMEDOUT);
        // Not in the order of locking.
        first.unlock();
        second.unlock();
        pause();
        rt::yield_now();
    });
    assert_eq!(hook::waits_with_locks(), before);
    // A coroutine that ends while it holds a mutex does not affect the next on its stack.
    in_coroutine(|| {
        let left = Box::leak(Box::new(PthreadMutex::normal()));
        left.lock();
    });
    in_coroutine(pause);
    assert_eq!(hook::waits_with_locks(), before);
    // Locked in one coroutine, unlocked in another of the same worker.
    in_coroutine(|| {
        let lock = Arc::new(PthreadMutex::normal());
        lock.lock();
        let same = lock.clone();
        rt::spawn(move || same.unlock()).unwrap().join().unwrap();
        pause();
    });
    assert_eq!(hook::waits_with_locks() - before, 1, "that of the join alone");
    // Each function that locks.
    for way in 0..4 {
        in_coroutine(move || {
            let lock = PthreadMutex::new(libc::PTHREAD_MUTEX_RECURSIVE);
            let locked = || match way {
                0 => lock.try_lock(),
                1 => lock.timed_lock(None, 1000),
                2 => lock.timed_lock(Some(libc::CLOCK_MONOTONIC), 1000),
                _ => {
                    lock.lock();
                    0
                }
            };
            assert_eq!((locked(), locked()), (0, 0));
            lock.unlock();
            pause();
            lock.unlock();
            pause();
        });
    }
    assert_eq!(hook::waits_with_locks() - before, 5);
    // Plain threads are not counted.
    let lock = PthreadMutex::normal();
    lock.lock();
    pause();
    lock.unlock();
    assert_eq!(hook::waits_with_locks() - before, 5);
}

#[test]
fn the_check_can_be_switched_off() {
    const ENVIRONMENT: &str = "FASTRPC_LOCK_CHECK";
    const OPTION: &str = "TEST_LOCK_CHECK_OPTION";
    const NAME: &str = "mutexes::the_check_can_be_switched_off";
    if is_alone(ENVIRONMENT) || is_alone(OPTION) {
        let on = std::env::var(ENVIRONMENT).is_ok_and(|value| value == "1");
        rt::configure(rt::Options::default().lock_check(!is_alone(OPTION))).unwrap();
        let waits = rt::spawn(|| {
            let lock = PthreadMutex::normal();
            lock.lock();
            pause();
            lock.unlock();
            hook::waits_with_locks()
        });
        println!("waits: {} on: {on}", waits.unwrap().join().unwrap());
        return;
    }
    let run = |key: &str, value: &str| {
        let output = run_alone_with(NAME, key, value);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert!(run(ENVIRONMENT, "0").contains("waits: 0 on: false"));
    assert!(run(OPTION, "1").contains("waits: 0 on: false"));
    assert!(run(ENVIRONMENT, "1").contains("waits: 1 on: true"));
}

#[test]
fn a_lock_that_would_deadlock_suspends() {
    let _alone = alone();
    for kind in [
        libc::PTHREAD_MUTEX_NORMAL,
        libc::PTHREAD_MUTEX_RECURSIVE,
        libc::PTHREAD_MUTEX_ERRORCHECK,
        3, // PTHREAD_MUTEX_ADAPTIVE_NP
    ] {
        let before = hook::deadlocks_averted();
        in_coroutine(move || {
            let lock = Arc::new(PthreadMutex::new(kind));
            let steps = Arc::new(Mutex::new(Vec::new()));
            lock.lock();
            let wanting: Vec<_> = (0..3)
                .map(|number| {
                    let (lock, steps) = (lock.clone(), steps.clone());
                    rt::spawn(move || {
                        assert_eq!(lock.try_lock(), libc::EBUSY);
                        lock.lock();
                        steps.lock().unwrap().push(number);
                        // A wait inside does not let the others in.
                        pause();
                        steps.lock().unwrap().push(number);
                        lock.unlock();
                    })
                    .unwrap()
                })
                .collect();
            rt::sleep(Duration::from_millis(20)).unwrap();
            assert!(steps.lock().unwrap().is_empty());
            lock.unlock();
            wanting.into_iter().for_each(|one| one.join().unwrap());
            assert_eq!(*steps.lock().unwrap(), [0, 0, 1, 1, 2, 2]);
            assert_eq!(lock.try_lock(), 0);
            lock.unlock();
        });
        assert_eq!(hook::deadlocks_averted() - before, 3, "{kind}");
    }
    let errors = || records().into_iter().filter(|text| text.starts_with("ERROR")).collect();
    eventually("it is reported", || !Vec::<String>::is_empty(&errors()));
    let errors: Vec<String> = errors();
    for words in
        ["a deadlock, were it not", "It locks at\n    ", "locked it at\n    ", "waits at\n    "]
    {
        assert!(errors[0].contains(words), "{words}: {errors:#?}");
    }
}

#[test]
fn waiters_come_before_a_second_lock_by_the_owner() {
    let _alone = alone();
    let order = in_coroutine(|| {
        let lock = Arc::new(PthreadMutex::normal());
        let order = Arc::new(Mutex::new(String::new()));
        let turns: Vec<_> = ["a", "b", "c"]
            .into_iter()
            .map(|name| {
                let (lock, order) = (lock.clone(), order.clone());
                rt::spawn(move || {
                    for _ in 0..3 {
                        lock.lock();
                        pause();
                        order.lock().unwrap().push_str(name);
                        lock.unlock();
                    }
                })
                .unwrap()
            })
            .collect();
        turns.into_iter().for_each(|turn| turn.join().unwrap());
        order.lock().unwrap().clone()
    });
    assert_eq!(order, "abcabcabc");
}

/// The library's record of holders never keeps anybody out.
#[test]
fn a_mutex_that_another_thread_unlocks_is_free() {
    let _alone = alone();
    in_coroutine(|| {
        let lock = Arc::new(PthreadMutex::normal());
        let (same, stop) = (lock.clone(), Arc::new(AtomicBool::new(false)));
        let stopped = stop.clone();
        let holder = rt::spawn(move || {
            same.lock();
            std::thread::spawn(move || same.unlock()).join().unwrap();
            while !stopped.load(Ordering::Relaxed) {
                pause();
            }
        });
        pause();
        for _ in 0..2 {
            assert_eq!(lock.try_lock(), 0);
            lock.unlock();
            lock.lock();
            lock.unlock();
        }
        stop.store(true, Ordering::Relaxed);
        holder.unwrap().join().unwrap();
    });
}

#[test]
fn a_timed_lock_that_would_deadlock_times_out() {
    let _alone = alone();
    in_coroutine(|| {
        let lock = Arc::new(PthreadMutex::normal());
        lock.lock();
        let (same, tried) = (lock.clone(), Arc::new(AtomicBool::new(false)));
        let told = tried.clone();
        let wanting = rt::spawn(move || {
            let late = [None, Some(libc::CLOCK_MONOTONIC)].map(|clock| {
                let (result, time) = elapsed(|| same.timed_lock(clock, 20));
                assert!(time >= Duration::from_millis(19), "{time:?}");
                result
            });
            told.store(true, Ordering::Relaxed);
            let in_time = same.timed_lock(None, 20_000);
            same.unlock();
            (late, in_time)
        });
        eventually("two have timed out", || tried.load(Ordering::Relaxed));
        pause();
        lock.unlock();
        let answers = wanting.unwrap().join().unwrap();
        assert_eq!(answers, ([libc::ETIMEDOUT; 2], 0));
    });
    // A canceled coroutine gets the mutex too.
    in_coroutine(|| {
        let lock = Arc::new(PthreadMutex::normal());
        lock.lock();
        let same = lock.clone();
        let wanting = rt::spawn(move || {
            same.lock();
            same.unlock();
        })
        .unwrap();
        pause();
        wanting.cancel();
        pause();
        assert!(!wanting.is_finished());
        lock.unlock();
        wanting.join().unwrap();
    });
}

/// Shared by plain threads and by coroutines that wait while they hold it.
#[test]
fn a_mutex_held_across_waits_excludes_all_others() {
    let _alone = alone();
    struct Shared {
        lock: PthreadMutex,
        inside: AtomicU32,
        sum: UnsafeCell<usize>,
        wrong: AtomicBool,
    }
    // SAFETY: the sum is touched by who has the lock alone, which is what this is about.
    unsafe impl Sync for Shared {}
    const TURNS: usize = 200;
    let shared = Arc::new(Shared {
        lock: PthreadMutex::normal(),
        inside: AtomicU32::new(0),
        sum: UnsafeCell::new(0),
        wrong: AtomicBool::new(false),
    });
    let turn = |shared: &Shared, wait: bool| {
        shared.lock.lock();
        if shared.inside.fetch_add(1, Ordering::Relaxed) != 0 {
            shared.wrong.store(true, Ordering::Relaxed);
        }
        if wait {
            rt::yield_now();
        }
        // SAFETY: as above.
        unsafe { *shared.sum.get() += 1 };
        shared.inside.fetch_sub(1, Ordering::Relaxed);
        shared.lock.unlock();
    };
    let coroutines: Vec<_> = (0..WORKERS * 8)
        .map(|number| {
            let shared = shared.clone();
            rt::spawn(move || {
                let _hooked = Guard::enabled();
                (0..TURNS).for_each(|i| turn(&shared, (i + number) % 3 == 0));
            })
            .unwrap()
        })
        .collect();
    let threads: Vec<_> = (0..2)
        .map(|_| {
            let shared = shared.clone();
            std::thread::spawn(move || (0..TURNS).for_each(|_| turn(&shared, false)))
        })
        .collect();
    let all = coroutines.len() + threads.len();
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert!(!shared.wrong.load(Ordering::Relaxed));
    // SAFETY: nobody else is there any more.
    assert_eq!(unsafe { *shared.sum.get() }, all * TURNS);
}

/// The program's logger may itself wait while it holds a mutex, and be called meanwhile.
#[test]
fn a_logger_that_waits_with_a_mutex_is_reported() {
    const KEY: &str = "TEST_LOCK_LOGGER";
    struct Careless(PthreadMutex, AtomicUsize);
    impl log::Log for Careless {
        fn enabled(&self, _metadata: &log::Metadata<'_>) -> bool {
            true
        }
        fn log(&self, _record: &log::Record<'_>) {
            self.0.lock();
            self.1.fetch_add(1, Ordering::Relaxed);
            pause();
            self.0.unlock();
        }
        fn flush(&self) {}
    }
    if is_alone(KEY) {
        let logger: &Careless =
            Box::leak(Box::new(Careless(PthreadMutex::normal(), AtomicUsize::new(0))));
        log::set_logger(logger).unwrap();
        log::set_max_level(log::LevelFilter::Warn);
        let writers: Vec<_> =
            (0..10).map(|i| rt::spawn(move || log::error!("{i}")).unwrap()).collect();
        writers.into_iter().for_each(|writer| writer.join().unwrap());
        eventually("it is reported", || logger.1.load(Ordering::Relaxed) >= 12);
        return println!("told");
    }
    let name = "mutexes::a_logger_that_waits_with_a_mutex_is_reported";
    let output = run_alone(name, KEY);
    assert!(String::from_utf8_lossy(&output.stdout).contains("told"), "{output:?}");
}
