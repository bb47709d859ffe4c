//! What sockets are asked for beside reading and writing: addresses, many messages at a time, files,
//! urgent bytes, signals, ends; in a plain thread and in a hooked coroutine.

use std::cell::Cell;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use fastrpc::hook::Guard;
use libc::{c_int, c_void, sockaddr_in};

use crate::cases::init;
use crate::support::*;

fn send_to(fd: c_int, bytes: &[u8], to: &sockaddr_in) -> isize {
    let (buffer, address) = (bytes.as_ptr().cast::<c_void>(), (&raw const *to).cast());
    // SAFETY: readable for its length, a valid address.
    unsafe { libc::sendto(fd, buffer, bytes.len(), 0, address, SIZE) }
}

/// What came, from whom, and how many bytes their address has.
fn receive_from(fd: c_int, buffer: &mut [u8], flags: c_int) -> (isize, u16, libc::socklen_t) {
    let (mut from, mut size) = (loopback(0), SIZE);
    let (room, place) = (buffer.len(), buffer.as_mut_ptr().cast::<c_void>());
    // SAFETY: writable for its length, a place for an address.
    let got = unsafe { libc::recvfrom(fd, place, room, flags, (&raw mut from).cast(), &mut size) };
    (got, from.sin_port, size)
}

#[test]
fn datagrams_have_addresses() {
    same("addresses", || {
        let ((a, at_a), (b, at_b)) = (inet(libc::SOCK_DGRAM), inet(libc::SOCK_DGRAM));
        set_timeout(b, libc::SO_RCVTIMEO, 20);
        let mut buffer = [0; 16];
        let mut seen = Vec::new();
        for (bytes, flags) in [
            (&b"eight by"[..], 0),
            (&b""[..], 0),
            (&b"far more than sixteen"[..], 0),
            (&b"far more than sixteen"[..], libc::MSG_TRUNC),
            (&b"once more"[..], libc::MSG_PEEK),
            (&b"all of it"[..], libc::MSG_WAITALL),
        ] {
            seen.push(outcome(send_to(a, bytes, &at_b) as i64));
            let (got, port, size) = receive_from(b, &mut buffer, flags);
            let known = port == at_a.sin_port;
            seen.push(format!("{} {known} {size} {buffer:?}", outcome(got as i64)));
        }
        // The one that was looked at, then none.
        seen.push(outcome(receive_from(b, &mut buffer, 0).0 as i64));
        seen.push(outcome(receive_from(b, &mut buffer, 0).0 as i64));
        seen.push(outcome(receive_from(b, &mut buffer, libc::MSG_DONTWAIT).0 as i64));
        // Zero bytes take a datagram as well, but not by read(2).
        for _ in 0..2 {
            send_to(a, b"x", &at_b);
        }
        seen.push(outcome(read(b, &mut []) as i64));
        seen.push(outcome(recv(b, &mut [], 0) as i64));
        seen.push(outcome(receive_from(b, &mut buffer, 0).0 as i64));
        seen.push(outcome(send_to(a, &[0; 70_000], &at_b) as i64));
        // SAFETY: no address.
        let nowhere = unsafe { libc::sendto(a, std::ptr::null(), 0, 0, std::ptr::null(), 0) };
        seen.push(outcome(nowhere as i64));
        close_all([a, b]);
        seen
    });
    let ((a, _), (b, at_b)) = (inet(libc::SOCK_DGRAM), inet(libc::SOCK_DGRAM));
    let got = suspends(
        "recvfrom",
        move || assert_eq!(send_to(a, b"hello", &at_b), 5),
        move || receive_from(b, &mut [0; 8], 0),
    );
    assert_eq!((got.0, got.2), (5, SIZE));
    close_all([a, b]);
}

#[test]
fn a_refused_datagram_is_the_next_calls_error() {
    same("refused", || {
        let (gone, nobody) = inet(libc::SOCK_DGRAM);
        close(gone);
        let (fd, _) = inet(libc::SOCK_DGRAM);
        let mut seen = vec![outcome(connect(fd, &nobody))];
        let mut buffer = [0; 8];
        for _ in 0..3 {
            seen.push(outcome(write(fd, b"anybody?") as i64));
            seen.push(outcome(recv(fd, &mut buffer, 0) as i64));
        }
        write(fd, b"anybody?");
        let mut entry = libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        // SAFETY: one valid entry.
        let found = unsafe { libc::poll(&mut entry, 1, 1000) };
        seen.push(format!("{} {:x}", outcome(found), entry.revents));
        seen.push(outcome(write(fd, b"x") as i64));
        close(fd);
        seen
    });
}

