//! POSIX semaphores: each post, by whomever, wakes one waiting coroutine.

use std::cell::UnsafeCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering};
use std::time::Duration;

use fastrpc::hook::Guard;
use fastrpc::rt;
use libc::{c_int, sem_t, timespec};

use crate::WORKERS;
use crate::common::{eventually, in_coroutine, init};
use crate::pthread::from_now;
use crate::support::*;

unsafe extern "C" {
    fn sem_clockwait(semaphore: *mut sem_t, clock: libc::clockid_t, time: *const timespec)
    -> c_int;
}

/// A semaphore on the heap; its users share it.
struct Semaphore(Box<UnsafeCell<sem_t>>);

// SAFETY: semaphores are for several threads.
unsafe impl Send for Semaphore {}
// SAFETY: as above.
unsafe impl Sync for Semaphore {}

impl Semaphore {
    fn new(value: u32) -> Semaphore {
        // SAFETY: all-zero bytes are a valid place for one.
        let semaphore = Semaphore(Box::new(unsafe { std::mem::zeroed() }));
        // SAFETY: a place for a semaphore.
        assert_eq!(unsafe { libc::sem_init(semaphore.get(), 0, value) }, 0);
        semaphore
    }

    fn get(&self) -> *mut sem_t {
        self.0.get()
    }

    fn wait(&self) -> c_int {
        // SAFETY: initialized, here and below.
        unsafe { libc::sem_wait(self.get()) }
    }

    fn post(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::sem_post(self.get()) }, 0);
    }

    fn timed_wait(&self, time: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { libc::sem_timedwait(self.get(), &time) }
    }

    fn value(&self) -> c_int {
        let mut value = -1;
        // SAFETY: as above, and a place for the value.
        unsafe { libc::sem_getvalue(self.get(), &mut value) };
        value
    }
}

#[test]
fn a_post_by_a_thread_wakes() {
    for kind in 0..3 {
        let semaphore = Arc::new(Semaphore::new(0));
        let same = semaphore.clone();
        let result = suspends(
            "sem_wait",
            move || semaphore.post(),
            move || match kind {
                0 => same.wait(),
                1 => same.timed_wait(from_now(libc::CLOCK_REALTIME, 20_000)),
                _ => {
                    let time = from_now(libc::CLOCK_MONOTONIC, 20_000);
                    // SAFETY: initialized, and a valid time.
                    unsafe { sem_clockwait(same.get(), libc::CLOCK_MONOTONIC, &time) }
                }
            },
        );
        assert_eq!(result, 0, "{kind}");
    }
}

#[test]
fn coroutines_take_turns() {
    let (ping, pong) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let (ping2, pong2) = (ping.clone(), pong.clone());
    const ROUNDS: usize = 2000;
    init();
    let other = rt::spawn(move || {
        let _hooked = Guard::enabled();
        for _ in 0..ROUNDS {
            assert_eq!(ping2.wait(), 0);
            pong2.post();
        }
    })
    .unwrap();
    let ((), time) = elapsed(|| {
        hooked(move || {
            for _ in 0..ROUNDS {
                ping.post();
                assert_eq!(pong.wait(), 0);
            }
        });
    });
    other.join().unwrap();
    // By polling alone it would take seconds.
    assert!(time < Duration::from_millis(ROUNDS as u64), "{time:?}");
}

#[test]
fn waiters_are_served_in_order() {
    let semaphore = Arc::new(Semaphore::new(0));
    let order = Arc::new(std::sync::Mutex::new(Vec::new()));
    // All on one worker: between workers there is no order.
    let (same, seen) = (semaphore.clone(), order.clone());
    in_coroutine(move || {
        let waiters: Vec<_> = (0..20)
            .map(|number| {
                let (semaphore, order) = (same.clone(), seen.clone());
                rt::spawn(move || {
                    let _hooked = Guard::enabled();
                    assert_eq!(semaphore.wait(), 0);
                    order.lock().unwrap().push(number);
                })
                .unwrap()
            })
            .collect();
        rt::sleep(Duration::from_millis(20)).unwrap();
        for served in 1..=20 {
            same.post();
            eventually("one more was served", || seen.lock().unwrap().len() == served);
        }
        waiters.into_iter().for_each(|waiter| waiter.join().unwrap());
    });
    assert_eq!(*order.lock().unwrap(), (0..20).collect::<Vec<_>>());
    assert_eq!(semaphore.value(), 0);
}

