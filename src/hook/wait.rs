//! Waits of hooked calls: for an fd or for a time, with the errno that the program gets.

use std::io;
use std::time::Duration;

use libc::{c_int, c_short, pollfd};

use super::errno;
use crate::rt::{self, Deadline, Interest};
use crate::sys::c;

/// Suspends the coroutine for `pause`.
pub(super) fn pause(pause: Duration) -> Result<(), c_int> {
    rt::sleep(pause).map_err(|error| errno::of(&error))
}

/// Waits until `fd` is ready, and returns poll's bits. Preserves errno.
///
/// # Errors
/// The errno for the program: `EAGAIN` at the deadline, `ECANCELED`, `EBADF` after a close.
pub(super) fn ready(fd: c_int, interest: Interest, deadline: Deadline) -> Result<c_short, c_int> {
    ready_by(rt::wait_fd, fd, interest, deadline)
}

/// As [`ready`], just after a call on `fd` failed with `EAGAIN`.
pub(super) fn ready_again(
    fd: c_int,
    interest: Interest,
    deadline: Deadline,
) -> Result<c_short, c_int> {
    ready_by(rt::wait_unready, fd, interest, deadline)
}

fn ready_by(
    wait: fn(c_int, Interest, Deadline) -> io::Result<c_short>,
    fd: c_int,
    interest: Interest,
    deadline: Deadline,
) -> Result<c_short, c_int> {
    if !rt::can_suspend() {
        return errno::kept(|| block(fd, interest, deadline));
    }
    let waited = errno::kept(|| wait(fd, interest, deadline));
    waited.map_err(|error| match errno::of(&error) {
        libc::ETIMEDOUT => libc::EAGAIN,
        code => code,
    })
}

/// Blocks the thread, where the caller may not suspend.
fn block(fd: c_int, interest: Interest, deadline: Deadline) -> Result<c_short, c_int> {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
        Interest::Both => libc::POLLIN | libc::POLLOUT,
    };
    let mut entry = pollfd { fd, events, revents: 0 };
    let timeout = rt::millis_until(deadline);
    // SAFETY: one valid entry.
    match unsafe { c::poll(&mut entry, 1, timeout) } {
        0 => Err(libc::EAGAIN),
        -1 => Err(errno::get()),
        _ => Ok(entry.revents),
    }
}