/// Messages of one part each, over `buffers`.
fn messages<const N: usize>(parts: &mut [libc::iovec; N]) -> [libc::mmsghdr; N] {
    // SAFETY: all-zero bytes are valid messages.
    let mut messages: [libc::mmsghdr; N] = unsafe { std::mem::zeroed() };
    for (message, part) in messages.iter_mut().zip(parts) {
        message.msg_hdr.msg_iov = part;
        message.msg_hdr.msg_iovlen = 1;
    }
    messages
}

fn send_many(fd: c_int, texts: [&[u8]; 3], count: u32, flags: c_int) -> String {
    let mut parts = texts
        .map(|text| libc::iovec { iov_base: text.as_ptr().cast_mut().cast(), iov_len: text.len() });
    let mut all = messages(&mut parts);
    // SAFETY: valid messages.
    let sent = unsafe { libc::sendmmsg(fd, all.as_mut_ptr(), count, flags) };
    format!("sendmmsg {} {:?}", outcome(sent), all.map(|message| message.msg_len))
}

fn receive_many(fd: c_int, count: u32, flags: c_int, time: Option<(i64, i64)>) -> String {
    let mut buffers = [[0u8; 8]; 3];
    let mut parts = buffers
        .each_mut()
        .map(|buffer| libc::iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() });
    let mut all = messages(&mut parts);
    let mut time = time.map(|(tv_sec, tv_nsec)| libc::timespec { tv_sec, tv_nsec });
    let place = time.as_mut().map_or(std::ptr::null_mut(), |time| &raw mut *time);
    // SAFETY: valid messages, NULL or a time.
    let got = unsafe { libc::recvmmsg(fd, all.as_mut_ptr(), count, flags, place) };
    let text = outcome(got);
    let taken = usize::try_from(got).unwrap_or(0);
    let sizes: Vec<_> = all[..taken].iter().map(|message| message.msg_len).collect();
    format!("recvmmsg {text} {sizes:?} {buffers:?}")
}

#[test]
fn many_messages_at_a_time() {
    same("many messages", || {
        let mut seen = Vec::new();
        for make in [udp_pair, || pair(libc::SOCK_DGRAM), || pair(libc::SOCK_SEQPACKET)] {
            let [a, b] = make();
            set_timeout(b, libc::SO_RCVTIMEO, 20);
            seen.push(send_many(a, [b"one", b"", b"three"], 3, 0));
            seen.push(receive_many(b, 3, 0, None));
            seen.push(send_many(a, [b"one", b"two", b"three"], 2, 0));
            // Fewer than it wants, until the socket's time is over.
            seen.push(receive_many(b, 3, 0, None));
            seen.push(send_many(a, [b"one", b"two", b"three"], 2, 0));
            seen.push(receive_many(b, 3, libc::MSG_WAITFORONE, None));
            seen.push(receive_many(b, 3, libc::MSG_WAITFORONE, None));
            seen.push(receive_many(b, 3, libc::MSG_DONTWAIT, None));
            seen.push(receive_many(b, 3, 0, Some((0, 1_000_000_000))));
            seen.push(receive_many(b, 3, 0, Some((-1, 0))));
            seen.push(send_many(a, [b"one", b"two", b"three"], 3, 0));
            seen.push(receive_many(b, 3, 0, Some((10, 0))));
            seen.push(send_many(a, [b"one", b"two", b"three"], 1, 0));
            seen.push(receive_many(b, 3, 0, Some((0, 1))));
            // Part of them goes; the error is the next call's.
            seen.push(send_many(a, [b"one", &[7; 300_000], b"three"], 3, libc::MSG_DONTWAIT));
            seen.push(receive_many(b, 3, libc::MSG_WAITFORONE, None));
            seen.push(send_many(a, [&[7; 300_000], b"two", b"three"], 3, 0));
            seen.push(send_many(a, [b"", b"", b""], 0, 0));
            seen.push(receive_many(b, 0, 0, None));
            close_all([a, b]);
            seen.push(send_many(a, [b"one", b"two", b"three"], 3, 0));
            seen.push(send_many(a, [b"one", b"two", b"three"], 0, 0));
            seen.push(receive_many(b, 3, 0, None));
            seen.push(receive_many(b, 0, 0, None));
        }
        seen
    });
}