#[test]
fn another_process_posts() {
    init();
    // Unnamed and named.
    for named in [false, true] {
        let semaphore = AtomicPtr::new(if named {
            let name = format!("/fastrpc-test-{}\0", std::process::id());
            // SAFETY: a C string; the mode and the value of a new semaphore.
            let semaphore =
                unsafe { libc::sem_open(name.as_ptr().cast(), libc::O_CREAT, 0o600, 0) };
            assert_ne!(semaphore, libc::SEM_FAILED);
            // SAFETY: a C string.
            unsafe { libc::sem_unlink(name.as_ptr().cast()) };
            semaphore
        } else {
            let (access, kind) =
                (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
            // SAFETY: a new mapping.
            let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
            assert_ne!(place, libc::MAP_FAILED);
            // SAFETY: a place for a semaphore.
            assert_eq!(unsafe { libc::sem_init(place.cast(), 1, 0) }, 0);
            place.cast()
        });
        let semaphore = Arc::new(semaphore);
        let (same, child) = (semaphore.clone(), Arc::new(AtomicUsize::new(0)));
        let child_number = child.clone();
        let result = suspends(
            "sem_wait",
            move || {
                // SAFETY: the child calls what is safe after a fork, and ends.
                match unsafe { libc::fork() } {
                    // SAFETY: as above.
                    0 => unsafe {
                        libc::sem_post(semaphore.load(Ordering::Relaxed));
                        libc::_exit(0)
                    },
                    number => child_number.store(number as usize, Ordering::Relaxed),
                }
            },
            // SAFETY: initialized.
            move || unsafe { libc::sem_wait(same.load(Ordering::Relaxed)) },
        );
        assert_eq!(result, 0, "named: {named}");
        let mut status = -1;
        let child = child.load(Ordering::Relaxed) as libc::pid_t;
        // SAFETY: a child of ours.
        assert_eq!(unsafe { libc::waitpid(child, &mut status, 0) }, child);
        assert_eq!(status, 0);
    }
}

#[test]
fn a_post_that_bypasses_the_hook_is_found() {
    // SAFETY: C strings; the C library is loaded.
    let post = unsafe {
        let libc = libc::dlopen(c"libc.so.6".as_ptr(), libc::RTLD_NOW);
        libc::dlsym(libc, c"sem_post".as_ptr())
    };
    assert!(!post.is_null());
    // SAFETY: the function of this name has this type.
    let post: unsafe extern "C" fn(*mut sem_t) -> c_int = unsafe { std::mem::transmute(post) };
    let semaphore = Arc::new(Semaphore::new(0));
    let same = semaphore.clone();
    let result = suspends(
        "sem_wait",
        // SAFETY: initialized.
        move || assert_eq!(unsafe { post(semaphore.get()) }, 0),
        move || same.wait(),
    );
    assert_eq!(result, 0);
}

#[test]
fn a_signal_handler_posts() {
    static SEMAPHORE: AtomicPtr<sem_t> = AtomicPtr::new(std::ptr::null_mut());
    static HANDLED: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_signal: c_int) {
        // SAFETY: initialized before the handler; the function is safe in one.
        unsafe { libc::sem_post(SEMAPHORE.load(Ordering::Relaxed)) };
        HANDLED.fetch_add(1, Ordering::Relaxed);
    }
    let semaphore = Arc::new(Semaphore::new(0));
    SEMAPHORE.store(semaphore.get(), Ordering::Relaxed);
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // SAFETY: a valid action.
    unsafe { libc::sigaction(libc::SIGUSR2, &action, std::ptr::null_mut()) };
    // On the worker's thread: while it sleeps, and while a coroutine of it runs.
    let (worker, thread) = std::sync::mpsc::channel();
    let same = semaphore.clone();
    let waiter = rt_spawn(move || {
        let _hooked = Guard::enabled();
        // SAFETY: takes no arguments.
        worker.send(unsafe { libc::pthread_self() } as usize).unwrap();
        (0..2).all(|_| same.wait() == 0)
    });
    let thread = thread.recv_timeout(Duration::from_secs(20)).unwrap() as libc::pthread_t;
    std::thread::sleep(Duration::from_millis(30));
    let ((), time) = elapsed(|| {
        // SAFETY: a thread that never ends.
        assert_eq!(unsafe { libc::pthread_kill(thread, libc::SIGUSR2) }, 0);
        eventually("the handler ran", || HANDLED.load(Ordering::Relaxed) == 1);
        // In a thread that is not a worker.
        // SAFETY: takes any number.
        unsafe { libc::raise(libc::SIGUSR2) };
        assert!(waiter.join().unwrap());
    });
    assert!(time < Duration::from_secs(10), "{time:?}");
    assert_eq!(semaphore.value(), 0);
}

fn rt_spawn<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> rt::JoinHandle<T> {
    init();
    rt::spawn(f).unwrap()
}

