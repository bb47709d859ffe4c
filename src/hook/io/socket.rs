//! Sockets: sending and receiving.

use libc::{
    MSG_DONTWAIT, MSG_ERRQUEUE, MSG_NOSIGNAL, MSG_OOB, MSG_PEEK, MSG_WAITALL, c_int, c_short,
    c_uint, c_void, iovec, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec,
};

use super::iov;
use super::sockopt::{is_tcp, option, unread};
use super::would_block::WouldBlock;
use crate::hook::switch::is_on;
use crate::hook::{errno, time};
use crate::rt::{Deadline, Interest};
use crate::sys::real;

/// recv(2). May suspend.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn recv(fd: c_int, buffer: *mut c_void, size: size_t, flags: c_int) -> ssize_t {
    if !is_on() || never_waits(flags) {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::recv(fd, buffer, size, flags) };
    }
    receive_all(fd, size, flags, |done| {
        let rest = buffer.cast::<u8>().wrapping_add(done).cast();
        // SAFETY: as above.
        unsafe { real::recv(fd, rest, size - done, flags | MSG_DONTWAIT) }
    })
}

/// recv(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __recv_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    if !is_on() || size > room {
        // SAFETY: the caller's contract; it ends the process when there is too little room.
        return unsafe { real::__recv_chk(fd, buffer, size, room, flags) };
    }
    // SAFETY: the same contract.
    unsafe { recv(fd, buffer, size, flags) }
}

/// recvfrom(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_size: *mut socklen_t,
) -> ssize_t {
    if !is_on() || never_waits(flags) {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::recvfrom(fd, buffer, size, flags, address, address_size) };
    }
    receive_all(fd, size, flags, |done| {
        let flags = flags | MSG_DONTWAIT;
        let rest = buffer.cast::<u8>().wrapping_add(done).cast();
        if done > 0 {
            // SAFETY: as above. The address came with the first bytes.
            return unsafe { real::recv(fd, rest, size - done, flags) };
        }
        // SAFETY: as above.
        unsafe { real::recvfrom(fd, rest, size, flags, address, address_size) }
    })
}

/// recvfrom(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_size: *mut socklen_t,
) -> ssize_t {
    if !is_on() || size > room {
        // SAFETY: the caller's contract; it ends the process when there is too little room.
        return unsafe {
            real::__recvfrom_chk(fd, buffer, size, room, flags, address, address_size)
        };
    }
    // SAFETY: the same contract.
    unsafe { recvfrom(fd, buffer, size, flags, address, address_size) }
}

/// recvmsg(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmsg(fd: c_int, whole: *mut msghdr, flags: c_int) -> ssize_t {
    if !is_on() || never_waits(flags) || whole.is_null() {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::recvmsg(fd, whole, flags) };
    }
    let nonblocking = flags | MSG_DONTWAIT;
    // SAFETY: as above; not NULL.
    let given = unsafe { *whole };
    let count = if given.msg_iov.is_null() { 0 } else { given.msg_iovlen };
    // SAFETY: as above.
    let parts = unsafe { iov::from_raw(given.msg_iov, count) };
    let size = iov::total_len(parts);
    // SAFETY: as above.
    let got =
        receive_sized(fd, size, flags, &mut || unsafe { real::recvmsg(fd, whole, nonblocking) });
    // SAFETY: as above.
    if unsafe { (*whole).msg_controllen } > 0 && !given.msg_control.is_null() {
        // What follows does not belong to this control data (unix(7)).
        return got;
    }
    receive_rest(fd, size, got, flags, |done| {
        let rest = iov::skip(parts, done);
        let mut now = given;
        if done > 0 {
            now.msg_iov = rest.as_ptr().cast_mut();
            now.msg_iovlen = rest.len() as _;
        }
        // SAFETY: as above; a copy of the caller's struct.
        let got = unsafe { real::recvmsg(fd, &mut now, nonblocking) };
        if got >= 0 {
            now.msg_iov = given.msg_iov;
            now.msg_iovlen = given.msg_iovlen;
            // SAFETY: as above.
            unsafe { *whole = now };
        }
        got
    })
}

