//! epoll_wait(2), epoll_pwait(2), epoll_pwait2(2): the coroutine waits until the epoll fd is readable.

use std::time::Duration;

use libc::{c_int, epoll_event, sigset_t, timespec};

use super::poll::check_until;
use crate::hook::switch::is_on;
use crate::hook::{errno, time, wait};
use crate::rt::{self, Deadline, Interest};
use crate::sys::real;

/// epoll_wait(2). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
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
    // SAFETY: as above.
    unsafe { wait_by(epoll, events, count, deadline(timeout)) }
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
    check_until(deadline(timeout), || {
        // SAFETY: as above.
        unsafe { real::epoll_pwait(epoll, events, count, 0, mask) }
    })
}

/// epoll_pwait2(2). May suspend.
///
/// # Safety
/// As for [`epoll_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn epoll_pwait2(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::epoll_pwait2(epoll, events, count, timeout, mask) };
    }
    // SAFETY: as above: NULL or valid.
    let Ok(deadline) = (unsafe { time::deadline(timeout) }) else {
        return errno::fail(libc::EINVAL);
    };
    if mask.is_null() {
        // SAFETY: as above.
        return unsafe { wait_by(epoll, events, count, deadline) };
    }
    check_until(deadline, || {
        // SAFETY: as above.
        unsafe { real::epoll_pwait(epoll, events, count, 0, mask) }
    })
}

/// # Safety
/// As for [`epoll_wait`].
unsafe fn wait_by(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    deadline: Deadline,
) -> c_int {
    loop {
        // SAFETY: the caller's contract.
        let found = unsafe { real::epoll_wait(epoll, events, count, 0) };
        if found != 0 {
            return found;
        }
        if deadline.has_passed() {
            rt::yield_now();
            return 0;
        }
        match wait::ready(epoll, Interest::Read, deadline) {
            Ok(_) => {}
            Err(libc::EAGAIN) => return 0,
            Err(code) => return errno::fail(code),
        }
    }
}

fn deadline(timeout: c_int) -> Deadline {
    match u64::try_from(timeout) {
        Ok(0) => Deadline::NOW,
        Ok(millis) => Deadline::after(Duration::from_millis(millis)),
        Err(_) => Deadline::NEVER,
    }
}
