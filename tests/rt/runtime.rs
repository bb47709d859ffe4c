//! Runtime tests that hold with any number of workers.

use std::cell::Cell;
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrpc::net::{ListenOptions, Listener, Stream};
use fastrpc::rt::{self, Builder, Deadline, Interest, Key, Timer};

use crate::common::raise_fd_limit;
use crate::common::{eventually, in_coroutine, init, soon, thread_id};

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_sleep_below_a_millisecond_returns_and_is_never_early() {
    in_coroutine(|| {
        for micros in [1, 50, 500, 999, 1500] {
            let wanted = Duration::from_micros(micros);
            let start = Instant::now();
            rt::sleep(wanted).unwrap();
            let slept = start.elapsed();
            assert!(slept >= wanted, "{slept:?} instead of {wanted:?}");
            assert!(slept < Duration::from_secs(5), "{slept:?} instead of {wanted:?}");
        }
    });
}

#[test]
fn waits_stay_on_their_thread() {
    init();
    let moved = Arc::new(AtomicUsize::new(0));
    let listener = Arc::new(
        Listener::bind(&"127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap(),
    );
    let handles: Vec<_> = (0..32)
        .map(|_| {
            let (moved, listener) = (moved.clone(), listener.clone());
            rt::spawn(move || {
                let home = thread_id();
                for round in 0..100 {
                    match round % 5 {
                        0 => rt::yield_now(),
                        1 => rt::sleep(Duration::from_micros(50)).unwrap(),
                        2 => {
                            let other = rt::spawn(thread_id).unwrap().join().unwrap();
                            assert_eq!(other, home, "a child is born on its parent's worker");
                        }
                        3 => drop(Stream::connect_by(listener.local_addr(), soon()).unwrap()),
                        _ => drop(listener.accept_by(soon()).unwrap()),
                    }
                    if thread_id() != home {
                        moved.fetch_add(1, Ordering::Relaxed);
                    }
                }
            })
            .unwrap()
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(moved.load(Ordering::Relaxed), 0);
}

#[test]
fn wakes_across_workers_leave_each_coroutine_on_its_worker() {
    init();
    let workers = rt::worker_count();
    let moved = Arc::new(AtomicUsize::new(0));
    let pairs: Vec<_> = (0..40)
        .map(|index| {
            let (near, far) = (index % workers, index / 2 % workers);
            let listener =
                Listener::bind(&"127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
            let addr = listener.local_addr().clone();
            let bounce = |stream: Stream, first: bool, moved: Arc<AtomicUsize>| {
                let home = thread_id();
                let mut byte = [0];
                for round in 0..500 {
                    if first || round > 0 {
                        stream.write_all_by(&byte, soon()).unwrap();
                    }
                    stream.read_exact_by(&mut byte, soon()).unwrap();
                    moved.fetch_add(usize::from(thread_id() != home), Ordering::Relaxed);
                }
                stream.write_all_by(&byte, soon()).ok();
            };
            let (moved1, moved2) = (moved.clone(), moved.clone());
            let one = Builder::new()
                .worker(near)
                .spawn(move || bounce(listener.accept_by(soon()).unwrap(), false, moved1));
            let two = Builder::new()
                .worker(far)
                .spawn(move || bounce(Stream::connect_by(&addr, soon()).unwrap(), true, moved2));
            (one.unwrap(), two.unwrap())
        })
        .collect();
    for (one, two) in pairs {
        one.join().unwrap();
        two.join().unwrap();
    }
    assert_eq!(moved.load(Ordering::Relaxed), 0);
}

#[test]
fn a_coroutine_that_blocks_its_thread_delays_no_other_worker() {
    init();
    if rt::worker_count() < 2 {
        return;
    }
    let release = Arc::new(AtomicBool::new(false));
    let blocker = {
        let release = release.clone();
        Builder::new().worker(0).spawn(move || {
            while !release.load(Ordering::Relaxed) {
                std::thread::sleep(MS);
            }
        })
    };
    let woke = Builder::new().worker(1).spawn(|| rt::sleep(20 * MS)).unwrap();
    // Bounded by the join itself: worker 0 is not free before it has come back.
    woke.join_by(soon())
        .unwrap_or_else(|_| panic!("a sleeper on another worker is stuck"))
        .unwrap()
        .unwrap();
    release.store(true, Ordering::Relaxed);
    blocker.unwrap().join().unwrap();
}

#[test]
fn a_loop_of_yields_starves_neither_fds_nor_timers() {
    init();
    let stop = Arc::new(AtomicBool::new(false));
    let spinners: Vec<_> = (0..rt::worker_count())
        .map(|worker| {
            let stop = stop.clone();
            let spin = move || {
                while !stop.load(Ordering::Relaxed) {
                    rt::yield_now();
                }
            };
            Builder::new().worker(worker).spawn(spin).unwrap()
        })
        .collect();
    let listener =
        Listener::bind(&"127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().clone();
    let server = rt::spawn(move || {
        let stream = listener.accept_by(soon()).unwrap();
        let mut byte = [0];
        while stream.read_by(&mut byte, soon()).unwrap() == 1 {
            stream.write_all_by(&byte, soon()).unwrap();
        }
    })
    .unwrap();
    let client = Stream::connect_by(&addr, soon()).unwrap();
    for round in 0..50u8 {
        client.write_all_by(&[round], Deadline::after(2000 * MS)).unwrap();
        let mut byte = [0];
        client.read_exact_by(&mut byte, Deadline::after(2000 * MS)).unwrap();
        assert_eq!(byte[0], round);
    }
    let sleeper = rt::spawn(|| rt::sleep(5 * MS)).unwrap();
    assert!(sleeper.join_by(Deadline::after(2000 * MS)).is_ok(), "a timer starved");
    client.close();
    server.join().unwrap();
    stop.store(true, Ordering::Relaxed);
    for spinner in spinners {
        spinner.join().unwrap();
    }
}

#[test]
fn errno_and_thread_locals_are_the_coroutines_own_across_a_wait() {
    thread_local! { static SLOT: Cell<usize> = const { Cell::new(0) } }
    fn errno() -> libc::c_int {
        std::io::Error::last_os_error().raw_os_error().unwrap()
    }
    fn set_errno(value: libc::c_int) {
        // SAFETY: the calling thread's own errno.
        unsafe { *libc::__errno_location() = value };
    }
    init();
    let handles: Vec<_> = (0..16)
        .map(|index| {
            rt::spawn(move || {
                SLOT.set(7);
                for round in 0..50 {
                    set_errno(1000 + index);
                    if round % 2 == 0 {
                        rt::yield_now();
                    } else {
                        rt::sleep(Duration::from_micros(20)).unwrap();
                    }
                    assert_eq!(errno(), 1000 + index);
                    assert_eq!(SLOT.get(), 7, "all coroutines of a worker share its locals");
                }
            })
            .unwrap()
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
}

#[test]
fn a_recursive_mutex_locked_before_a_wait_can_be_unlocked_after_it() {
    in_coroutine(|| {
        let mut mutex = libc::PTHREAD_RECURSIVE_MUTEX_INITIALIZER_NP;
        // SAFETY: an initialised mutex that stays where it is.
        assert_eq!(unsafe { libc::pthread_mutex_lock(&mut mutex) }, 0);
        rt::sleep(MS).unwrap();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(&mut mutex) }, 0);
    });
}

#[test]
fn a_panic_ends_its_coroutine_alone_and_reaches_the_joiner() {
    init();
    let error = rt::spawn(|| panic!("told {}", 7)).unwrap().join().unwrap_err();
    assert!(error.is_panic());
    assert_eq!(error.to_string(), "the coroutine panicked: told 7");
    assert_eq!(rt::spawn(|| 1).unwrap().join().unwrap(), 1);
}

#[test]
fn options_of_a_coroutine_hold() {
    init();
    let current = Builder::new()
        .name("named")
        .stack_size(100_000)
        .worker(rt::worker_count() - 1)
        .spawn(|| (rt::current().unwrap(), rt::worker_index(), rt::is_coroutine()))
        .unwrap();
    let id = current.id();
    let (current, worker, inside) = current.join().unwrap();
    assert_eq!(current.name(), "named");
    assert_eq!(current.id(), id);
    assert_eq!(current.stack_size(), 102_400, "rounded up to pages");
    assert_eq!(worker, Some(rt::worker_count() - 1));
    assert!(inside);
    assert!(!rt::is_coroutine() && rt::current().is_none() && rt::worker_index().is_none());
    let missing = Builder::new().worker(rt::worker_count()).spawn(|| ()).unwrap_err();
    assert_eq!(missing.kind(), std::io::ErrorKind::InvalidInput);
    assert!(Builder::new().stack_size(usize::MAX).spawn(|| ()).is_err());
}

#[test]
fn a_deep_stack_is_allocated_where_requested() {
    fn deep(levels: usize) -> usize {
        let page = std::hint::black_box([1u8; 1024]);
        if levels == 0 { 0 } else { deep(levels - 1) + usize::from(page[levels % 1024]) }
    }
    init();
    let handle = Builder::new().stack_size(8 << 20).spawn(|| deep(2000)).unwrap();
    assert_eq!(handle.join().unwrap(), 2000);
}

#[test]
fn canceling_fails_the_wait_and_all_later_ones() {
    init();
    let started = Arc::new(AtomicBool::new(false));
    let handle = {
        let started = started.clone();
        rt::spawn(move || {
            started.store(true, Ordering::Relaxed);
            let first = rt::sleep(Duration::from_secs(100));
            let second = rt::sleep(Duration::from_secs(100));
            (first, second, rt::is_canceled())
        })
        .unwrap()
    };
    eventually("the coroutine runs", || started.load(Ordering::Relaxed));
    handle.cancel();
    let (first, second, canceled) = handle.join().unwrap();
    assert_eq!(first.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert_eq!(second.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert!(canceled);
    // The fiber's next task is not.
    assert!(in_coroutine(|| rt::sleep(MS).is_ok() && !rt::is_canceled()));
}

#[test]
fn a_join_with_a_deadline_returns_the_handle() {
    init();
    let handle = rt::spawn(|| rt::sleep(50 * MS).map(|()| 5)).unwrap();
    let handle = handle.join_by(Deadline::after(MS)).expect_err("too early");
    assert!(!handle.is_finished());
    assert_eq!(handle.join().unwrap().unwrap(), 5);
    let (inner, outer) = in_coroutine(|| {
        let handle = rt::spawn(|| rt::sleep(20 * MS)).unwrap();
        let handle = handle.join_by(Deadline::after(MS)).expect_err("too early");
        (handle.join().unwrap().is_ok(), true)
    });
    assert!(inner && outer);
}

#[test]
fn timers_fire_once_never_early_and_free_what_they_hold() {
    init();
    let fired = Arc::new(AtomicU64::new(0));
    let early = Arc::new(AtomicU64::new(0));
    let held = Arc::new(());
    let timers: Vec<_> = (0..500u64)
        .map(|index| {
            let delay = Duration::from_micros(index * 37 % 20_000);
            let due = Instant::now() + delay;
            let (fired, early, held) = (fired.clone(), early.clone(), held.clone());
            Timer::after(delay, move || {
                early.fetch_add(u64::from(Instant::now() < due), Ordering::Relaxed);
                assert_ne!(rt::current().unwrap().id(), 0, "0 is a plain thread");
                fired.fetch_add(1, Ordering::Relaxed);
                drop(held);
            })
            .unwrap()
        })
        .collect();
    eventually("all timers have fired", || fired.load(Ordering::Relaxed) == timers.len() as u64);
    assert_eq!(early.load(Ordering::Relaxed), 0);
    assert!(timers.iter().all(|timer| !timer.cancel()), "too late to cancel");
    drop(timers);
    eventually("all is freed", || Arc::strong_count(&held) == 1);
}

#[test]
fn a_canceled_timer_frees_what_it_holds_at_once_and_never_fires() {
    init();
    let held = Arc::new(AtomicBool::new(false));
    let timers: Vec<_> = (0..100)
        .map(|_| {
            let held = held.clone();
            let fire = move || held.store(true, Ordering::Relaxed);
            Timer::after(Duration::from_millis(200), fire).unwrap()
        })
        .collect();
    for timer in &timers {
        assert!(timer.cancel());
        assert!(!timer.cancel(), "only once");
    }
    assert_eq!(Arc::strong_count(&held), 1);
    in_coroutine(|| rt::sleep(Duration::from_millis(220)).unwrap());
    assert!(!held.load(Ordering::Relaxed));
}

#[test]
fn locals_are_per_coroutine_and_dropped_before_the_join_returns() {
    struct Counted(Arc<AtomicUsize>);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    static COUNTED: Key<Counted> = Key::new();
    static NAME: Key<String> = Key::new();
    init();
    let dropped = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..10)
        .map(|index| {
            let dropped = dropped.clone();
            rt::spawn(move || {
                assert!(NAME.get().is_none(), "nothing left of the fiber's last task");
                COUNTED.set(Counted(dropped.clone()));
                NAME.set(index.to_string());
                rt::sleep(MS).unwrap();
                assert_eq!(NAME.get().unwrap(), index.to_string());
                COUNTED.set(Counted(dropped));
            })
            .unwrap()
        })
        .collect();
    for handle in handles {
        handle.join().unwrap();
    }
    assert_eq!(dropped.load(Ordering::Relaxed), 20);
    NAME.set("thread".into());
    assert_eq!(NAME.take().as_deref(), Some("thread"));
}

#[test]
fn several_wait_on_one_fd_and_one_on_many() {
    init();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..20 {
        let (one, two) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.push(one);
        theirs.push(two);
    }
    use std::io::Write;
    use std::os::fd::AsRawFd;
    let fds: Vec<_> = ours.iter().map(AsRawFd::as_raw_fd).collect();
    let ready = AtomicUsize::new(0);
    let ready = Arc::new(ready);
    let many = {
        let (fds, ready) = (fds.clone(), ready.clone());
        rt::spawn(move || {
            let mut entries: Vec<_> = fds
                .iter()
                .map(|fd| libc::pollfd { fd: *fd, events: libc::POLLIN, revents: 0 })
                .collect();
            ready.fetch_add(1, Ordering::Relaxed);
            let count = rt::poll_fds(&mut entries, soon()).unwrap();
            (count, entries.iter().position(|entry| entry.revents != 0))
        })
        .unwrap()
    };
    let several: Vec<_> = (0..3)
        .map(|_| {
            let (fd, ready) = (fds[13], ready.clone());
            rt::spawn(move || {
                ready.fetch_add(1, Ordering::Relaxed);
                rt::wait_fd(fd, Interest::Read, soon()).unwrap()
            })
            .unwrap()
        })
        .collect();
    eventually("all wait", || ready.load(Ordering::Relaxed) == 4);
    theirs[13].write_all(b"x").unwrap();
    assert_eq!(many.join().unwrap(), (1, Some(13)));
    for handle in several {
        assert!(handle.join().unwrap() & libc::POLLIN != 0);
    }
    let nothing = {
        let fd = fds[0];
        in_coroutine(move || rt::wait_fd(fd, Interest::Read, Deadline::after(5 * MS)))
    };
    assert_eq!(nothing.unwrap_err().raw_os_error(), Some(libc::ETIMEDOUT));
}

#[test]
fn an_announced_close_wakes_the_waiters_with_ebadf() {
    init();
    use std::os::fd::AsRawFd;
    let (one, _two) = std::os::unix::net::UnixStream::pair().unwrap();
    let fd = one.as_raw_fd();
    let waiting = Arc::new(AtomicUsize::new(0));
    let handles: Vec<_> = (0..4)
        .map(|index| {
            let waiting = waiting.clone();
            Builder::new()
                .worker(index % rt::worker_count())
                .spawn(move || {
                    waiting.fetch_add(1, Ordering::Relaxed);
                    rt::wait_fd(fd, Interest::Read, soon())
                })
                .unwrap()
        })
        .collect();
    eventually("all wait", || waiting.load(Ordering::Relaxed) == 4);
    // The counter is set just before the wait; let those on other workers get there.
    rt::sleep(20 * MS).unwrap();
    rt::notify_close(fd);
    drop(one);
    for handle in handles {
        let error = handle.join().unwrap().unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}

#[test]
fn waits_on_bad_and_unpollable_fds_end_at_once() {
    in_coroutine(|| {
        let error = rt::wait_fd(999_999, Interest::Read, soon()).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        use std::os::fd::AsRawFd;
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert!(rt::wait_fd(file.as_raw_fd(), Interest::Read, soon()).is_ok());
    });
}

#[test]
fn an_uncancellable_section_waits_although_canceled() {
    let (before, within, after) = in_coroutine(|| {
        let handle = rt::spawn(|| {
            let first = rt::uncancellable(|| {
                rt::uncancellable(|| rt::sleep(MS)).expect("not canceled yet");
                // Canceled while it waits.
                rt::sleep(50 * MS)
            });
            let begin = Instant::now();
            let second = rt::uncancellable(|| rt::sleep(20 * MS)).map(|()| begin.elapsed());
            (first, second, rt::sleep(MS))
        })
        .unwrap();
        rt::sleep(10 * MS).unwrap();
        handle.cancel();
        handle.join().unwrap()
    });
    assert!(before.is_ok());
    assert!(within.expect("a section after the cancellation waits as well") >= 20 * MS);
    assert_eq!(after.unwrap_err().raw_os_error(), Some(libc::ECANCELED));
    assert!(rt::uncancellable(|| rt::sleep(MS)).is_ok(), "in a plain thread as well");
}

#[test]
fn ids_are_unique_and_many_coroutines_come_and_go() {
    init();
    let ids: HashSet<u64> = (0..20)
        .flat_map(|_| {
            let handles: Vec<_> =
                (0..500).map(|_| rt::spawn(|| rt::current().unwrap().id()).unwrap()).collect();
            handles.into_iter().map(|handle| handle.join().unwrap()).collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(ids.len(), 10_000);
}

#[test]
fn data_that_arrived_in_time_is_read_although_the_worker_was_busy() {
    in_time(1, 100 * MS);
}

#[test]
fn data_that_arrived_in_time_is_read_although_one_poll_does_not_return_all() {
    in_time(700, Duration::from_secs(2));
}

/// Sends `count` streams their bytes well before the deadline of `within`, while their worker runs
/// something else until after it.
fn in_time(count: usize, within: Duration) {
    use std::io::Write;
    init();
    raise_fd_limit(2 * count as u64 + 1000);
    let listener =
        Listener::bind(&"127.0.0.1:0".parse().unwrap(), &ListenOptions::default()).unwrap();
    let addr = listener.local_addr().to_string();
    let pairs: Vec<_> = (0..count)
        .map(|_| {
            let peer = std::net::TcpStream::connect(&addr).unwrap();
            (peer, Arc::new(listener.accept_by(soon()).unwrap()))
        })
        .collect();
    let read = Builder::new()
        .worker(0)
        .spawn(move || {
            let (mut peers, streams): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            for stream in &streams {
                // Registers the stream and waits once, so that only the wait below is left.
                assert!(stream.read_by(&mut [0; 8], Deadline::after(MS)).is_err());
            }
            let deadline = Deadline::after(within);
            let reading: Vec<_> = streams
                .into_iter()
                .map(|stream| {
                    rt::spawn(move || stream.read_by(&mut [0; 8], deadline)).expect("a coroutine")
                })
                .collect();
            // Each of them is in its wait after one turn.
            rt::yield_now();
            peers.iter_mut().for_each(|peer| peer.write_all(b"in time").unwrap());
            assert!(!deadline.has_passed(), "the machine is too slow for this test");
            // Nothing else runs on this worker until long after the deadline.
            std::thread::sleep(deadline.remaining().unwrap_or_default() + 100 * MS);
            reading.into_iter().map(|reading| reading.join().unwrap()).collect::<Vec<_>>()
        })
        .unwrap();
    let late = read.join().unwrap().into_iter().filter(|read| !matches!(read, Ok(7))).count();
    assert_eq!(late, 0, "of {count} reads");
}
