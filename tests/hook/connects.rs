//! connect(2) and accept(2), above all where they fail or wait.

use std::sync::atomic::{AtomicUsize, Ordering};

use libc::c_int;

use crate::support::*;

#[test]
fn listening_sockets() {
    same("listening", || {
        let (listener, address) = inet(libc::SOCK_STREAM);
        let mut seen = Vec::new();
        let mut buffer = [0; 4];
        // SAFETY: sockets of our own, here and below.
        unsafe {
            seen.push(outcome(libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut())));
            seen.push(outcome(libc::listen(listener, 4)));
        }
        seen.push(outcome(read(listener, &mut buffer) as i64));
        seen.push(outcome(recv(listener, &mut buffer, libc::MSG_WAITALL) as i64));
        seen.push(outcome(send(listener, b"x", 0) as i64));
        seen.push(outcome(connect(listener, &address)));
        let client = tcp();
        seen.push(outcome(connect(client, &address)));
        seen.push(outcome(connect(client, &address)));
        // SAFETY: no address is asked for, here and below.
        let accept_with = |flags| unsafe {
            libc::accept4(listener, std::ptr::null_mut(), std::ptr::null_mut(), flags)
        };
        seen.push(outcome(accept_with(1)));
        let fd = accept_with(libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC);
        // SAFETY: asks for flags.
        seen.push(format!("{} {:o} {}", fd >= 0, flags(fd), unsafe {
            libc::fcntl(fd, libc::F_GETFD)
        }));
        set_nonblocking(listener, true);
        seen.push(outcome(accept_with(0)));
        set_nonblocking(listener, false);
        // An address is truncated to a smaller buffer, and its full size returned.
        let second = tcp();
        seen.push(outcome(connect(second, &address)));
        let (mut place, mut size) = ([9u8; 16], 4);
        // SAFETY: a place of four bytes.
        let other = unsafe { libc::accept(listener, place.as_mut_ptr().cast(), &mut size) };
        seen.push(format!("{} {size} {:?} {:o}", other >= 0, &place[4..], flags(other)));
        set_timeout(listener, libc::SO_RCVTIMEO, 20);
        seen.push(outcome(accept_with(0)));
        seen.push(outcome(shutdown(listener, libc::SHUT_RD)));
        seen.push(outcome(accept_with(0)));
        seen.push(outcome(connect(tcp(), &address)));
        close_all([listener, client, second, fd, other]);
        seen
    });
    let (listener, _) = inet(libc::SOCK_STREAM);
    // SAFETY: a socket of our own.
    unsafe { libc::listen(listener, 4) };
    let ended = suspends(
        "accept",
        move || assert_eq!(shutdown(listener, libc::SHUT_RD), 0),
        move || (accept(listener), errno()),
    );
    assert_eq!(ended, (-1, libc::EINVAL));
    close(listener);
}

#[test]
fn connects_that_fail() {
    same("connects", || {
        let mut seen = Vec::new();
        let mut everybody = loopback(9);
        everybody.sin_addr.s_addr = u32::MAX;
        let mut wrong = loopback(9);
        wrong.sin_family = 77;
        for address in [everybody, wrong] {
            let fd = tcp();
            seen.push(outcome(connect(fd, &address)));
            close(fd);
        }
        // connect(2) may be repeated until the fd is connected.
        let (listener, somebody) = inet(libc::SOCK_STREAM);
        let fd = tcp();
        for _ in 0..3 {
            seen.push(outcome(connect(fd, &somebody)));
        }
        // SAFETY: a socket of our own.
        unsafe { libc::listen(listener, 4) };
        for _ in 0..2 {
            seen.push(format!("{} {}", outcome(connect(fd, &somebody)), error_of(fd)));
        }
        close_all([fd, listener]);
        // To a closed port, without waiting: the error is reported once.
        let (gone, nobody) = inet(libc::SOCK_STREAM);
        close(gone);
        let fd = tcp();
        set_nonblocking(fd, true);
        seen.push(outcome(connect(fd, &nobody)));
        let mut entry = libc::pollfd { fd, events: libc::POLLOUT, revents: 0 };
        // SAFETY: one valid entry.
        seen.push(outcome(unsafe { libc::poll(&mut entry, 1, 5000) }));
        seen.push(format!("{:x} {} {}", entry.revents, error_of(fd), error_of(fd)));
        seen.push(outcome(connect(fd, &nobody)));
        close(fd);
        seen
    });
}

