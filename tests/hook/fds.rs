//! The state of fds that hooks leave alone, and fds of other kinds.

use std::io::Write;

use fastrpc::hook::Guard;
use libc::{c_int, c_void};

use crate::support::*;

#[test]
fn flags_and_options_are_left_alone() {
    same("flags", || {
        let mut seen = Vec::new();
        let [a, b] = tcp_pair();
        let mut buffer = [0; 4];
        for on in [1, 0] {
            let on: c_int = on;
            // SAFETY: a number to read.
            seen.push(outcome(unsafe { libc::ioctl(a, libc::FIONBIO, &on) }));
            seen.push(format!("{:o}", flags(a)));
            // A duplicate shares the flags, and has its own FD_CLOEXEC.
            // SAFETY: fds of our own, here and below.
            for copy in unsafe {
                [
                    libc::dup(a),
                    libc::fcntl(a, libc::F_DUPFD_CLOEXEC, 100),
                    libc::dup3(a, 903, libc::O_CLOEXEC),
                ]
            } {
                // SAFETY: as above.
                let closes = unsafe { libc::fcntl(copy, libc::F_GETFD) };
                seen.push(format!("{} {:o} {closes}", copy >= 0, flags(copy)));
                if on == 1 {
                    seen.push(outcome(read(copy, &mut buffer) as i64));
                } else {
                    write(b, b"x");
                    seen.push(outcome(read(copy, &mut buffer) as i64));
                }
                close(copy);
            }
        }
        for option in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            set_timeout(a, option, 1_500);
            let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
            let mut size = size_of_val(&value) as libc::socklen_t;
            let place = (&raw mut value).cast();
            // SAFETY: a place for the option.
            unsafe { libc::getsockopt(a, libc::SOL_SOCKET, option, place, &mut size) };
            seen.push(format!("{}.{:06} {size}", value.tv_sec, value.tv_usec));
        }
        // SAFETY: fds of our own, or none.
        unsafe {
            seen.push(outcome(libc::dup3(a, a, 0)));
            seen.push(outcome(libc::dup3(a, b, 77)));
            seen.push(outcome(libc::dup2(987, b)));
            seen.push(outcome(libc::dup2(a, -1)));
            seen.push(outcome(libc::dup3(a, 1 << 30, 0)));
        }
        let mut waiting: c_int = 0;
        write(b, b"abc");
        // SAFETY: a place for the number.
        seen.push(outcome(unsafe { libc::ioctl(a, libc::FIONREAD, &mut waiting) }));
        seen.push(waiting.to_string());
        close_all([a, b]);
        seen
    });
}

#[test]
fn closing_a_duplicate_wakes_nobody() {
    let [a, b] = tcp_pair();
    // SAFETY: an fd of our own.
    let copy = unsafe { libc::dup(a) };
    let got = suspends(
        "read",
        move || {
            close(copy);
            std::thread::sleep(std::time::Duration::from_millis(20));
            assert_eq!(write(b, b"x"), 1);
        },
        move || read(a, &mut [0; 4]),
    );
    assert_eq!(got, 1);
    close_all([a, b]);
}

#[test]
fn a_child_program_reads_its_pipes() {
    let run = || {
        let mut cat = std::process::Command::new("cat")
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("starts");
        let mut input = cat.stdin.take().expect("piped");
        input.write_all(&[7; 10_000]).expect("written");
        drop(input);
        let output = cat.wait_with_output().expect("ends");
        (output.stdout.len(), output.status.success())
    };
    assert_eq!(run(), (10_000, true));
    assert_eq!(hooked(run), (10_000, true));
    let shown = hooked(move || {
        let _off = Guard::disabled();
        run()
    });
    assert_eq!(shown, (10_000, true));
}

