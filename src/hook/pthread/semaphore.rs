//! POSIX semaphores. A post through the hook, from any thread or signal handler, wakes a waiter at
//! once; a post that bypasses it (from another process, or a library that is not hooked) is found
//! by polling.

use std::time::Duration;

use libc::{c_int, clockid_t, sem_t, timespec};

use crate::hook::switch::is_on;
use crate::hook::{errno, time};
use crate::rt::{self, Attempt, Deadline, WaitError};
use crate::sys::real;

/// sem_wait(3). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_wait(semaphore: *mut sem_t) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract.
        return unsafe { real::sem_wait(semaphore) };
    }
    // SAFETY: the same contract.
    unsafe { wait(semaphore, || Deadline::NEVER) }
}

/// sem_timedwait(3). May suspend.
///
/// # Safety
/// As for [`sem_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_timedwait(semaphore: *mut sem_t, time: *const timespec) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract.
        return unsafe { real::sem_timedwait(semaphore, time) };
    }
    // SAFETY: the same contract.
    unsafe { wait_until(semaphore, libc::CLOCK_REALTIME, time) }
}

/// sem_clockwait(3). May suspend.
///
/// # Safety
/// As for [`sem_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_clockwait(
    semaphore: *mut sem_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    let known = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock);
    if !is_on() || !rt::can_suspend() || !known {
        // SAFETY: the caller's contract.
        return unsafe { real::sem_clockwait(semaphore, clock, time) };
    }
    // SAFETY: the same contract.
    unsafe { wait_until(semaphore, clock, time) }
}

/// sem_post(3), from any thread and from signal handlers.
///
/// # Safety
/// As for [`sem_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sem_post(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller's contract.
    let result = unsafe { real::sem_post(semaphore) };
    // It may be destroyed by now: the address is no more than a number.
    rt::notify_address(semaphore as usize);
    result
}

/// # Safety
/// As for [`sem_wait`].
unsafe fn wait_until(semaphore: *mut sem_t, clock: clockid_t, time: *const timespec) -> c_int {
    // SAFETY: the caller's contract.
    let time = unsafe { *time };
    if !(0..1_000_000_000).contains(&time.tv_nsec) {
        return errno::fail(libc::EINVAL);
    }
    // SAFETY: the caller's contract.
    unsafe { wait(semaphore, || time::deadline_at(clock, &time)) }
}

/// # Safety
/// As for [`sem_wait`].
unsafe fn wait(semaphore: *mut sem_t, deadline: impl Fn() -> Deadline) -> c_int {
    let before = errno::get();
    // SAFETY: the caller's contract; nobody may destroy a semaphore for which somebody waits.
    let take = || unsafe { libc::sem_trywait(semaphore) };
    if take() == 0 {
        return 0;
    }
    if errno::get() != libc::EAGAIN {
        return -1;
    }
    if deadline().has_passed() {
        rt::yield_now();
        return errno::fail(libc::ETIMEDOUT);
    }
    // SAFETY: the caller's contract.
    let longest = if unsafe { is_shared(semaphore) } { SHARED_CHECK } else { PRIVATE_CHECK };
    let look = || if take() == 0 { Attempt::Took } else { Attempt::Failed };
    match rt::wait_address(semaphore as usize, deadline, FIRST_PAUSE..longest, look) {
        Ok(()) => {
            errno::set(before);
            0
        }
        Err(WaitError::TimedOut) => errno::fail(libc::ETIMEDOUT),
        Err(WaitError::Canceled) => errno::fail(libc::ECANCELED),
        // The program calls again, and then calls libc.
        Err(WaitError::Forked) => errno::fail(libc::EINTR),
    }
}

/// Whether other processes may post, where libc's layout is known: a hint for how often to poll.
///
/// # Safety
/// A valid semaphore.
unsafe fn is_shared(semaphore: *mut sem_t) -> bool {
    // glibc since 2.21: 64 bits for value and waiters, then 0 or the flag of a shared futex.
    let place = semaphore.cast::<u32>().wrapping_add(2);
    // SAFETY: the caller's contract; only sem_init(3) writes it.
    cfg!(not(target_env = "gnu")) || unsafe { place.read_volatile() } != 0
}

const FIRST_PAUSE: Duration = Duration::from_millis(1);
/// How often a waiter checks for a post from another process.
const SHARED_CHECK: Duration = Duration::from_millis(16);
/// How often it checks for a post of this process that bypassed the hook.
const PRIVATE_CHECK: Duration = Duration::from_secs(1);