/// A listener that nobody accepts from, with a full backlog.
#[test]
fn a_connect_times_out_as_tcp_does() {
    same("TCP_USER_TIMEOUT", || {
        let (listener, address) = inet(libc::SOCK_STREAM);
        // SAFETY: a socket of our own.
        unsafe { libc::listen(listener, 0) };
        let fill: Vec<_> = (0..4)
            .map(|_| {
                let fd = tcp();
                set_nonblocking(fd, true);
                connect(fd, &address);
                fd
            })
            .collect();
        let fd = tcp();
        let millis: c_int = 300;
        let (value, size) = ((&raw const millis).cast(), size_of::<c_int>() as libc::socklen_t);
        // SAFETY: a valid option.
        unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT, value, size) };
        let seen = vec![outcome(connect(fd, &address)), outcome(write(fd, b"x") as i64)];
        close_all(fill);
        close_all([fd, listener]);
        seen
    });
}

fn error_of(fd: c_int) -> c_int {
    let (mut value, mut size): (c_int, _) = (-1, size_of::<c_int>() as libc::socklen_t);
    let place = (&raw mut value).cast();
    // SAFETY: a place for the number.
    unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_ERROR, place, &mut size) };
    value
}

/// Returns a listening Unix socket with a full backlog, its address, and the socket that fills it.
fn full_unix_listener() -> (c_int, libc::sockaddr_un, c_int) {
    static NUMBER: AtomicUsize = AtomicUsize::new(0);
    // SAFETY: all-zero bytes are a valid address.
    let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    // In the abstract namespace: no file is left over.
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("\0fastrpc-test-{}-{number}", std::process::id());
    for (place, byte) in address.sun_path.iter_mut().zip(name.bytes()) {
        *place = byte as _;
    }
    let size = size_of_val(&address) as libc::socklen_t;
    // SAFETY: a socket of our own, and a valid address.
    let listener = unsafe {
        let listener = libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0);
        assert_eq!(libc::bind(listener, (&raw const address).cast(), size), 0);
        assert_eq!(libc::listen(listener, 0), 0);
        listener
    };
    let fill = unix();
    assert_eq!(connect_unix(fill, &address), 0);
    (listener, address, fill)
}

fn unix() -> c_int {
    // SAFETY: makes a socket.
    unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) }
}

fn connect_unix(fd: c_int, address: &libc::sockaddr_un) -> c_int {
    let size = size_of_val(address) as libc::socklen_t;
    // SAFETY: a valid address.
    unsafe { libc::connect(fd, (&raw const *address).cast(), size) }
}

#[test]
fn connect_waits_for_a_full_unix_listener() {
    same("full queue", || {
        let (listener, address, fill) = full_unix_listener();
        let fd = unix();
        set_timeout(fd, libc::SO_SNDTIMEO, 30);
        let (timed_out, time) = elapsed(|| outcome(connect_unix(fd, &address)));
        set_nonblocking(fd, true);
        let at_once = outcome(connect_unix(fd, &address));
        close(listener);
        let gone = outcome(connect_unix(fd, &address));
        close_all([fd, fill]);
        vec![format!("{timed_out} {}", time.as_millis() >= 30), at_once, gone]
    });
    let (listener, address, fill) = full_unix_listener();
    let connected = suspends(
        "connect",
        move || close_all([accept(listener)]),
        move || {
            let fd = unix();
            (connect_unix(fd, &address), close(fd))
        },
    );
    assert_eq!(connected, (0, 0));
    close_all([listener, fill]);
}