/// recvmmsg(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    if !is_on() || never_waits(flags) || flags & MSG_DONTWAIT != 0 || count == 0 {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::recvmmsg(fd, messages, count, flags, timeout) };
    }
    // As in the kernel, the time is looked at after each message only (recvmmsg(2), BUGS).
    // SAFETY: NULL or valid.
    let given = unsafe { timeout.as_ref() }.map(time::duration);
    let Ok(given) = given.transpose() else { return errno::fail(libc::EINVAL) };
    let deadline = Deadline::from(given);
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Read);
        let mut done = 0;
        while done < count {
            let rest = messages.wrapping_add(done as usize);
            let nonblocking = flags | MSG_DONTWAIT;
            // SAFETY: as above.
            let got = unsafe {
                real::recvmmsg(fd, rest, count - done, nonblocking, std::ptr::null_mut())
            };
            if got > 0 {
                done += got as c_uint;
                let enough = done == count || flags & libc::MSG_WAITFORONE != 0;
                if enough || deadline.has_passed() {
                    break;
                }
            } else if errno::get() != libc::EAGAIN {
                if done == 0 {
                    return -1;
                }
                break;
            }
            match blocked.wait() {
                // An error is for the next call, and one that is read is gone.
                Ok(bits) if done > 0 && bits & libc::POLLERR != 0 => break,
                Ok(_) => {}
                Err(code) if done == 0 => return errno::fail(code),
                Err(_) => break,
            }
        }
        if let (Some(left), false) = (deadline.remaining(), timeout.is_null()) {
            // SAFETY: not NULL, so valid.
            unsafe { *timeout = time::timespec(left) };
        }
        done as c_int
    })
}

/// send(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn send(fd: c_int, buffer: *const c_void, size: size_t, flags: c_int) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::send(fd, buffer, size, flags) };
    }
    send_all(fd, size, flags, |done, flags| {
        let rest = buffer.cast::<u8>().wrapping_add(done).cast();
        // SAFETY: as above.
        unsafe { real::send(fd, rest, size - done, flags) }
    })
}

/// The name within glibc.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __send(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    flags: c_int,
) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { send(fd, buffer, size, flags) }
}

/// sendto(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_size: socklen_t,
) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::sendto(fd, buffer, size, flags, address, address_size) };
    }
    send_all(fd, size, flags, |done, flags| {
        let rest = buffer.cast::<u8>().wrapping_add(done).cast();
        // SAFETY: as above.
        unsafe { real::sendto(fd, rest, size - done, flags, address, address_size) }
    })
}

/// sendmsg(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, whole: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller's contract: NULL or valid.
    let given = unsafe { whole.as_ref() };
    match given {
        Some(given) if is_on() && (given.msg_iovlen == 0 || !given.msg_iov.is_null()) => {
            // SAFETY: the same.
            let parts = unsafe { iov::from_raw(given.msg_iov, given.msg_iovlen) };
            // SAFETY: the same.
            unsafe { send_parts(fd, given, parts, iov::total_len(parts), flags) }
        }
        // SAFETY: the same.
        _ => unsafe { real::sendmsg(fd, whole, flags) },
    }
}

/// sendmmsg(2). May suspend.
///
/// # Safety
/// As for [`recv`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    if !is_on() || messages.is_null() || count == 0 {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::sendmmsg(fd, messages, count, flags) };
    }
    // As many as the kernel takes.
    let count = count.min(libc::UIO_MAXIOV as c_uint);
    for index in 0..count {
        // SAFETY: as above.
        let message = unsafe { &mut *messages.add(index as usize) };
        // SAFETY: as above.
        let sent = unsafe { sendmsg(fd, &message.msg_hdr, flags) };
        if sent == -1 {
            return if index > 0 { index as c_int } else { -1 };
        }
        message.msg_len = sent as c_uint;
    }
    count as c_int
}

/// Sends all of a message with `parts` of `size` bytes.
///
/// # Safety
/// As sendmsg(2).
pub(super) unsafe fn send_parts(
    fd: c_int,
    whole: &msghdr,
    parts: &[iovec],
    size: usize,
    flags: c_int,
) -> ssize_t {
    send_all(fd, size, flags, |done, flags| {
        if done == 0 {
            // SAFETY: the caller's contract.
            return unsafe { real::sendmsg(fd, whole, flags) };
        }
        // Control data went with the first bytes.
        let rest = iov::skip(parts, done);
        // SAFETY: as above; a message of the rest.
        unsafe { real::sendmsg(fd, &iov::message(&rest), flags) }
    })
}