#[test]
fn time_outs_and_errors_are_libcs() {
    same("semaphores", || {
        let semaphore = Semaphore::new(1);
        let bad = timespec { tv_sec: 1 << 40, tv_nsec: 1_000_000_000 };
        let past = timespec { tv_sec: 1, tv_nsec: 5 };
        let before = timespec { tv_sec: -1, tv_nsec: 5 };
        let negative = timespec { tv_sec: 1 << 40, tv_nsec: -1 };
        let mut steps = Vec::new();
        // With a post to take, and without.
        for _ in 0..2 {
            steps.push(outcome(semaphore.timed_wait(bad)));
            steps.push(outcome(semaphore.timed_wait(negative)));
            steps.push(outcome(semaphore.timed_wait(past)));
            steps.push(outcome(semaphore.timed_wait(before)));
            for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME, 99] {
                // SAFETY: initialized, and a valid time.
                steps.push(outcome(unsafe { sem_clockwait(semaphore.get(), clock, &past) }));
            }
        }
        for clock in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            let (result, time) = elapsed(|| {
                let time = from_now(clock, 40);
                // SAFETY: as above.
                outcome(unsafe { sem_clockwait(semaphore.get(), clock, &time) })
            });
            assert!(time >= Duration::from_millis(39), "{time:?}");
            steps.push(result);
        }
        steps.push(semaphore.value().to_string());
        steps
    });
}

#[test]
fn a_canceled_wait_takes_nothing() {
    let semaphore = Arc::new(Semaphore::new(0));
    let same = semaphore.clone();
    let waits = Arc::new(AtomicBool::new(false));
    let begun = waits.clone();
    let waiter = rt_spawn(move || {
        let _hooked = Guard::enabled();
        begun.store(true, Ordering::Relaxed);
        (same.wait(), errno())
    });
    eventually("it waits", || waits.load(Ordering::Relaxed));
    waiter.cancel();
    assert_eq!(waiter.join().unwrap(), (-1, libc::ECANCELED));
    semaphore.post();
    assert_eq!(semaphore.value(), 1);
    // An available post is taken at once; and plain threads work as ever.
    assert_eq!(semaphore.wait(), 0);
}

/// Who returns from a wait may destroy the semaphore while sem_post(3) has not returned yet.
#[test]
fn a_semaphore_may_be_destroyed_right_after_the_wait() {
    for _ in 0..2000 {
        let semaphore = Box::into_raw(Box::new(Semaphore::new(0)));
        let place = AtomicPtr::new(semaphore);
        // SAFETY: it lives until the waiter has returned, which needs this post.
        let post = move || unsafe { (*place.load(Ordering::Relaxed)).post() };
        let place = AtomicPtr::new(semaphore);
        let waiter = rt_spawn(move || {
            let _hooked = Guard::enabled();
            let semaphore = place.load(Ordering::Relaxed);
            // SAFETY: nobody else frees it.
            assert_eq!(unsafe { (*semaphore).wait() }, 0);
            // SAFETY: as above; a post that came now would meet a value that overflows.
            unsafe {
                libc::sem_destroy((*semaphore).get());
                std::ptr::write_bytes((*semaphore).get(), 0x7f, 1);
                drop(Box::from_raw(semaphore));
            }
        });
        let poster = rt_spawn(post);
        poster.join().unwrap();
        waiter.join().unwrap();
    }
}

/// Each post ends one wait or is left at the end, whoever waits and whoever times out.
#[test]
fn no_post_is_lost() {
    const POSTS: usize = 3000;
    let semaphore = Arc::new(Semaphore::new(0));
    let taken = Arc::new(AtomicUsize::new(0));
    let done = Arc::new(AtomicBool::new(false));
    let take = {
        let (semaphore, taken, done) = (semaphore.clone(), taken.clone(), done.clone());
        move |number: i64| {
            let _hooked = Guard::enabled();
            while !done.load(Ordering::Relaxed) {
                let time = from_now(libc::CLOCK_REALTIME, 1 + number % 7);
                if semaphore.timed_wait(time) == 0 {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    };
    let coroutines: Vec<_> = (0..WORKERS as i64 * 10)
        .map(|number| {
            let take = take.clone();
            rt_spawn(move || take(number))
        })
        .collect();
    let threads: Vec<_> = (0..2)
        .map(|number| {
            let take = take.clone();
            std::thread::spawn(move || take(number))
        })
        .collect();
    let posters: Vec<_> = (0..2)
        .map(|_| {
            let semaphore = semaphore.clone();
            std::thread::spawn(move || {
                for i in 0..POSTS / 2 {
                    semaphore.post();
                    if i % 64 == 0 {
                        std::thread::sleep(Duration::from_micros(300));
                    }
                }
            })
        })
        .collect();
    posters.into_iter().for_each(|poster| poster.join().unwrap());
    eventually("all is taken", || taken.load(Ordering::Relaxed) == POSTS);
    done.store(true, Ordering::Relaxed);
    coroutines.into_iter().for_each(|coroutine| coroutine.join().unwrap());
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((semaphore.value(), taken.load(Ordering::Relaxed)), (0, POSTS));
}
