//! Errors and edge cases: the same steps in a plain thread and in a hooked coroutine.

use libc::c_int;

use crate::support::*;

#[test]
fn errors_of_bad_fds_and_arguments() {
    same("bad fds", || {
        let mut buffer = [0; 8];
        let nobody = loopback(1);
        let mut entry = libc::pollfd { fd: 987, events: libc::POLLIN, revents: 0 };
        let time = libc::timespec { tv_sec: 0, tv_nsec: 1_000_000_000 };
        let null = std::ptr::null_mut();
        // SAFETY: pointers that are valid or NULL, here and below.
        unsafe {
            vec![
                outcome(read(987, &mut buffer) as i64),
                outcome(read(-1, &mut buffer) as i64),
                outcome(write(987, &buffer) as i64),
                outcome(recv(987, &mut buffer, 0) as i64),
                outcome(send(987, &buffer, 0) as i64),
                outcome(connect(987, &nobody)),
                outcome(libc::accept(987, std::ptr::null_mut(), std::ptr::null_mut())),
                outcome(close(987)),
                outcome(libc::dup2(987, 988)),
                outcome(libc::poll(&mut entry, 1, 100)),
                format!("{:x}", entry.revents),
                outcome(libc::poll(std::ptr::null_mut(), 0, 1)),
                outcome(libc::poll(8 as *mut libc::pollfd, 1, 100)),
                outcome(libc::nanosleep(&time, null)),
                outcome(libc::clock_nanosleep(77, 0, &time, null)),
                outcome(libc::epoll_wait(987, std::ptr::null_mut(), 1, 10)),
                outcome(libc::select(
                    -1,
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                    std::ptr::null_mut(),
                )),
            ]
        }
    });
}

#[test]
fn sockets_that_are_not_connected() {
    same("unconnected", || {
        let mut seen = Vec::new();
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let (fd, address) = inet(kind);
            set_timeout(fd, libc::SO_RCVTIMEO, 20);
            let mut buffer = [0; 8];
            seen.push(outcome(recv(fd, &mut buffer, 0) as i64));
            seen.push(outcome(read(fd, &mut buffer) as i64));
            seen.push(outcome(send(fd, &buffer, 0) as i64));
            let null = std::ptr::null_mut();
            // SAFETY: a socket of our own.
            seen.push(outcome(unsafe { libc::accept(fd, null, std::ptr::null_mut()) }));
            close(fd);
            // Nobody listens there any longer.
            let (other, _) = inet(kind);
            seen.push(outcome(connect(other, &address)));
            seen.push(outcome(send(other, &buffer, 0) as i64));
            seen.push(format!("flags {:o}", flags(other)));
            close(other);
        }
        seen
    });
}

#[test]
fn named_unix_sockets() {
    same("unix connect", || {
        // SAFETY: all-zero bytes are a valid address.
        let mut address: libc::sockaddr_un = unsafe { std::mem::zeroed() };
        address.sun_family = libc::AF_UNIX as libc::sa_family_t;
        for (place, byte) in address.sun_path.iter_mut().zip(b"/nowhere/at all") {
            *place = *byte as _;
        }
        let size = size_of_val(&address) as libc::socklen_t;
        let fds = pair(libc::SOCK_STREAM);
        // SAFETY: valid addresses and sockets, here and below.
        let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_STREAM, 0) };
        // SAFETY: as above.
        let seen = unsafe {
            vec![
                outcome(libc::connect(fd, (&raw const address).cast(), size)),
                outcome(libc::connect(fds[0], (&raw const address).cast(), size)),
                outcome(libc::connect(fd, (&raw const address).cast(), 1)),
            ]
        };
        close_all([fd, fds[0], fds[1]]);
        seen
    });
}

#[test]
fn ends_of_streams() {
    same("ends", || {
        let mut seen = Vec::new();
        for make in [|| pair(libc::SOCK_STREAM), tcp_pair, pipe, || pair(libc::SOCK_SEQPACKET)] {
            let [a, b] = make();
            let mut buffer = [0; 16];
            // Fds that are not fit for it, and zero bytes.
            seen.push(outcome(read(a, &mut []) as i64));
            let (reader, writer) =
                if flags(a) & libc::O_ACCMODE == libc::O_RDONLY { (a, b) } else { (b, a) };
            seen.push(outcome(write(writer, b"last words") as i64));
            close(writer);
            let size = buffer.len() as i64;
            for _ in 0..3 {
                seen.push(format!("{} of {size}", outcome(read(reader, &mut buffer) as i64)));
            }
            seen.push(outcome(write(reader, b"too late") as i64));
            seen.push(outcome(write(reader, b"too late") as i64));
            close(reader);
        }
        seen
    });
}

