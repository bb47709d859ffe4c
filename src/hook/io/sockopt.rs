//! What a socket says of itself: time-outs, type and protocol, unread bytes.

use std::time::Duration;

use libc::{c_int, socklen_t};

use crate::hook::errno;
use crate::rt::Interest;

/// Returns what the program set by `SO_RCVTIMEO` or `SO_SNDTIMEO`; `None` for a non-socket too.
pub(super) fn timeout(fd: c_int, interest: Interest) -> Option<Duration> {
    let name = if interest == Interest::Read { libc::SO_RCVTIMEO } else { libc::SO_SNDTIMEO };
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut size = size_of_val(&value) as socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: `value` has `size` bytes.
    let found = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut size) };
    let is_set = found == 0 && (value.tv_sec, value.tv_usec) != (0, 0);
    is_set.then(|| {
        Duration::from_secs(value.tv_sec.max(0) as u64)
            + Duration::from_micros(value.tv_usec.max(0) as u64)
    })
}

/// Returns an integer option of the level `SOL_SOCKET`, or the errno.
pub(super) fn option(fd: c_int, name: c_int) -> Result<c_int, c_int> {
    let mut value: c_int = 0;
    let mut size = size_of::<c_int>() as socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: `value` has `size` bytes.
    match unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, name, place, &mut size) } {
        0 => Ok(value),
        _ => Err(errno::get()),
    }
}

pub(super) fn is_tcp(fd: c_int) -> bool {
    option(fd, libc::SO_PROTOCOL) == Ok(libc::IPPROTO_TCP)
}

/// Returns the number of bytes in the receive queue.
pub(super) fn unread(fd: c_int) -> c_int {
    let mut count = 0;
    // SAFETY: a place for the number.
    let asked = unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) };
    if asked == -1 { 0 } else { count }
}
