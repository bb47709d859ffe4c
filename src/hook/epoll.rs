//! epoll_wait(2): an epoll fd is itself one that can be waited for.

use std::time::Duration;

use libc::{c_int, epoll_event, sigset_t};

use super::poll::look_until;
use super::switch::is_on;
use super::{blocked, errno};
use crate::rt::{self, Deadline, Interest};
use crate::sys::real;

/// epoll_wait(2). May suspend.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::epoll_wait(epoll, events, count, timeout) };
    }
    let deadline = deadline(timeout);
    loop {
        // SAFETY: as above.
        let found = unsafe { real::epoll_wait(epoll, events, count, 0) };
        if found != 0 {
            return found;
        }
        if deadline.has_passed() {
            rt::yield_now();
            return 0;
        }
        match blocked::ready(epoll, Interest::Read, deadline) {
            Ok(_) => {}
            Err(libc::EAGAIN) => return 0,
            Err(code) => return errno::fail(code),
        }
    }
}

/// epoll_pwait(2). May suspend.
///
/// # Safety
/// As for [`epoll_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::epoll_pwait(epoll, events, count, timeout, mask) };
    }
    if mask.is_null() {
        // SAFETY: as above.
        return unsafe { epoll_wait(epoll, events, count, timeout) };
    }
    look_until(deadline(timeout), || {
        // SAFETY: as above.
        unsafe { real::epoll_pwait(epoll, events, count, 0, mask) }
    })
}

fn deadline(timeout: c_int) -> Deadline {
    match u64::try_from(timeout) {
        Ok(0) => Deadline::NOW,
        Ok(millis) => Deadline::after(Duration::from_millis(millis)),
        Err(_) => Deadline::NEVER,
    }
}