#[test]
fn an_error_after_some_messages_is_the_next_calls() {
    same("error after messages", || {
        let [a, b] = udp_pair();
        set_timeout(b, libc::SO_RCVTIMEO, 5000);
        write(a, b"last");
        close(a);
        // Nobody is there any more, which the wait for the second message is told.
        let peer = later(move || assert_eq!(write(b, b"anybody?"), 8));
        let first = receive_many(b, 3, 0, None);
        let then = receive_many(b, 3, 0, None);
        set_timeout(b, libc::SO_RCVTIMEO, 20);
        let last = receive_many(b, 3, 0, None);
        let _off = Guard::disabled();
        peer.join().expect("no panic in the peer");
        close(b);
        vec![first, then, last]
    });
}

/// A temporary file of so many bytes.
fn file(size: usize) -> std::fs::File {
    let path = format!("/tmp/fastrpc-test-{}-{size}-{:?}", std::process::id(), thread_id());
    let options = std::fs::File::options().create_new(true).read(true).write(true).to_owned();
    let mut file = options.open(&path).expect("made");
    std::fs::remove_file(&path).expect("removed");
    file.write_all(&vec![7; size]).expect("written");
    file
}

fn thread_id() -> std::thread::ThreadId {
    std::thread::current().id()
}

fn send_file(to: c_int, from: c_int, offset: Option<i64>, size: usize) -> String {
    let mut place = offset.unwrap_or(0);
    let pointer = if offset.is_some() { &raw mut place } else { std::ptr::null_mut() };
    // SAFETY: NULL or a place for the offset.
    let sent = unsafe { libc::sendfile(to, from, pointer, size) };
    format!("sendfile {} at {place}", outcome(sent as i64))
}

#[test]
fn files_are_sent() {
    same("sendfile", || {
        let mut seen = Vec::new();
        for make in [|| pair(libc::SOCK_STREAM), tcp_pair, || pair(libc::SOCK_SEQPACKET), pipe] {
            let [mut to, mut end] = make();
            if flags(to) & libc::O_ACCMODE == libc::O_RDONLY {
                (to, end) = (end, to);
            }
            let source = file(3000);
            let from = source.as_raw_fd();
            let mut buffer = [0; 4000];
            seen.push(send_file(to, from, Some(0), 1000));
            seen.push(send_file(to, from, Some(2500), 5000));
            seen.push(send_file(to, from, Some(3000), 5));
            seen.push(send_file(to, from, Some(0), 0));
            // SAFETY: an fd of our own.
            unsafe { libc::lseek(from, 100, libc::SEEK_SET) };
            seen.push(send_file(to, from, None, 100));
            // SAFETY: as above.
            seen.push(outcome(unsafe { libc::lseek(from, 0, libc::SEEK_CUR) }));
            seen.push(outcome(read(end, &mut buffer[..1600]) as i64));
            seen.push(send_file(to, from, Some(-1), 10));
            seen.push(send_file(to, 987, None, 10));
            seen.push(send_file(987, from, None, 10));
            seen.push(send_file(to, end, None, 10));
            seen.push(send_file(from, from, Some(0), 10));
            close(end);
            seen.push(send_file(to, from, Some(0), 10));
            close(to);
        }
        seen
    });
}

#[test]
fn the_end_of_a_file_needs_no_room() {
    // With a part of what it takes a socket is not ready for more, and yet all of the file is gone.
    same("sendfile to its end", || {
        let [to, end] = pair(libc::SOCK_STREAM);
        set_timeout(to, libc::SO_SNDTIMEO, 2000);
        let source = file(60_000);
        let (sent, time) = elapsed(|| send_file(to, source.as_raw_fd(), Some(0), 1 << 20));
        close_all([to, end]);
        vec![format!("{sent} at once: {}", time.as_millis() < 1500)]
    });
}

#[test]
fn a_file_waits_for_room() {
    const LENGTH: usize = 4 << 20;
    let [to, end] = tcp_pair();
    let reader = move || {
        let mut buffer = vec![0; 1 << 16];
        let mut got = 0;
        while got < LENGTH {
            got += usize::try_from(read(end, &mut buffer)).expect("read");
        }
    };
    let sent = suspends(
        "sendfile",
        move || drop(std::thread::spawn(reader)),
        move || send_file(to, file(LENGTH).as_raw_fd(), Some(0), LENGTH),
    );
    assert_eq!(sent, format!("sendfile {LENGTH} at {LENGTH}"));
}

