//! Sleeping and waiting for several fds, by many coroutines of one worker.

use std::time::{Duration, Instant};

use fastrpc::hook::Guard;
use fastrpc::rt;

use crate::common::init;
use crate::support::*;

#[test]
fn sleeps_suspend_and_last_long_enough() {
    let zero = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    for kind in 0..5 {
        let (result, time) = suspends(
            "a sleep",
            || {},
            move || {
                elapsed(|| {
                    let time = libc::timespec { tv_sec: 0, tv_nsec: 50_000_000 };
                    let mut now = zero;
                    let null = std::ptr::null_mut();
                    // SAFETY: valid times, here and below.
                    unsafe {
                        match kind {
                            0 => libc::usleep(50_000),
                            1 => libc::nanosleep(&time, null),
                            2 => libc::clock_nanosleep(libc::CLOCK_REALTIME, 0, &time, null),
                            3 => libc::poll(std::ptr::null_mut(), 0, 50),
                            _ => {
                                libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut now);
                                let mut then = now;
                                then.tv_nsec += 50_000_000;
                                then.tv_sec += then.tv_nsec / 1_000_000_000;
                                then.tv_nsec %= 1_000_000_000;
                                let flags = libc::TIMER_ABSTIME;
                                libc::clock_nanosleep(libc::CLOCK_MONOTONIC, flags, &then, null)
                            }
                        }
                    }
                })
            },
        );
        assert_eq!(result, 0);
        assert!(time >= Duration::from_millis(50), "{kind}: {time:?}");
    }
}

#[test]
fn many_sleep_at_a_time_on_one_thread() {
    init();
    let start = Instant::now();
    let sleepers: Vec<_> = (0..200)
        .map(|_| {
            rt::spawn(|| {
                let _hooked = Guard::enabled();
                // SAFETY: takes any number, here and below.
                let before = unsafe { libc::gettid() };
                // SAFETY: as above.
                let slept = unsafe { libc::usleep(100_000) };
                // SAFETY: as above.
                slept == 0 && before == unsafe { libc::gettid() }
            })
            .unwrap()
        })
        .collect();
    for sleeper in sleepers {
        assert!(sleeper.join().unwrap());
    }
    // One after the other they would take 20 seconds.
    assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
}

#[test]
fn poll_select_and_epoll_wait() {
    for kind in 0..7 {
        let [a, b] = pair(libc::SOCK_STREAM);
        let found = suspends(
            "a wait for several",
            move || assert_eq!(write(b, b"x"), 1),
            move || {
                let mut entries =
                    [-1, a].map(|fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 });
                let time = libc::timespec { tv_sec: 20, tv_nsec: 0 };
                // SAFETY: all-zero bytes are valid, here and below; valid pointers.
                unsafe {
                    let mut mask: libc::sigset_t = std::mem::zeroed();
                    libc::sigemptyset(&mut mask);
                    let mut set: libc::fd_set = std::mem::zeroed();
                    libc::FD_SET(a, &mut set);
                    match kind {
                        0 => libc::poll(entries.as_mut_ptr(), 2, 20_000),
                        1 => libc::ppoll(entries.as_mut_ptr(), 2, &time, std::ptr::null()),
                        2 => libc::ppoll(entries.as_mut_ptr(), 2, &time, &mask),
                        3 => libc::select(
                            a + 1,
                            &mut set,
                            std::ptr::null_mut(),
                            std::ptr::null_mut(),
                            std::ptr::null_mut(),
                        ),
                        _ => {
                            let epoll = libc::epoll_create1(0);
                            let mut event =
                                libc::epoll_event { events: libc::EPOLLIN as u32, u64: 9 };
                            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, a, &mut event);
                            event.u64 = 0;
                            let found = match kind {
                                4 => libc::epoll_wait(epoll, &mut event, 1, -1),
                                5 => epoll_pwait2(epoll, &mut event, 1, &time, std::ptr::null()),
                                _ => epoll_pwait2(epoll, &mut event, 1, &time, &mask),
                            };
                            close(epoll);
                            if event.u64 == 9 { found } else { -2 }
                        }
                    }
                }
            },
        );
        assert_eq!(found, 1, "{kind}");
        close_all([a, b]);
    }
}

unsafe extern "C" {
    fn epoll_pwait2(
        epoll: libc::c_int,
        events: *mut libc::epoll_event,
        count: libc::c_int,
        timeout: *const libc::timespec,
        mask: *const libc::sigset_t,
    ) -> libc::c_int;
}

#[test]
fn epoll_pwait2_counts_in_nanoseconds() {
    same("epoll_pwait2", || {
        // SAFETY: takes flags.
        let epoll = unsafe { libc::epoll_create1(0) };
        let mut event = libc::epoll_event { events: 0, u64: 0 };
        let mut wait = |fd, tv_nsec| {
            let time = libc::timespec { tv_sec: 0, tv_nsec };
            // SAFETY: a place for an event, a valid time.
            let result = unsafe { epoll_pwait2(fd, &mut event, 1, &time, std::ptr::null()) };
            outcome(result)
        };
        let (timed_out, time) = elapsed(|| wait(epoll, 1_500_000));
        assert!(time >= Duration::from_micros(1500), "{time:?}");
        let steps = vec![
            timed_out,
            wait(epoll, 0),
            wait(epoll, 1_000_000_000),
            wait(epoll, -1),
            wait(-1, 0),
        ];
        close(epoll);
        steps
    });
}

#[test]
fn recvmmsg_waits_for_all() {
    let [a, b] = udp_pair();
    let got = suspends(
        "recvmmsg",
        move || {
            for i in 0..8u8 {
                write(b, &[i; 3]);
            }
        },
        move || {
            let mut buffers = [[0u8; 8]; 8];
            let mut parts = buffers.each_mut().map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            });
            // SAFETY: all-zero bytes are valid messages.
            let mut messages: [libc::mmsghdr; 8] = unsafe { std::mem::zeroed() };
            for (message, part) in messages.iter_mut().zip(&mut parts) {
                message.msg_hdr.msg_iov = part;
                message.msg_hdr.msg_iovlen = 1;
            }
            // SAFETY: eight valid messages.
            let got =
                unsafe { libc::recvmmsg(a, messages.as_mut_ptr(), 8, 0, std::ptr::null_mut()) };
            (got, messages.map(|message| message.msg_len), buffers.map(|buffer| buffer[0]))
        },
    );
    assert_eq!(got, (8, [3; 8], [0, 1, 2, 3, 4, 5, 6, 7]));
    close_all([a, b]);
}