#[test]
fn files_and_devices_pass_through() {
    same("files", || {
        let mut seen = Vec::new();
        for (path, mode) in [
            (c"/dev/null", libc::O_RDWR),
            (c"/dev/zero", libc::O_RDWR),
            (c"/proc/self/comm", libc::O_RDONLY),
            (c"/proc", libc::O_RDONLY),
            (c"/etc/hosts", libc::O_RDONLY),
            (c"/etc/hosts", libc::O_PATH),
        ] {
            // SAFETY: a C string.
            let fd = unsafe { libc::open(path.as_ptr(), mode | libc::O_CLOEXEC) };
            let mut buffer = [1; 16];
            let got = outcome(read(fd, &mut buffer) as i64);
            // Each thread has its own name.
            seen.push(if path == c"/proc/self/comm" {
                String::new()
            } else {
                format!("{got} {buffer:?}")
            });
            seen.push(outcome(write(fd, b"x") as i64));
            seen.push(format!("{:o} {}", flags(fd), outcome(close(fd))));
        }
        // SAFETY: makes an eventfd.
        let event = unsafe { libc::eventfd(3, 0) };
        let mut count = [0; 8];
        seen.push(format!("{} {count:?}", outcome(read(event, &mut count[..4]) as i64)));
        seen.push(format!("{} {count:?}", outcome(read(event, &mut count) as i64)));
        seen.push(outcome(write(event, &7u64.to_ne_bytes()) as i64));
        seen.push(format!("{} {count:?}", outcome(read(event, &mut count) as i64)));
        close(event);
        seen
    });
}

#[test]
fn an_fd_number_is_reused_by_another_kind() {
    same("kinds", || {
        const READER: c_int = 901;
        const WRITER: c_int = 902;
        let mut seen = Vec::new();
        let file = || {
            // SAFETY: a C string, here and below.
            let fd = unsafe { libc::open(c"/tmp".as_ptr(), libc::O_TMPFILE | libc::O_RDWR, 0o600) };
            // SAFETY: of the same file, with a place of its own.
            let reader = unsafe {
                libc::open(format!("/proc/self/fd/{fd}\0").as_ptr().cast(), libc::O_RDONLY)
            };
            [reader, fd]
        };
        let stream = || pair(libc::SOCK_STREAM);
        let message = || pair(libc::SOCK_SEQPACKET);
        for make in [pipe, stream, pipe, file, tcp_pair, pipe, message, file, pipe, udp_pair] {
            let fds = make();
            // SAFETY: fds of our own.
            unsafe { (libc::dup2(fds[0], READER), libc::dup2(fds[1], WRITER)) };
            close_all(fds);
            let mut buffer = [0; 16];
            for size in [16, 16, 5, 16] {
                seen.push(outcome(write(WRITER, &b"sixteen bytes or"[..size]) as i64));
                seen.push(format!("{} {buffer:?}", outcome(read(READER, &mut buffer) as i64)));
            }
            set_timeout(READER, libc::SO_RCVTIMEO, 20);
            if flags(READER) & libc::O_ACCMODE == libc::O_RDWR {
                seen.push(outcome(read(READER, &mut buffer) as i64));
            }
            close(WRITER);
            set_nonblocking(READER, true);
            seen.push(outcome(read(READER, &mut buffer) as i64));
            seen.push(outcome(write(READER, b"too late") as i64));
            close(READER);
        }
        seen
    });
}

#[test]
fn socket_timeouts() {
    same("timeouts", || {
        let mut seen = Vec::new();
        let [a, b] = tcp_pair();
        let mut buffer = [0; 64];
        set_timeout(a, libc::SO_RCVTIMEO, 40);
        let (result, time) = elapsed(|| outcome(recv(a, &mut buffer, 0) as i64));
        seen.push(format!("{result} {}", time.as_millis() >= 40));
        // A partial transfer is not an error.
        write(b, b"abc");
        seen.push(outcome(recv(a, &mut buffer, libc::MSG_WAITALL) as i64));
        write(b, b"abc");
        seen.push(outcome(recv(a, &mut buffer, libc::MSG_WAITALL | libc::MSG_PEEK) as i64));
        seen.push(outcome(read(a, &mut buffer) as i64));
        let (listener, _) = inet(libc::SOCK_STREAM);
        // SAFETY: a socket of our own, here and below.
        unsafe { libc::listen(listener, 1) };
        set_timeout(listener, libc::SO_RCVTIMEO, 40);
        let (result, time) = elapsed(|| outcome(accept(listener)));
        seen.push(format!("{result} {}", time.as_millis() >= 40));
        set_timeout(a, libc::SO_SNDTIMEO, 40);
        let mut sent = 0;
        let block = vec![7; 1 << 20];
        let last = loop {
            match send(a, &block, 0) {
                -1 => break outcome(-1),
                now => sent += now,
            }
        };
        seen.push(format!("{last} {}", sent > 0));
        close_all([a, b, listener]);
        seen
    });
}

