//! poll(2) and ppoll(2).

use std::ptr;
use std::time::Duration;

use libc::{c_int, nfds_t, pollfd, sigset_t, size_t, timespec};

use crate::hook::switch::is_on;
use crate::hook::{errno, time, wait};
use crate::rt::{self, Deadline};
use crate::sys::real;

/// poll(2). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract.
        return unsafe { real::poll(fds, count, timeout) };
    }
    let deadline = match timeout {
        0 => Deadline::NOW,
        ..0 => Deadline::NEVER,
        _ => Deadline::after(Duration::from_millis(timeout as u64)),
    };
    // SAFETY: the caller's contract.
    unsafe { poll_by(fds, count, deadline) }
}

/// poll(2) under glibc's internal name.
///
/// # Safety
/// As for [`poll`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    // SAFETY: the same contract.
    unsafe { poll(fds, count, timeout) }
}

/// poll(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`poll`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __poll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: c_int,
    room: size_t,
) -> c_int {
    if !is_on() || room / size_of::<pollfd>() < count as usize {
        // SAFETY: the caller's contract; it aborts when the array is too small.
        return unsafe { real::__poll_chk(fds, count, timeout, room) };
    }
    // SAFETY: the same contract.
    unsafe { poll(fds, count, timeout) }
}

/// ppoll(2). May suspend.
///
/// # Safety
/// As for [`poll`].
#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract.
        return unsafe { real::ppoll(fds, count, timeout, mask) };
    }
    // SAFETY: NULL or valid.
    let Ok(deadline) = (unsafe { time::deadline(timeout) }) else {
        return errno::fail(libc::EINVAL);
    };
    if mask.is_null() {
        // SAFETY: the same contract.
        return unsafe { poll_by(fds, count, deadline) };
    }
    // The mask is the thread's, on which other coroutines run meanwhile: it is in force at each check.
    check_until(deadline, || {
        let now = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the same contract.
        unsafe { real::ppoll(fds, count, &now, mask) }
    })
}

/// ppoll(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`poll`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __ppoll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> c_int {
    if !is_on() || room / size_of::<pollfd>() < count as usize {
        // SAFETY: the caller's contract; it aborts when the array is too small.
        return unsafe { real::__ppoll_chk(fds, count, timeout, mask, room) };
    }
    // SAFETY: the same contract.
    unsafe { ppoll(fds, count, timeout, mask) }
}

/// Calls `check` until it finds something or the deadline has passed, with pauses in between.
pub(super) fn check_until(deadline: Deadline, mut check: impl FnMut() -> c_int) -> c_int {
    errno::unless_failed(|| {
        let mut pause = Duration::from_millis(1);
        loop {
            let found = check();
            if found != 0 || deadline.has_passed() {
                return found;
            }
            let left = deadline.remaining().map_or(pause, |left| left.min(pause));
            if let Err(code) = wait::pause(left) {
                return errno::fail(code);
            }
            pause = (pause * 2).min(MAX_PAUSE);
        }
    })
}

/// # Safety
/// As poll(2).
unsafe fn poll_by(fds: *mut pollfd, count: nfds_t, deadline: Deadline) -> c_int {
    errno::unless_failed(|| {
        // The kernel checks the arguments, before anything is read here.
        let now = if count == 0 {
            0
        } else {
            // SAFETY: the caller's contract.
            unsafe { real::poll(fds, count, 0) }
        };
        if now != 0 {
            return now;
        }
        let fds: &mut [pollfd] = if count == 0 {
            &mut []
        } else {
            // SAFETY: the kernel has just written to all entries.
            unsafe { &mut *ptr::slice_from_raw_parts_mut(fds, count as usize) }
        };
        if deadline.has_passed() {
            // A loop that polls without waiting must let other coroutines run.
            rt::yield_now();
            return 0;
        }
        match rt::poll_fds(fds, deadline) {
            Ok(ready) => ready as c_int,
            Err(error) => errno::fail(errno::of(&error)),
        }
    })
}

const MAX_PAUSE: Duration = Duration::from_millis(16);