#[test]
fn terminals_and_timers_suspend() {
    let (mut master, mut terminal) = (0, 0);
    let none = std::ptr::null_mut();
    // SAFETY: places for two fds.
    let made = unsafe {
        libc::openpty(&mut master, &mut terminal, none, std::ptr::null(), std::ptr::null())
    };
    assert_eq!(made, 0);
    let got = suspends(
        "read of a terminal",
        move || assert_eq!(write(master, b"line\n"), 5),
        move || {
            let mut buffer = [0; 16];
            (read(terminal, &mut buffer), buffer)
        },
    );
    assert_eq!((got.0, &got.1[..5]), (5, &b"line\n"[..]));
    close_all([master, terminal]);

    // SAFETY: makes a timer.
    let timer = unsafe { libc::timerfd_create(libc::CLOCK_MONOTONIC, 0) };
    // SAFETY: all-zero bytes are a valid time.
    let mut time: libc::itimerspec = unsafe { std::mem::zeroed() };
    time.it_value.tv_nsec = 60_000_000;
    let got = suspends(
        "read of a timer",
        || {},
        move || {
            let mut count = [0; 8];
            // SAFETY: a valid time.
            unsafe { libc::timerfd_settime(timer, 0, &time, std::ptr::null_mut()) };
            (read(timer, &mut count), u64::from_ne_bytes(count), flags(timer) & libc::O_NONBLOCK)
        },
    );
    assert_eq!(got, (8, 1, 0));
    close(timer);
}

#[test]
fn bad_pointers_are_errors() {
    same("bad pointers", || {
        let mut seen = Vec::new();
        let nowhere = 8 as *mut c_void;
        for make in
            [|| pair(libc::SOCK_STREAM), tcp_pair, pipe, || pair(libc::SOCK_DGRAM), udp_pair]
        {
            let [a, b] = make();
            let (reader, writer) =
                if flags(b) & libc::O_ACCMODE == libc::O_RDONLY { (b, a) } else { (a, b) };
            let part = libc::iovec { iov_base: nowhere, iov_len: 4 };
            write(writer, b"data");
            // SAFETY: the kernel checks what it is given.
            unsafe {
                seen.push(outcome(libc::read(reader, nowhere, 4) as i64));
                write(writer, b"data");
                seen.push(outcome(libc::readv(reader, &part, 1) as i64));
                write(writer, b"data");
                seen.push(outcome(libc::recv(reader, nowhere, 4, 0) as i64));
                seen.push(outcome(libc::write(writer, nowhere, 4) as i64));
                seen.push(outcome(libc::writev(writer, &part, 1) as i64));
                seen.push(outcome(libc::send(writer, nowhere, 4, 0) as i64));
                seen.push(outcome(libc::connect(writer, nowhere.cast(), SIZE)));
            }
            close_all([a, b]);
        }
        seen
    });
}

#[test]
fn poll_entries_may_be_bad_or_repeated() {
    same("poll", || {
        let [a, b] = pair(libc::SOCK_STREAM);
        let [r, w] = pipe();
        write(b, b"x");
        let mut seen = Vec::new();
        let mut ask = |list: &[(c_int, libc::c_short)], timeout| {
            let mut entries: Vec<_> =
                list.iter().map(|&(fd, events)| libc::pollfd { fd, events, revents: 77 }).collect();
            let count = entries.len() as libc::nfds_t;
            // SAFETY: valid entries.
            let found = unsafe { libc::poll(entries.as_mut_ptr(), count, timeout) };
            let bits: Vec<_> = entries.iter().map(|entry| entry.revents).collect();
            seen.push(format!("{} {bits:x?}", outcome(found)));
        };
        let both = libc::POLLIN | libc::POLLOUT;
        ask(&[(a, both), (a, libc::POLLIN), (-1, both), (-77, 0), (987, both)], 1000);
        ask(&[(r, both), (-1, both)], 10);
        ask(&[(r, 0), (w, libc::POLLOUT)], 1000);
        ask(&[(987, 0)], -1);
        ask(&[(a, libc::POLLPRI)], 10);
        ask(&[(a, 0), (r, 0)], 10);
        close(w);
        ask(&[(r, 0), (r, libc::POLLIN)], -1);
        shutdown(b, libc::SHUT_WR);
        ask(&[(a, libc::POLLRDHUP), (a, 0)], -1);
        close(b);
        ask(&[(a, 0)], -1);
        ask(&vec![(a, libc::POLLIN); 3000], -1);
        close_all([a, r]);
        seen
    });
}
