//! The other names of hooks: glibc's internal ones, and those of `_FORTIFY_SOURCE`.

use std::ffi::{c_int, c_void};

use libc::{nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec};

use crate::support::*;

unsafe extern "C" {
    fn __read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t;
    fn __read_chk(fd: c_int, buffer: *mut c_void, size: size_t, room: size_t) -> ssize_t;
    fn __recv_chk(
        fd: c_int,
        buffer: *mut c_void,
        size: size_t,
        room: size_t,
        flags: c_int,
    ) -> ssize_t;
    fn __recvfrom_chk(
        fd: c_int,
        buffer: *mut c_void,
        size: size_t,
        room: size_t,
        flags: c_int,
        address: *mut sockaddr,
        address_size: *mut socklen_t,
    ) -> ssize_t;
    fn __poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    fn __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int;
    fn __ppoll_chk(
        fds: *mut pollfd,
        count: nfds_t,
        timeout: *const timespec,
        mask: *const sigset_t,
        room: size_t,
    ) -> c_int;
    fn __write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t;
    fn __send(fd: c_int, buffer: *const c_void, size: size_t, flags: c_int) -> ssize_t;
    fn __connect(fd: c_int, address: *const sockaddr, size: socklen_t) -> c_int;
    fn __close(fd: c_int) -> c_int;
}

#[test]
fn every_alias_of_read_suspends() {
    for kind in 0..6 {
        let [a, b] = pair(libc::SOCK_STREAM);
        let got = suspends(
            "a read",
            move || assert_eq!(write(b, b"hello"), 5),
            move || {
                let mut buffer = [0u8; 8];
                let place = buffer.as_mut_ptr().cast::<c_void>();
                let part = libc::iovec { iov_base: place, iov_len: 8 };
                let none = std::ptr::null_mut();
                // SAFETY: eight writable bytes.
                let got = unsafe {
                    match kind {
                        0 => __read(a, place, 8),
                        1 => __read_chk(a, place, 8, 8),
                        2 => __recv_chk(a, place, 8, 8, 0),
                        3 => __recvfrom_chk(a, place, 8, 8, 0, none, none.cast()),
                        4 => libc::readv(a, &part, 1),
                        _ => {
                            let mut message: libc::msghdr = std::mem::zeroed();
                            message.msg_iov = (&raw const part).cast_mut();
                            message.msg_iovlen = 1;
                            libc::recvmsg(a, &mut message, 0)
                        }
                    }
                };
                (got, buffer)
            },
        );
        assert_eq!(got, (5, *b"hello\0\0\0"), "{kind}");
        close_all([a, b]);
    }
}

#[test]
fn every_alias_of_poll_suspends() {
    for kind in 0..7 {
        let [a, b] = pair(libc::SOCK_STREAM);
        let found = suspends(
            "a poll",
            move || assert_eq!(write(b, b"x"), 1),
            move || {
                let mut entry = pollfd { fd: a, events: libc::POLLIN, revents: 0 };
                let room = size_of::<pollfd>();
                let time = timespec { tv_sec: 20, tv_nsec: 0 };
                let none = std::ptr::null_mut();
                // SAFETY: valid entries, sets, times and masks.
                unsafe {
                    let mut mask: sigset_t = std::mem::zeroed();
                    libc::sigemptyset(&mut mask);
                    let mut set: libc::fd_set = std::mem::zeroed();
                    libc::FD_SET(a, &mut set);
                    match kind {
                        0 => __poll(&mut entry, 1, 20_000),
                        1 => __poll_chk(&mut entry, 1, 20_000, room),
                        2 => __ppoll_chk(&mut entry, 1, &time, std::ptr::null(), room),
                        3 => libc::pselect(a + 1, &mut set, none, none, &time, std::ptr::null()),
                        4 => libc::pselect(a + 1, &mut set, none, none, &time, &mask),
                        _ => {
                            let epoll = libc::epoll_create1(0);
                            let mut event =
                                libc::epoll_event { events: libc::EPOLLIN as u32, u64: 9 };
                            libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, a, &mut event);
                            let mask = if kind == 5 { std::ptr::null() } else { &raw const mask };
                            let found = libc::epoll_pwait(epoll, &mut event, 1, 20_000, mask);
                            __close(epoll);
                            found
                        }
                    }
                }
            },
        );
        assert_eq!(found, 1, "{kind}");
        close_all([a, b]);
    }
}

/// More bytes than the socket takes: the call waits for the peer.
#[test]
fn every_alias_of_write_suspends() {
    const LENGTH: usize = 16 << 20;
    for kind in 0..6 {
        let [a, b] = tcp_pair();
        let peer = move || {
            std::thread::spawn(move || {
                let mut buffer = vec![0; 1 << 16];
                while read(b, &mut buffer) > 0 {}
                close(b);
            });
        };
        let sent = suspends("a write", peer, move || {
            let data = vec![7u8; LENGTH];
            let place = data.as_ptr().cast::<c_void>();
            let mut part = libc::iovec { iov_base: place.cast_mut(), iov_len: LENGTH };
            // SAFETY: readable bytes, valid messages, no address.
            unsafe {
                let mut message: libc::mmsghdr = std::mem::zeroed();
                (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (&mut part, 1);
                match kind {
                    0 => __write(a, place, LENGTH),
                    1 => __send(a, place, LENGTH, 0),
                    2 => libc::sendto(a, place, LENGTH, 0, std::ptr::null(), 0),
                    3 => libc::sendmsg(a, &message.msg_hdr, 0),
                    4 => libc::writev(a, &part, 1),
                    _ => match libc::sendmmsg(a, &mut message, 1, 0) {
                        1 => message.msg_len as isize,
                        failed => failed as isize,
                    },
                }
            }
        });
        assert_eq!(sent, LENGTH as isize, "{kind}");
        close(a);
    }
}

#[test]
fn the_alias_of_connect_connects() {
    let (listener, address) = inet(libc::SOCK_STREAM);
    // SAFETY: a socket of our own.
    unsafe { libc::listen(listener, 1) };
    let connected = hooked(move || {
        let fd = tcp();
        // SAFETY: a valid address.
        let result = unsafe { __connect(fd, (&raw const address).cast(), SIZE) };
        (result, flags(fd) & libc::O_NONBLOCK, write(fd, b"x"), close(fd))
    });
    assert_eq!(connected, (0, 0, 1, 0));
    close(listener);
}
