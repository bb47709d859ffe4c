//! The hooks' other names, and those that look hosts up: each is called by somebody.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use libc::{hostent, nfds_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec};

use crate::common::in_coroutine;
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
    fn gethostbyname(name: *const c_char) -> *mut hostent;
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent;
    fn gethostbyaddr(address: *const c_void, size: socklen_t, family: c_int) -> *mut hostent;
    fn gethostbyname_r(
        name: *const c_char,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn gethostbyname2_r(
        name: *const c_char,
        family: c_int,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn gethostbyaddr_r(
        address: *const c_void,
        address_size: socklen_t,
        family: c_int,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn __h_errno_location() -> *mut c_int;
}

#[test]
fn every_name_of_a_read_suspends() {
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
fn every_name_of_a_poll_suspends() {
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

/// More than the socket takes: the rest waits for the peer.
#[test]
fn every_name_of_a_write_suspends() {
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
fn the_other_name_of_connect_connects() {
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

/// A failure of the functions for hosts: their own error, which is the thread's.
fn h_error() -> c_int {
    // SAFETY: the location is valid as long as the thread runs.
    unsafe { *__h_errno_location() }
}

fn shown(entry: *const hostent) -> String {
    // SAFETY: NULL or an entry that was just made.
    let Some(entry) = (unsafe { entry.as_ref() }) else {
        return format!("none, {}", h_error());
    };
    // SAFETY: an entry has a name, and a list of addresses of its length that ends in NULL.
    unsafe {
        let mut text = format!("{:?} {}", CStr::from_ptr(entry.h_name), entry.h_addrtype);
        let mut next = entry.h_addr_list;
        while !(*next).is_null() {
            let bytes = std::slice::from_raw_parts((*next).cast::<u8>(), entry.h_length as usize);
            text += &format!(" {bytes:?}");
            next = next.add(1);
        }
        text
    }
}

/// Calls a function that fills a buffer of `size` bytes.
fn filled(
    size: usize,
    ask: impl Fn(*mut hostent, *mut c_char, *mut *mut hostent, *mut c_int) -> c_int,
) -> String {
    let mut buffer = vec![0; size];
    // SAFETY: all-zero bytes are a valid entry.
    let mut entry: hostent = unsafe { std::mem::zeroed() };
    let (mut result, mut error) = (std::ptr::null_mut(), 0);
    let code = ask(&mut entry, buffer.as_mut_ptr(), &mut result, &mut error);
    let own = result.is_null() || std::ptr::eq(result, &entry);
    let error = if code == 0 && !result.is_null() { 0 } else { error };
    let found = if result.is_null() { "none".to_owned() } else { shown(result) };
    format!("{code} {error} {own} {found}")
}

#[test]
fn hosts_by_all_names() {
    same("hosts", || {
        let mut seen = Vec::new();
        let localhost = [127u8, 0, 0, 1];
        let address = localhost.as_ptr().cast::<c_void>();
        for name in [c"localhost", c"127.0.0.1", c"::1", c"no such host", c""] {
            let text = name.as_ptr();
            // SAFETY: C strings, here and below.
            seen.push(shown(unsafe { gethostbyname(text) }));
            for family in [libc::AF_INET, libc::AF_INET6, 77] {
                // SAFETY: as above.
                seen.push(shown(unsafe { gethostbyname2(text, family) }));
                // SAFETY: places for the answer, here and below.
                seen.push(filled(4096, |entry, buffer, result, error| unsafe {
                    gethostbyname2_r(text, family, entry, buffer, 4096, result, error)
                }));
            }
            for size in [4096, 8] {
                // SAFETY: as above.
                seen.push(filled(size, |entry, buffer, result, error| unsafe {
                    gethostbyname_r(text, entry, buffer, size, result, error)
                }));
            }
        }
        for (size, family) in [(4, libc::AF_INET), (3, libc::AF_INET), (4, 77)] {
            // SAFETY: four bytes, of which no more are asked for, here and below.
            seen.push(shown(unsafe { gethostbyaddr(address, size, family) }));
            for room in [4096, 8] {
                // SAFETY: as above.
                seen.push(filled(room, |entry, buffer, result, error| unsafe {
                    gethostbyaddr_r(address, size, family, entry, buffer, room, result, error)
                }));
            }
        }
        seen
    });
}

fn name_of(address: &libc::sockaddr_in, size: socklen_t, room: [u32; 2], flags: c_int) -> String {
    let (mut host, mut service) = ([0 as c_char; 256], [0 as c_char; 64]);
    // SAFETY: an address, and places for the texts.
    let code = unsafe {
        let place = (&raw const *address).cast();
        let (h, s) = (host.as_mut_ptr(), service.as_mut_ptr());
        libc::getnameinfo(place, size, h, room[0], s, room[1], flags)
    };
    // SAFETY: texts with a NUL: the last byte is never written.
    let (host, service) =
        unsafe { (CStr::from_ptr(host.as_ptr()), CStr::from_ptr(service.as_ptr())) };
    if code == 0 { format!("{host:?} {service:?}") } else { code.to_string() }
}

#[test]
fn names_of_addresses() {
    same("getnameinfo", || {
        let mut address = loopback(80);
        let mut seen = Vec::new();
        for flags in [
            0,
            libc::NI_NUMERICHOST,
            libc::NI_NUMERICSERV,
            libc::NI_NUMERICHOST | libc::NI_NUMERICSERV,
            libc::NI_NAMEREQD,
            libc::NI_DGRAM,
        ] {
            seen.push(name_of(&address, SIZE, [255, 63], flags));
            // Places that are too small, or none.
            seen.push(name_of(&address, SIZE, [2, 63], flags));
            seen.push(name_of(&address, SIZE, [255, 1], flags));
            seen.push(name_of(&address, SIZE, [0, 0], flags));
            seen.push(name_of(&address, SIZE, [255, 0], flags));
            seen.push(name_of(&address, SIZE, [0, 63], flags));
        }
        seen.push(name_of(&address, 3, [255, 63], 0));
        seen.push(name_of(&address, SIZE, [255, 63], 1 << 30));
        address.sin_family = 77;
        seen.push(name_of(&address, SIZE, [255, 63], 0));
        seen
    });
}

#[test]
fn an_answer_is_the_coroutines_own_until_its_next() {
    let (first, second) = in_coroutine(|| {
        let ask = |name: &'static CStr| {
            fastrpc::rt::spawn(move || {
                let _hooked = fastrpc::hook::Guard::enabled();
                // SAFETY: a C string.
                let entry = unsafe { gethostbyname(name.as_ptr()) };
                fastrpc::rt::sleep(std::time::Duration::from_millis(20)).expect("not cancelled");
                shown(entry)
            })
            .expect("spawned")
        };
        let (first, second) = (ask(c"127.0.0.1"), ask(c"127.0.0.2"));
        (first.join().expect("ended"), second.join().expect("ended"))
    });
    assert!(
        first.contains("[127, 0, 0, 1]") && second.contains("[127, 0, 0, 2]"),
        "{first} {second}"
    );
}

/// The names and the blocked signals of this process's threads.
fn threads() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("listed");
    let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
    tasks
        .filter_map(|task| status(task.ok()?).ok())
        .filter_map(|status| {
            let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
            let blocked = u64::from_str_radix(field("SigBlk:\t")?, 16).ok()?;
            Some((field("Name:\t")?.to_owned(), blocked))
        })
        .collect()
}

fn bits(signals: impl IntoIterator<Item = c_int>) -> u64 {
    signals.into_iter().fold(0, |bits, signal| bits | 1 << (signal - 1))
}

/// All but a thread's own faults, and libc's two.
fn resolvers_block() -> u64 {
    let faults =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
    !bits(faults.into_iter().chain([libc::SIGKILL, libc::SIGSTOP, 32, 33]))
}

#[test]
fn no_signal_handler_runs_where_hosts_are_looked_up() {
    hooked(|| {
        // SAFETY: a C string.
        let _ = unsafe { gethostbyname(c"localhost".as_ptr()) };
    });
    let all = threads();
    let resolvers: Vec<_> =
        all.iter().filter(|(name, _)| name.starts_with("fastrpc-dns-")).collect();
    assert!(!resolvers.is_empty(), "{all:x?}");
    for (name, blocked) in resolvers {
        assert_eq!(*blocked, resolvers_block(), "{name} of {all:x?}");
    }
    // Where the program's code runs, handlers run as well.
    let (caller, worker) = (own_mask(), in_coroutine(own_mask));
    assert_eq!(worker, caller);
    assert_eq!(worker & resolvers_block(), 0);
}

#[test]
fn no_signal_handler_runs_where_our_own_calls_look_them_up() {
    let found = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = std::time::Instant::now();
            while !found.load(Ordering::Relaxed) && start.elapsed().as_secs() < 20 {
                let _ =
                    fastrpc::net::Addr::resolve("no-such-host.invalid:1", crate::common::soon());
            }
            assert!(found.load(Ordering::Relaxed), "no thread was seen that looks up");
        });
        crate::common::eventually("a thread looks up", || {
            let all = threads();
            let resolver = all.iter().find(|(name, _)| name == "fastrpc-dns");
            if let Some((_, blocked)) = resolver {
                found.store(true, Ordering::Relaxed);
                assert_eq!(*blocked, resolvers_block(), "{all:x?}");
            }
            resolver.is_some()
        });
    });
}

fn own_mask() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("read");
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"));
    u64::from_str_radix(blocked.expect("told"), 16).expect("a number")
}