/// Receives once by `once`, which must not block, when there is something.
pub(super) fn receive(fd: c_int, flags: c_int, mut once: impl FnMut() -> ssize_t) -> ssize_t {
    receive_sized(fd, usize::MAX, flags, &mut once)
}

fn receive_sized(
    fd: c_int,
    size: usize,
    flags: c_int,
    once: &mut impl FnMut() -> ssize_t,
) -> ssize_t {
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Read);
        let mut ended = false;
        loop {
            let got = once();
            if got != -1 || errno::get() != libc::EAGAIN || flags & MSG_DONTWAIT != 0 {
                return got;
            }
            // A datagram socket that was shut down: 0 to a call that blocks, EAGAIN to others.
            if ended {
                return 0;
            }
            match blocked.wait() {
                Ok(bits) => ended = bits & libc::POLLRDHUP != 0,
                // To TCP no bytes have come when none were asked for: no error.
                Err(libc::EAGAIN) if size == 0 && blocked.has_waited() && is_tcp(fd) => return 0,
                Err(code) => return errno::fail_size(code),
            }
        }
    })
}

/// The same, with `MSG_WAITALL` until there are `size` bytes. `once` gets how many there are.
fn receive_all(
    fd: c_int,
    size: usize,
    flags: c_int,
    mut once: impl FnMut(usize) -> ssize_t,
) -> ssize_t {
    let got = receive_sized(fd, size, flags, &mut || once(0));
    receive_rest(fd, size, got, flags, once)
}

/// Receives what is missing when `got` bytes have come, with `MSG_WAITALL` on a stream.
fn receive_rest(
    fd: c_int,
    size: usize,
    got: ssize_t,
    flags: c_int,
    mut once: impl FnMut(usize) -> ssize_t,
) -> ssize_t {
    errno::unless_failed(|| {
        let wants_all = flags & (MSG_WAITALL | MSG_DONTWAIT) == MSG_WAITALL;
        let is_part = got > 0 && (got as usize) < size && wants_all;
        if !is_part || option(fd, libc::SO_TYPE) != Ok(libc::SOCK_STREAM) {
            return got;
        }
        let mut done = got as usize;
        let mut blocked = WouldBlock::new(fd, Interest::Read);
        while done < size {
            let Ok(bits) = blocked.wait() else { break };
            // An error is for the next call, and one that is read is gone.
            if bits & libc::POLLERR != 0 && unread(fd) == 0 {
                break;
            }
            if flags & MSG_PEEK != 0 {
                // Nothing tells when there is more.
                if is_end(bits) || blocked.pause(blocked.deadline()).is_err() {
                    break;
                }
                let seen = once(0);
                if seen <= 0 {
                    break;
                }
                done = seen as usize;
                continue;
            }
            match once(done) {
                0 => break,
                -1 if errno::get() == libc::EAGAIN => {}
                -1 => break,
                got => done += got as usize,
            }
        }
        done as ssize_t
    })
}

/// Sends `size` bytes by `once`, which gets how many are gone, and flags with which it does not
/// block. Only a stream takes a part, and then the rest follows.
pub(super) fn send_all(
    fd: c_int,
    size: usize,
    flags: c_int,
    mut once: impl FnMut(usize, c_int) -> ssize_t,
) -> ssize_t {
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Write);
        let mut done = 0;
        loop {
            // With a part gone an error is for the next call, and so is its signal.
            let quiet = if done > 0 { MSG_NOSIGNAL } else { 0 };
            match once(done, flags | MSG_DONTWAIT | quiet) {
                -1 if errno::get() != libc::EAGAIN || flags & MSG_DONTWAIT != 0 => {
                    return if done > 0 { done as ssize_t } else { -1 };
                }
                -1 => {}
                sent => {
                    done += sent as usize;
                    if done >= size || sent == 0 || flags & MSG_DONTWAIT != 0 {
                        return done as ssize_t;
                    }
                }
            }
            match blocked.wait() {
                Ok(bits) if done > 0 && bits & (libc::POLLERR | libc::POLLHUP) != 0 => {
                    return done as ssize_t;
                }
                Ok(_) => {}
                Err(_) if done > 0 => return done as ssize_t,
                Err(code) => return errno::fail_size(code),
            }
        }
    })
}

/// Whether the kernel answers at once, whatever the socket's flags are.
fn never_waits(flags: c_int) -> bool {
    flags & (MSG_OOB | MSG_ERRQUEUE) != 0
}

fn is_end(bits: c_short) -> bool {
    bits & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}
