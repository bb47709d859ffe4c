//! recv(2), recvfrom(2), recvmsg(2), recvmmsg(2).

use libc::{
    MSG_DONTWAIT, MSG_ERRQUEUE, MSG_OOB, MSG_PEEK, MSG_WAITALL, c_int, c_short, c_uint, c_void,
    mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec,
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
/// The man page's contract, as for all hooks here.
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
        // SAFETY: the caller's contract; it aborts when the buffer is too small.
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
        // SAFETY: the caller's contract; it aborts when the buffer is too small.
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
unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    if !is_on() || never_waits(flags) || message.is_null() {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::recvmsg(fd, message, flags) };
    }
    let nonblocking = flags | MSG_DONTWAIT;
    // SAFETY: as above; not NULL.
    let given = unsafe { *message };
    let count = if given.msg_iov.is_null() { 0 } else { given.msg_iovlen };
    // SAFETY: as above.
    let parts = unsafe { iov::from_raw(given.msg_iov, count) };
    let size = iov::total_len(parts);
    // SAFETY: as above.
    let got =
        receive_sized(fd, size, flags, &mut || unsafe { real::recvmsg(fd, message, nonblocking) });
    // SAFETY: as above.
    if unsafe { (*message).msg_controllen } > 0 && !given.msg_control.is_null() {
        // Control data goes with the first bytes alone (unix(7)).
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
            unsafe { *message = now };
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
    // As in the kernel, the time-out is checked only after a message has come (recvmmsg(2), BUGS).
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
                // The error is for the next call, and reading it here would clear it.
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

/// Calls `attempt`, which must not block, and waits for as long as it fails with `EAGAIN`.
pub(super) fn receive(fd: c_int, flags: c_int, mut attempt: impl FnMut() -> ssize_t) -> ssize_t {
    receive_sized(fd, usize::MAX, flags, &mut attempt)
}

fn receive_sized(
    fd: c_int,
    size: usize,
    flags: c_int,
    attempt: &mut impl FnMut() -> ssize_t,
) -> ssize_t {
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Read);
        let mut ended = false;
        loop {
            let got = attempt();
            if got != -1 || errno::get() != libc::EAGAIN || flags & MSG_DONTWAIT != 0 {
                return got;
            }
            // A datagram socket after shutdown(2) gives 0 to a blocking call, EAGAIN to others.
            if ended {
                return 0;
            }
            match blocked.wait() {
                Ok(bits) => ended = bits & libc::POLLRDHUP != 0,
                // A TCP socket that was asked for no bytes times out without an error.
                Err(libc::EAGAIN) if size == 0 && blocked.has_waited() && is_tcp(fd) => return 0,
                Err(code) => return errno::fail_size(code),
            }
        }
    })
}

/// As [`receive`], and with `MSG_WAITALL` until `size` bytes have come; `attempt` is told how many
/// have.
fn receive_all(
    fd: c_int,
    size: usize,
    flags: c_int,
    mut attempt: impl FnMut(usize) -> ssize_t,
) -> ssize_t {
    let got = receive_sized(fd, size, flags, &mut || attempt(0));
    receive_rest(fd, size, got, flags, attempt)
}

/// Receives the rest after the first `got` bytes, for `MSG_WAITALL` on a stream socket.
fn receive_rest(
    fd: c_int,
    size: usize,
    got: ssize_t,
    flags: c_int,
    mut attempt: impl FnMut(usize) -> ssize_t,
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
            // The error is for the next call, and reading it here would clear it.
            if bits & libc::POLLERR != 0 && unread(fd) == 0 {
                break;
            }
            if flags & MSG_PEEK != 0 {
                // The unread bytes keep the socket ready: no event tells when more have come.
                if is_end(bits) || blocked.pause(blocked.deadline()).is_err() {
                    break;
                }
                let seen = attempt(0);
                if seen <= 0 {
                    break;
                }
                done = seen as usize;
                continue;
            }
            match attempt(done) {
                0 => break,
                -1 if errno::get() == libc::EAGAIN => {}
                -1 => break,
                got => done += got as usize,
            }
        }
        done as ssize_t
    })
}

/// Whether the kernel never blocks for these flags, whatever the socket's own are.
fn never_waits(flags: c_int) -> bool {
    flags & (MSG_OOB | MSG_ERRQUEUE) != 0
}

fn is_end(bits: c_short) -> bool {
    bits & (libc::POLLRDHUP | libc::POLLHUP | libc::POLLERR) != 0
}