#[test]
fn urgent_bytes() {
    same("urgent", || {
        let mut seen = Vec::new();
        for inline in [0, 1] {
            let [a, b] = tcp_pair();
            set_timeout(b, libc::SO_RCVTIMEO, 200);
            let size = size_of::<c_int>() as libc::socklen_t;
            let value = (&raw const inline).cast();
            // SAFETY: a valid option.
            unsafe { libc::setsockopt(b, libc::SOL_SOCKET, libc::SO_OOBINLINE, value, size) };
            let mut buffer = [0; 8];
            seen.push(outcome(recv(b, &mut buffer, libc::MSG_OOB) as i64));
            seen.push(outcome(send(a, b"ab", 0) as i64));
            seen.push(outcome(send(a, b"c!", libc::MSG_OOB) as i64));
            seen.push(outcome(send(a, b"de", 0) as i64));
            let mut entry = libc::pollfd { fd: b, events: libc::POLLPRI, revents: 0 };
            // SAFETY: one valid entry.
            seen.push(outcome(unsafe { libc::poll(&mut entry, 1, 5000) }));
            seen.push(format!("{:x}", entry.revents));
            // SAFETY: all-zero bytes are an empty set.
            let mut set: libc::fd_set = unsafe { std::mem::zeroed() };
            // SAFETY: an fd below FD_SETSIZE.
            unsafe { libc::FD_SET(b, &mut set) };
            let none = std::ptr::null_mut();
            // SAFETY: NULL or valid sets.
            seen.push(outcome(unsafe { libc::select(b + 1, none, none, &mut set, none.cast()) }));
            for flags in [libc::MSG_OOB | libc::MSG_PEEK, libc::MSG_OOB, libc::MSG_OOB] {
                seen.push(format!("{} {buffer:?}", outcome(recv(b, &mut buffer, flags) as i64)));
            }
            // A read ends at the mark.
            for flags in [0, libc::MSG_WAITALL, 0] {
                seen.push(format!("{} {buffer:?}", outcome(recv(b, &mut buffer, flags) as i64)));
            }
            close_all([a, b]);
        }
        seen
    });
    let [a, b] = tcp_pair();
    let found = suspends(
        "poll",
        move || assert_eq!(send(a, b"!", libc::MSG_OOB), 1),
        move || {
            let mut entry = libc::pollfd { fd: b, events: libc::POLLPRI, revents: 0 };
            // SAFETY: one valid entry.
            (unsafe { libc::poll(&mut entry, 1, 20_000) }, entry.revents)
        },
    );
    assert_eq!(found, (1, libc::POLLPRI));
    close_all([a, b]);
}

thread_local! {
    static SIGNALS: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn count(_signal: c_int) {
    SIGNALS.set(SIGNALS.get() + 1);
}

fn handle(signal: c_int) {
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    // SAFETY: a handler that counts.
    assert_eq!(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }, 0);
}

#[test]
fn a_broken_pipe_signals_unless_told_not_to() {
    handle(libc::SIGPIPE);
    same("SIGPIPE", || {
        let mut seen = Vec::new();
        for make in [|| pair(libc::SOCK_STREAM), tcp_pair, pipe, || pair(libc::SOCK_SEQPACKET)] {
            let [a, b] = make();
            let (reader, writer) =
                if flags(b) & libc::O_ACCMODE == libc::O_RDONLY { (b, a) } else { (a, b) };
            close(reader);
            if flags(writer) & libc::O_ACCMODE == libc::O_RDWR {
                shutdown(writer, libc::SHUT_WR);
            }
            let part = libc::iovec { iov_base: (&raw mut seen).cast(), iov_len: 1 };
            // SAFETY: all-zero bytes are a valid msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            (message.msg_iov, message.msg_iovlen) = ((&raw const part).cast_mut(), 1);
            let source = file(100);
            let calls: [&dyn Fn() -> isize; 6] = [
                &|| write(writer, b"x"),
                // SAFETY: a valid part, here and below.
                &|| unsafe { libc::writev(writer, &part, 1) },
                // SAFETY: as above.
                &|| unsafe { libc::send(writer, part.iov_base, 1, 0) },
                // SAFETY: as above.
                &|| unsafe { libc::send(writer, part.iov_base, 1, libc::MSG_NOSIGNAL) },
                // SAFETY: as above.
                &|| unsafe { libc::sendmsg(writer, &message, libc::MSG_NOSIGNAL) },
                // SAFETY: fds of our own.
                &|| unsafe { libc::sendfile(writer, source.as_raw_fd(), std::ptr::null_mut(), 1) },
            ];
            for call in calls {
                let before = SIGNALS.get();
                let text = outcome(call() as i64);
                seen.push(format!("{text}, signals {}", SIGNALS.get() - before));
            }
            close(writer);
        }
        seen
    });
}

