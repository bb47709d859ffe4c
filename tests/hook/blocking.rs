//! Blocking calls suspend the coroutine, and return what their man pages say.

use std::sync::mpsc;
use std::time::Duration;

use fastrpc::hook::Guard;
use fastrpc::rt;

use crate::common::{in_coroutine, init, soon};
use crate::support::*;

#[test]
fn reads_of_all_kinds_suspend() {
    for make in [|| pair(libc::SOCK_STREAM), || pair(libc::SOCK_DGRAM), tcp_pair, udp_pair, pipe] {
        let [a, b] = make();
        let (reader, writer) =
            if flags(b) & libc::O_ACCMODE == libc::O_RDONLY { (b, a) } else { (a, b) };
        let got = suspends(
            "read",
            move || assert_eq!(write(writer, b"hello"), 5),
            move || {
                let mut buffer = [0; 16];
                (read(reader, &mut buffer), buffer)
            },
        );
        assert_eq!((got.0, &got.1[..5]), (5, &b"hello"[..]));
        assert_eq!(flags(reader) & libc::O_NONBLOCK, 0);
        close_all([a, b]);
    }
}

#[test]
fn a_blocking_write_writes_everything() {
    const SIZE: usize = 4 << 20;
    for make in [|| pair(libc::SOCK_STREAM), tcp_pair, pipe] {
        let [reader, writer] = make();
        let (told, all) = mpsc::channel();
        let data: Vec<u8> = (0..SIZE).map(|i| (i * 7) as u8).collect();
        let sum: u64 = data.iter().map(|b| u64::from(*b)).sum();
        let sent = suspends(
            "write",
            move || drop(std::thread::spawn(move || told.send(sum_to_the_end(reader)))),
            move || {
                let half = SIZE / 2;
                let parts = [&data[half..half + 10], &data[half + 10..]].map(|part| libc::iovec {
                    iov_base: part.as_ptr().cast_mut().cast(),
                    iov_len: part.len(),
                });
                let first = write(writer, &data[..half]);
                // SAFETY: two valid parts.
                (first, unsafe { libc::writev(writer, parts.as_ptr(), 2) })
            },
        );
        assert_eq!(sent, ((SIZE / 2) as isize, (SIZE / 2) as isize));
        close(writer);
        assert_eq!(all.recv_timeout(Duration::from_secs(20)), Ok(sum));
        close(reader);
    }
}

fn sum_to_the_end(fd: std::os::fd::RawFd) -> u64 {
    let mut sum = 0;
    let mut buffer = vec![0; 70_000];
    loop {
        match read(fd, &mut buffer) {
            0 => break sum,
            got => sum += buffer[..got as usize].iter().map(|b| u64::from(*b)).sum::<u64>(),
        }
    }
}

#[test]
fn waitall_waits_for_all() {
    let [a, b] = tcp_pair();
    let got = suspends(
        "recv",
        move || {
            for _ in 0..10 {
                write(b, &[1; 100]);
                std::thread::sleep(Duration::from_millis(5));
            }
        },
        move || recv(a, &mut [0; 1000], libc::MSG_WAITALL),
    );
    assert_eq!(got, 1000);
    close_all([a, b]);
}

#[test]
fn an_error_after_a_partial_send_is_for_the_next_call() {
    let got = hooked(|| {
        let [a, b] = tcp_pair();
        let linger = libc::linger { l_onoff: 1, l_linger: 0 };
        let peer = later(move || {
            write(b, b"part");
            std::thread::sleep(Duration::from_millis(50));
            let size = size_of_val(&linger) as libc::socklen_t;
            let value = (&raw const linger).cast();
            // SAFETY: a valid option. To close is to reset now.
            unsafe { libc::setsockopt(b, libc::SOL_SOCKET, libc::SO_LINGER, value, size) };
            close(b);
        });
        let first = recv(a, &mut [0; 100], libc::MSG_WAITALL);
        let second = recv(a, &mut [0; 100], 0);
        let code = errno();
        let _off = Guard::disabled();
        peer.join().unwrap();
        close(a);
        (first, second, code)
    });
    assert_eq!(got, (4, -1, libc::ECONNRESET));
}

