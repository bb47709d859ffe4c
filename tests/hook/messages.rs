//! Messages: addresses, errors, sendmmsg(2) and recvmmsg(2), urgent bytes.

use fastrpc::hook::Guard;
use libc::{c_int, c_void, sockaddr_in};

use crate::support::*;

fn send_to(fd: c_int, bytes: &[u8], to: &sockaddr_in) -> isize {
    let (buffer, address) = (bytes.as_ptr().cast::<c_void>(), (&raw const *to).cast());
    // SAFETY: readable for its length, a valid address.
    unsafe { libc::sendto(fd, buffer, bytes.len(), 0, address, SIZE) }
}

/// Returns the result, the sender's port and the size of its address.
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
        // The one that was peeked at, then none.
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
fn a_refused_datagram_fails_the_next_call() {
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

/// Returns messages of one buffer each.
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
            // A part is sent; the error is for the next call.
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
fn an_error_after_some_messages_is_for_the_next_call() {
    same("error after messages", || {
        let [a, b] = udp_pair();
        set_timeout(b, libc::SO_RCVTIMEO, 5000);
        write(a, b"last");
        close(a);
        // The peer is gone, which the wait for the second message finds.
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
            // A read stops at the urgent mark.
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
