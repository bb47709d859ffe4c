//! read(2), write(2), sendfile(2) and their kin, on fds of any kind.

use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};

use super::iov;
use super::nonblocking::without_blocking;
use super::nonsocket::{self, done_or_failed};
use super::recv::receive;
use super::send;
use super::would_block::WouldBlock;
use crate::hook::errno;
use crate::hook::switch::is_on;
use crate::rt::Interest;
use crate::sys::real;

/// read(2). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    if !is_on() || size == 0 {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::read(fd, buffer, size) };
    }
    let from_socket = || {
        // SAFETY: as above.
        receive(fd, 0, || unsafe { real::recv(fd, buffer, size, libc::MSG_DONTWAIT) })
    };
    // SAFETY: as above.
    unsafe { read_by(fd, from_socket, &[iovec { iov_base: buffer, iov_len: size }]) }
}

/// read(2) under glibc's internal name.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { read(fd, buffer, size) }
}

/// read(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
) -> ssize_t {
    if !is_on() || size > room {
        // SAFETY: the caller's contract; it aborts when the buffer is too small.
        return unsafe { real::__read_chk(fd, buffer, size, room) };
    }
    // SAFETY: the same contract.
    unsafe { read(fd, buffer, size) }
}

/// readv(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if is_on() && iov::is_count(count) && !parts.is_null() {
        // SAFETY: the caller's contract.
        let parts = unsafe { iov::from_raw(parts, count as usize) };
        if iov::total_len(parts) > 0 {
            // SAFETY: the same.
            return unsafe { read_vectored(fd, parts) };
        }
    }
    // SAFETY: the same.
    unsafe { real::readv(fd, parts, count) }
}

/// write(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract.
        return unsafe { real::write(fd, buffer, size) };
    }
    let to_socket = || {
        send::send_all(fd, size, 0, |done, flags| {
            let rest = buffer.cast::<u8>().wrapping_add(done).cast();
            // SAFETY: the same.
            unsafe { real::send(fd, rest, size - done, flags) }
        })
    };
    // SAFETY: the same.
    unsafe { write_by(fd, to_socket, &[iovec { iov_base: buffer.cast_mut(), iov_len: size }]) }
}

/// write(2) under glibc's internal name.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { write(fd, buffer, size) }
}

/// writev(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if is_on() && iov::is_count(count) && !parts.is_null() {
        // SAFETY: the caller's contract.
        let parts = unsafe { iov::from_raw(parts, count as usize) };
        // Without bytes it sends no empty datagram, unlike write(2).
        if iov::total_len(parts) > 0 {
            // SAFETY: the same.
            return unsafe { write_vectored(fd, parts) };
        }
    }
    // SAFETY: the same.
    unsafe { real::writev(fd, parts, count) }
}

/// sendfile(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(to: c_int, from: c_int, offset: *mut off_t, size: size_t) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract.
        return unsafe { real::sendfile(to, from, offset, size) };
    }
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(to, Interest::Write);
        let mut sent = 0;
        loop {
            let rest = size - sent;
            // SAFETY: the same; each call has advanced the offset by what it sent.
            let (now, own) =
                without_blocking(to, || unsafe { real::sendfile(to, from, offset, rest) });
            match now {
                -1 if errno::get() != libc::EAGAIN || own => break done_or_failed(sent),
                -1 => {}
                now => {
                    sent += now as usize;
                    if now == 0 || sent == size || own {
                        break sent as ssize_t;
                    }
                    // The end of the file may be next, which needs no room to send.
                    continue;
                }
            }
            if let Err(code) = blocked.wait() {
                errno::set(code);
                break done_or_failed(sent);
            }
        }
    })
}

/// sendfile(2) for files of more than 2 GiB: the same function where `off_t` has 64 bits.
///
/// # Safety
/// As for [`read`].
#[cfg(target_pointer_width = "64")]
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut off_t,
    size: size_t,
) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { sendfile(to, from, offset, size) }
}

/// # Safety
/// As readv(2).
unsafe fn read_vectored(fd: c_int, parts: &[iovec]) -> ssize_t {
    let mut message = iov::message(parts);
    // SAFETY: the parts are the caller's.
    let mut attempt = || unsafe { real::recvmsg(fd, &mut message, libc::MSG_DONTWAIT) };
    // SAFETY: the same.
    unsafe { read_by(fd, || receive(fd, 0, &mut attempt), parts) }
}

/// Reads from a socket by `from_socket`, from a non-socket into `parts`, the same buffers.
///
/// # Safety
/// As readv(2).
unsafe fn read_by(fd: c_int, mut from_socket: impl FnMut() -> ssize_t, parts: &[iovec]) -> ssize_t {
    errno::unless_failed(|| {
        if !nonsocket::is_likely(fd) {
            let got = from_socket();
            if got != -1 || errno::get() != libc::ENOTSOCK {
                return got;
            }
            nonsocket::remember(fd);
        }
        // SAFETY: the caller's contract.
        unsafe { nonsocket::read(fd, parts) }.unwrap_or_else(|_| from_socket())
    })
}

/// # Safety
/// As writev(2).
unsafe fn write_vectored(fd: c_int, parts: &[iovec]) -> ssize_t {
    let size = iov::total_len(parts);
    let message = iov::message(parts);
    // SAFETY: the parts are the caller's.
    let to_socket = || unsafe { send::send_message(fd, &message, parts, size, 0) };
    // SAFETY: the same.
    unsafe { write_by(fd, to_socket, parts) }
}

/// Writes to a socket by `to_socket`, to a non-socket from `parts`, the same buffers.
///
/// # Safety
/// As writev(2).
unsafe fn write_by(fd: c_int, to_socket: impl Fn() -> ssize_t, parts: &[iovec]) -> ssize_t {
    errno::unless_failed(|| {
        if !nonsocket::is_likely(fd) {
            let sent = to_socket();
            if sent != -1 || errno::get() != libc::ENOTSOCK {
                return sent;
            }
            nonsocket::remember(fd);
        }
        // SAFETY: the caller's contract.
        unsafe { nonsocket::write(fd, parts) }.unwrap_or_else(|_| to_socket())
    })
}