#[test]
fn nonblocking_fds_stay_what_they_are() {
    same("non-blocking", || {
        let mut seen = Vec::new();
        for make in
            [|| pair(libc::SOCK_STREAM), || pair(libc::SOCK_DGRAM), tcp_pair, udp_pair, pipe]
        {
            let [a, b] = make();
            let writer = if flags(b) & libc::O_ACCMODE == libc::O_RDONLY { a } else { b };
            set_nonblocking(a, true);
            set_nonblocking(b, true);
            seen.push(outcome(read(a, &mut [0; 4]) as i64));
            let mut sent = 0;
            while sent < 64 << 20 {
                match write(writer, &[7; 5000]) {
                    -1 => break,
                    now => sent += now,
                }
            }
            // How much a network buffer takes depends on the moment.
            seen.push(format!("{} {:o} {:o}", sent > 0, flags(a), flags(b)));
            close_all([a, b]);
        }
        seen
    });
}

#[test]
fn select_agrees_with_the_kernel() {
    same("select", || {
        let mut seen = Vec::new();
        let [a, b] = pair(libc::SOCK_STREAM);
        for step in 0..4 {
            // SAFETY: all-zero bytes are an empty set.
            let mut sets: [libc::fd_set; 3] = unsafe { std::mem::zeroed() };
            // SAFETY: valid sets, and fds below FD_SETSIZE, here and below.
            unsafe {
                libc::FD_SET(a, &mut sets[0]);
                libc::FD_SET(a, &mut sets[2]);
                if step == 1 {
                    libc::FD_SET(b, &mut sets[1]);
                }
            }
            let mut time = libc::timeval { tv_sec: 0, tv_usec: 30_000 };
            let [r, w, e] = &mut sets;
            // SAFETY: as above.
            let found: c_int = unsafe { libc::select(a.max(b) + 1, r, w, e, &mut time) };
            let bits =
                // SAFETY: as above.
                unsafe { [libc::FD_ISSET(a, r), libc::FD_ISSET(b, w), libc::FD_ISSET(a, e)] };
            let rest = (time.tv_sec, time.tv_usec) == (0, 0);
            seen.push(format!("{} {bits:?} {rest}", outcome(found)));
            match step {
                1 => assert_eq!(write(b, b"x"), 1),
                2 => close_all([b]),
                _ => {}
            }
        }
        close(a);
        seen
    });
}

#[test]
fn passed_fds_stay_with_their_bytes() {
    same("SCM_RIGHTS", || {
        let mut seen = Vec::new();
        let [a, b] = pair(libc::SOCK_STREAM);
        set_timeout(a, libc::SO_RCVTIMEO, 20);
        let [passed, other] = pipe();
        for step in 0..2 {
            let bytes = [7u8; 10];
            let mut room = [0u8; 100];
            let mut control = [0u64; 8];
            let mut part =
                libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
            // SAFETY: all-zero bytes are a valid msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            message.msg_iov = &mut part;
            message.msg_iovlen = 1;
            message.msg_control = control.as_mut_ptr().cast();
            // SAFETY: computes a size, here and below.
            message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as _;
            // SAFETY: there is room for a header, and for one fd behind it.
            unsafe {
                let header = libc::CMSG_FIRSTHDR(&message);
                (*header).cmsg_level = libc::SOL_SOCKET;
                (*header).cmsg_type = libc::SCM_RIGHTS;
                (*header).cmsg_len = libc::CMSG_LEN(4) as _;
                libc::CMSG_DATA(header).cast::<c_int>().write_unaligned(passed);
            }
            // SAFETY: a valid message, here and below.
            seen.push(outcome(unsafe { libc::sendmsg(b, &message, 0) } as i64));
            seen.push(outcome(write(b, &bytes) as i64));
            let mut into = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
            message.msg_iov = &mut into;
            message.msg_controllen = size_of_val(&control) as _;
            let flags = if step == 0 { libc::MSG_WAITALL } else { 0 };
            // SAFETY: as above.
            let got = unsafe { libc::recvmsg(a, &mut message, flags) };
            seen.push(format!("{} {} {}", outcome(got as i64), message.msg_controllen, room[9]));
            // SAFETY: as above.
            close(unsafe {
                libc::CMSG_DATA(libc::CMSG_FIRSTHDR(&message)).cast::<c_int>().read_unaligned()
            });
            seen.push(outcome(recv(a, &mut room, 0) as i64));
        }
        close_all([a, b, passed, other]);
        seen
    });
}
