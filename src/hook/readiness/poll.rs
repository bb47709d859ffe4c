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
/// As the man page says; so for all functions here.
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

/// The name within glibc.
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
        // SAFETY: the caller's contract; it ends the process when there is too little room.
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
    // The mask is the thread's, and other coroutines run on it meanwhile: it holds at each look.
    look_until(deadline, || {
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
        // SAFETY: the caller's contract; it ends the process when there is too little room.
        return unsafe { real::__ppoll_chk(fds, count, timeout, mask, room) };
    }
    // SAFETY: the same contract.
    unsafe { ppoll(fds, count, timeout, mask) }
}

/// Calls `look` until it finds something or the deadline has passed, for want of events.
pub(super) fn look_until(deadline: Deadline, mut look: impl FnMut() -> c_int) -> c_int {
    errno::unless_failed(|| {
        let mut pause = Duration::from_millis(1);
        loop {
            let found = look();
            if found != 0 || deadline.has_passed() {
                return found;
            }
            let left = deadline.remaining().map_or(pause, |left| left.min(pause));
            if let Err(code) = wait::pause(left) {
                return errno::fail(code);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    })
}

/// # Safety
/// As poll(2).
unsafe fn poll_by(fds: *mut pollfd, count: nfds_t, deadline: Deadline) -> c_int {
    errno::unless_failed(|| {
        // What the kernel would refuse, it shall refuse; nothing is read here before it was.
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
            // SAFETY: the kernel has just written to all of them.
            unsafe { &mut *ptr::slice_from_raw_parts_mut(fds, count as usize) }
        };
        if deadline.has_passed() {
            // A loop of such calls must not keep the others from running.
            rt::yield_now();
            return 0;
        }
        match rt::poll_fds(fds, deadline) {
            Ok(ready) => ready as c_int,
            Err(error) => errno::fail(errno::of(&error)),
        }
    })
}

const LONGEST_PAUSE: Duration = Duration::from_millis(16);
