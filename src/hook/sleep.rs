//! sleep(3), usleep(3), nanosleep(2), clock_nanosleep(2). In a canceled coroutine they end early, as by
//! a signal, and report the time that is left.

use std::time::Duration;

use libc::{c_int, c_uint, clockid_t, timespec};

use super::switch::is_on;
use super::{errno, time};
use crate::rt::{self, Deadline};
use crate::sys::real;

/// sleep(3). May suspend.
#[unsafe(no_mangle)]
extern "C" fn sleep(seconds: c_uint) -> c_uint {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: any number is allowed.
        return unsafe { real::sleep(seconds) };
    }
    let deadline = Deadline::after(Duration::from_secs(seconds.into()));
    match suspend_until(deadline) {
        Ok(()) => 0,
        Err(left) => left.as_secs() as c_uint,
    }
}

/// usleep(3). May suspend.
#[unsafe(no_mangle)]
extern "C" fn usleep(microseconds: c_uint) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: any number is allowed.
        return unsafe { real::usleep(microseconds) };
    }
    let deadline = Deadline::after(Duration::from_micros(microseconds.into()));
    match suspend_until(deadline) {
        Ok(()) => 0,
        Err(_) => errno::fail(libc::EINTR),
    }
}

/// nanosleep(2). May suspend.
///
/// # Safety
/// The man page's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn nanosleep(wanted: *const timespec, rest: *mut timespec) -> c_int {
    if !is_on() || !rt::can_suspend() || wanted.is_null() {
        // SAFETY: the caller's contract.
        return unsafe { real::nanosleep(wanted, rest) };
    }
    // SAFETY: the same.
    match unsafe { clock_nanosleep(libc::CLOCK_MONOTONIC, 0, wanted, rest) } {
        0 => 0,
        code => errno::fail(code),
    }
}

/// clock_nanosleep(2). May suspend.
///
/// # Safety
/// The man page's contract.
#[unsafe(no_mangle)]
unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    wanted: *const timespec,
    rest: *mut timespec,
) -> c_int {
    let known =
        [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC, libc::CLOCK_BOOTTIME, libc::CLOCK_TAI];
    if !is_on() || !rt::can_suspend() || wanted.is_null() || !known.contains(&clock) {
        // SAFETY: the caller's contract.
        return unsafe { real::clock_nanosleep(clock, flags, wanted, rest) };
    }
    // SAFETY: valid by the same contract; not NULL.
    let Ok(wanted) = time::duration(unsafe { &*wanted }) else { return libc::EINVAL };
    // Unlike the others it returns its error, and leaves errno alone.
    errno::kept(|| {
        if flags & libc::TIMER_ABSTIME != 0 {
            return sleep_until(clock, wanted);
        }
        match suspend_until(Deadline::after(wanted)) {
            Ok(()) => 0,
            Err(left) => {
                if !rest.is_null() {
                    // SAFETY: the same contract.
                    unsafe { *rest = time::timespec(left) };
                }
                libc::EINTR
            }
        }
    })
}

/// Sleeps until `clock` shows `end`. Notices within [`CLOCK_CHECK`] that the clock was set.
fn sleep_until(clock: clockid_t, end: Duration) -> c_int {
    loop {
        let left = time::until(clock, end);
        if left.is_zero() {
            return 0;
        }
        let settable = clock != libc::CLOCK_MONOTONIC;
        let step = if settable { left.min(CLOCK_CHECK) } else { left };
        if suspend_until(Deadline::after(step)).is_err() {
            return libc::EINTR;
        }
    }
}

/// Suspends the coroutine until `deadline`, or if it is canceled returns the time that is left.
fn suspend_until(deadline: Deadline) -> Result<(), Duration> {
    loop {
        let left = deadline.remaining().unwrap_or(Duration::MAX);
        match rt::sleep(left) {
            Ok(()) if deadline.has_passed() => return Ok(()),
            Ok(()) => {}
            Err(_) => {
                // Programs call again with the rest: others must get to run in between.
                rt::yield_now();
                return Err(deadline.remaining().unwrap_or(Duration::MAX));
            }
        }
    }
}

/// How often a clock that can be set is read again.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