#[test]
fn a_signal_runs_its_handler_and_ends_no_wait() {
    init();
    handle(libc::SIGUSR1);
    for kind in 0..3 {
        let [a, b] = pair(libc::SOCK_STREAM);
        let (told, thread) = std::sync::mpsc::channel();
        let (got, signals) = suspends(
            "a wait with signals",
            move || {
                let thread: libc::pthread_t = thread.recv().expect("told");
                for _ in 0..5 {
                    // SAFETY: the worker's thread runs as long as the process.
                    unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                assert_eq!(write(b, b"x"), 1);
            },
            move || {
                // SAFETY: takes nothing.
                told.send(unsafe { libc::pthread_self() }).expect("sent");
                let before = SIGNALS.get();
                let mut entry = libc::pollfd { fd: a, events: libc::POLLIN, revents: 0 };
                let got = match kind {
                    0 => read(a, &mut [0; 4]),
                    // SAFETY: one valid entry, here and below.
                    1 => unsafe { libc::poll(&mut entry, 1, 20_000) as isize },
                    // SAFETY: as above.
                    _ => 1 + unsafe { libc::usleep(100_000) } as isize,
                };
                (got, SIGNALS.get() - before)
            },
        );
        assert_eq!(got, 1, "{kind}");
        assert!((1..=5).contains(&signals), "{kind}: {signals}");
        close_all([a, b]);
    }
}

/// On a stack of its own a handler is no part of the coroutine that it interrupts.
#[test]
fn a_handler_on_its_own_stack_calls_libc() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_signal: c_int) {
        let [a, b] = pair(libc::SOCK_STREAM);
        set_timeout(a, libc::SO_RCVTIMEO, 5);
        let timed_out = read(a, &mut [0; 4]) == -1 && errno() == libc::EAGAIN;
        let through = write(b, b"x") == 1 && read(a, &mut [0; 4]) == 1;
        close_all([a, b]);
        let bare = !fastrpc::hook::is_enabled();
        SEEN.store(1 + usize::from(timed_out && through && bare), Ordering::Relaxed);
    }
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: a handler that calls what is safe in one.
    assert_eq!(unsafe { libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut()) }, 0);
    hooked(|| {
        assert!(fastrpc::hook::is_enabled());
        // SAFETY: to the calling thread.
        unsafe { libc::raise(libc::SIGURG) };
        assert!(fastrpc::hook::is_enabled());
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), 2);
}

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
        // An address whose place is too small is cut, and its size told.
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
        // An fd may try again, until it is connected.
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
        // To nobody, without waiting: the error is told once.
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

/// A listener that nobody accepts from, whose queue is full.
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

#[test]
fn flags_and_options_are_the_programs() {
    same("flags", || {
        let mut seen = Vec::new();
        let [a, b] = tcp_pair();
        let mut buffer = [0; 4];
        for on in [1, 0] {
            let on: c_int = on;
            // SAFETY: a number to read.
            seen.push(outcome(unsafe { libc::ioctl(a, libc::FIONBIO, &on) }));
            seen.push(format!("{:o}", flags(a)));
            // A copy has the same flags, and its own FD_CLOEXEC.
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
fn a_copy_that_is_closed_ends_no_wait() {
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
fn a_program_that_is_started_gets_its_pipes() {
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

/// A listening Unix socket without a place in its queue, and what fills that.
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
fn a_full_unix_listener_is_waited_for() {
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

#[test]
fn terminals_and_timers_wait() {
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
fn what_is_no_memory_is_an_error() {
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
fn lists_for_poll_may_have_anything_in_them() {
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