#[test]
fn accept_and_connect_suspend() {
    let (listener, address) = inet(libc::SOCK_STREAM);
    // SAFETY: a socket of our own, here and below.
    unsafe { libc::listen(listener, 8) };
    let accepted = suspends(
        "accept",
        move || {
            let fd = tcp();
            assert_eq!(connect(fd, &address), 0);
            close(fd);
        },
        move || {
            let mut peer = loopback(0);
            let mut size = SIZE;
            // SAFETY: a place for an address.
            let fd = unsafe { libc::accept(listener, (&raw mut peer).cast(), &mut size) };
            (fd, size)
        },
    );
    assert!(accepted.0 >= 0 && accepted.1 == SIZE);
    assert_eq!(flags(listener) & libc::O_NONBLOCK, 0);
    let connected = hooked(move || {
        let fd = tcp();
        let result = connect(fd, &address);
        let blocking = flags(fd) & libc::O_NONBLOCK == 0;
        close(fd);
        (result, blocking)
    });
    assert_eq!(connected, (0, true));
    close_all([listener, accepted.0]);
}

#[test]
fn connect_obeys_the_send_timeout() {
    // A listener with a full backlog answers nobody.
    let (listener, address) = inet(libc::SOCK_STREAM);
    // SAFETY: a socket of our own, here and below.
    unsafe { libc::listen(listener, 0) };
    let mut fill = Vec::new();
    for _ in 0..4 {
        let fd = tcp();
        set_nonblocking(fd, true);
        connect(fd, &address);
        fill.push(fd);
    }
    let ended = suspends(
        "connect",
        || {},
        move || {
            let fd = tcp();
            set_timeout(fd, libc::SO_SNDTIMEO, 80);
            let result = connect(fd, &address);
            let code = errno();
            close(fd);
            (result, code)
        },
    );
    assert_eq!(ended, (-1, libc::EINPROGRESS));
    close_all(fill);
    close(listener);
}

#[test]
fn close_wakes_waiters() {
    init();
    for by_thread in [false, true] {
        let [a, b] = tcp_pair();
        let reader = rt::spawn(move || {
            let _hooked = Guard::enabled();
            (read(a, &mut [0; 4]), errno())
        });
        if by_thread {
            later(move || close_all([a])).join().unwrap();
        } else {
            in_coroutine(move || {
                rt::sleep(Duration::from_millis(30)).unwrap();
                assert_eq!(close(a), 0);
            });
        }
        let ended = reader.unwrap().join_by(soon()).expect("it ended").unwrap();
        assert_eq!(ended, (-1, libc::EBADF), "by a thread: {by_thread}");
        close(b);
    }
}

#[test]
fn dup2_over_an_fd_wakes_its_waiters() {
    init();
    let [a, b] = tcp_pair();
    let [c, d] = pipe();
    let reader = rt::spawn(move || {
        let _hooked = Guard::enabled();
        (read(a, &mut [0; 4]), errno())
    });
    // SAFETY: fds of our own.
    later(move || assert_eq!(unsafe { libc::dup2(c, a) }, a)).join().unwrap();
    let ended = reader.unwrap().join_by(soon()).expect("it ended").unwrap();
    assert_eq!(ended, (-1, libc::EBADF));
    close_all([a, b, c, d]);
}

#[test]
fn a_half_close_wakes_a_reader() {
    let [a, b] = tcp_pair();
    assert_eq!(
        suspends(
            "read",
            move || assert_eq!(shutdown(a, libc::SHUT_RD), 0),
            move || read(a, &mut [0; 4])
        ),
        0
    );
    close_all([a, b]);
}

#[test]
fn a_canceled_call_fails() {
    init();
    let [a, b] = pair(libc::SOCK_STREAM);
    let coroutine = rt::spawn(move || {
        let _hooked = Guard::enabled();
        let read = (read(a, &mut [0; 4]), errno());
        let mut entry = libc::pollfd { fd: a, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        let polled = (unsafe { libc::poll(&mut entry, 1, -1) }, errno());
        // SAFETY: takes any number.
        let slept = (unsafe { libc::usleep(60_000_000) }, errno());
        // A call that need not wait succeeds.
        (read, polled, slept, write(a, b"x"))
    })
    .unwrap();
    std::thread::sleep(Duration::from_millis(30));
    coroutine.cancel();
    let ended = coroutine.join_by(soon()).expect("it ended").unwrap();
    assert_eq!(ended, ((-1, libc::ECANCELED), (-1, libc::ECANCELED), (-1, libc::EINTR), 1));
    close_all([a, b]);
}
