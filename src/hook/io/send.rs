//! send(2), sendto(2), sendmsg(2), sendmmsg(2).

use libc::{
    MSG_DONTWAIT, MSG_NOSIGNAL, c_int, c_uint, c_void, iovec, mmsghdr, msghdr, size_t, sockaddr,
    socklen_t, ssize_t,
};

use super::iov;
use super::would_block::WouldBlock;
use crate::hook::errno;
use crate::hook::switch::is_on;
use crate::rt::Interest;
use crate::sys::real;

/// send(2). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
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

/// send(2) under glibc's internal name.
///
/// # Safety
/// As for [`send`].
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
/// As for [`send`].
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
/// As for [`send`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t {
    // SAFETY: the caller's contract: NULL or valid.
    let given = unsafe { message.as_ref() };
    match given {
        Some(given) if is_on() && (given.msg_iovlen == 0 || !given.msg_iov.is_null()) => {
            // SAFETY: the same.
            let parts = unsafe { iov::from_raw(given.msg_iov, given.msg_iovlen) };
            // SAFETY: the same.
            unsafe { send_message(fd, given, parts, iov::total_len(parts), flags) }
        }
        // SAFETY: the same.
        _ => unsafe { real::sendmsg(fd, message, flags) },
    }
}

/// sendmmsg(2). May suspend.
///
/// # Safety
/// As for [`send`].
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
    // The kernel's limit.
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

/// Sends all of `message`, whose buffers are `parts`, of `size` bytes together.
///
/// # Safety
/// As sendmsg(2).
pub(super) unsafe fn send_message(
    fd: c_int,
    message: &msghdr,
    parts: &[iovec],
    size: usize,
    flags: c_int,
) -> ssize_t {
    send_all(fd, size, flags, |done, flags| {
        if done == 0 {
            // SAFETY: the caller's contract.
            return unsafe { real::sendmsg(fd, message, flags) };
        }
        // Control data has gone with the first bytes.
        let rest = iov::skip(parts, done);
        // SAFETY: as above; a message of the rest.
        unsafe { real::sendmsg(fd, &iov::message(&rest), flags) }
    })
}

/// Sends `size` bytes by calling `attempt` with the number of bytes sent so far, and flags that keep it
/// from blocking. Only a stream socket accepts a part, and then the rest follows.
pub(super) fn send_all(
    fd: c_int,
    size: usize,
    flags: c_int,
    mut attempt: impl FnMut(usize, c_int) -> ssize_t,
) -> ssize_t {
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Write);
        let mut done = 0;
        loop {
            // After a part an error is for the next call, and so is SIGPIPE.
            let quiet = if done > 0 { MSG_NOSIGNAL } else { 0 };
            match attempt(done, flags | MSG_DONTWAIT | quiet) {
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
