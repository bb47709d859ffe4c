//! Mutexes of pthreads. They stay libc's; what is added is to know which ones a coroutine holds, and
//! not to block a worker for a mutex that only a coroutine of that very worker could unlock.
//!
//! Each function is entered by a few instructions that note where it was called from. What follows
//! runs inside allocators and signal handlers as well: it takes no memory, unless a coroutine waits
//! with a mutex, which no allocator does.

use std::arch::naked_asm;
use std::time::Duration;

use libc::{c_int, clockid_t, pthread_mutex_t, timespec};

use super::{errno, sleep};
use crate::rt::{self, Deadline, Holder, Look, Site, WaitError};
use crate::sys::real;

/// How many waits have begun so far while their coroutine held a mutex of pthreads: each of them keeps
/// others from that mutex. Each pair of places, of a lock and of a wait, is logged once as a warning.
/// Counted as long as [`rt::Options::lock_check`](crate::rt::Options::lock_check) is on.
pub fn waits_with_locks() -> u64 {
    rt::waits_with_locks()
}

/// How often a coroutine wanted a mutex of pthreads that another coroutine of the same worker held in
/// a wait, and was suspended where it would have blocked for ever. Each pair of places is logged once
/// as an error.
pub fn deadlocks_averted() -> u64 {
    rt::deadlocks()
}

/// Goes on at `$to` with two more arguments, in these registers: the address to which the call
/// returns, and the caller's frame pointer.
macro_rules! with_caller {
    ($to:path, $x86_address:literal, $x86_frame:literal, $arm_address:literal, $arm_frame:literal) => {
        #[cfg(target_arch = "x86_64")]
        naked_asm!(
            concat!("mov ", $x86_address, ", [rsp]"),
            concat!("mov ", $x86_frame, ", rbp"),
            "jmp {}",
            sym $to,
        );
        #[cfg(target_arch = "aarch64")]
        naked_asm!(
            concat!("mov ", $arm_address, ", x30"),
            concat!("mov ", $arm_frame, ", x29"),
            "b {}",
            sym $to,
        )
    };
}

/// pthread_mutex_lock(3). May suspend a coroutine, where it would never return otherwise.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    with_caller!(lock, "rsi", "rdx", "x1", "x2");
}

/// pthread_mutex_trylock(3).
///
/// # Safety
/// As for [`pthread_mutex_lock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int {
    with_caller!(try_lock, "rsi", "rdx", "x1", "x2");
}

/// pthread_mutex_timedlock(3). May suspend as [`pthread_mutex_lock`] does.
///
/// # Safety
/// As for [`pthread_mutex_lock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_mutex_timedlock(
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
) -> c_int {
    with_caller!(timed_lock, "rdx", "rcx", "x2", "x3");
}

/// pthread_mutex_clocklock(3). May suspend as [`pthread_mutex_lock`] does.
///
/// # Safety
/// As for [`pthread_mutex_lock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_mutex_clocklock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    with_caller!(clock_lock, "rcx", "r8", "x3", "x4");
}

/// pthread_mutex_unlock(3).
///
/// # Safety
/// As for [`pthread_mutex_lock`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut pthread_mutex_t) -> c_int {
    // SAFETY: the caller's contract.
    let result = unsafe { real::pthread_mutex_unlock(mutex) };
    // From here on somebody may have destroyed it: its address is a number.
    if result == 0 {
        if let Some(holder) = Holder::current() {
            holder.pop(mutex as usize);
        }
        rt::notify_address(mutex as usize);
    }
    result
}

unsafe extern "C" fn lock(mutex: *mut pthread_mutex_t, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_mutex_lock(mutex) };
    };
    let site = holder.site(address, frame);
    if must_suspend(holder, mutex) {
        return suspend(holder, mutex, site, || Deadline::NEVER);
    }
    // SAFETY: as above.
    noted(holder, mutex, site, unsafe { real::pthread_mutex_lock(mutex) })
}

unsafe extern "C" fn try_lock(mutex: *mut pthread_mutex_t, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_mutex_trylock(mutex) };
    };
    if holder.is_held_by_other(mutex as usize) {
        // To libc a recursive mutex would be the caller's own: its owner is the thread.
        return libc::EBUSY;
    }
    // SAFETY: as above.
    let result = unsafe { real::pthread_mutex_trylock(mutex) };
    noted(holder, mutex, holder.site(address, frame), result)
}

unsafe extern "C" fn timed_lock(
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    let Some(holder) = Holder::current() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_mutex_timedlock(mutex, time) };
    };
    let site = holder.site(address, frame);
    if must_suspend(holder, mutex) {
        // SAFETY: as above.
        return suspend_until(holder, mutex, site, libc::CLOCK_REALTIME, unsafe { *time });
    }
    // SAFETY: as above.
    noted(holder, mutex, site, unsafe { real::pthread_mutex_timedlock(mutex, time) })
}

unsafe extern "C" fn clock_lock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    let known = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock);
    let Some(holder) = Holder::current().filter(|_| known) else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_mutex_clocklock(mutex, clock, time) };
    };
    let site = holder.site(address, frame);
    if must_suspend(holder, mutex) {
        // SAFETY: as above.
        return suspend_until(holder, mutex, site, clock, unsafe { *time });
    }
    // SAFETY: as above.
    noted(holder, mutex, site, unsafe { real::pthread_mutex_clocklock(mutex, clock, time) })
}

/// What libc answered to a lock, noted if that succeeded.
#[inline]
fn noted(holder: Holder, mutex: *mut pthread_mutex_t, site: Site, result: c_int) -> c_int {
    if has_locked(result) {
        holder.push(mutex as usize, site);
    }
    result
}

/// A robust mutex whose owner died is locked as well.
#[inline]
fn has_locked(result: c_int) -> bool {
    result == 0 || result == libc::EOWNERDEAD
}

/// Whether nobody could ever unlock the mutex, if libc blocked for it here.
#[inline]
fn must_suspend(holder: Holder, mutex: *mut pthread_mutex_t) -> bool {
    holder.is_held_by_other(mutex as usize) && rt::is_own_process()
}

#[cold]
fn suspend_until(
    holder: Holder,
    mutex: *mut pthread_mutex_t,
    site: Site,
    clock: clockid_t,
    time: timespec,
) -> c_int {
    if !(0..1_000_000_000).contains(&time.tv_nsec) {
        return libc::EINVAL;
    }
    suspend(holder, mutex, site, || sleep::deadline_at(clock, &time))
}

/// Locks the mutex, which another coroutine of this worker holds, as soon as that has unlocked it.
#[cold]
fn suspend(
    holder: Holder,
    mutex: *mut pthread_mutex_t,
    site: Site,
    deadline: impl Fn() -> Deadline,
) -> c_int {
    let address = mutex as usize;
    holder.report_deadlock(address);
    let mut result = libc::EBUSY;
    let look = || {
        if holder.is_held_by_other(address) {
            return Look::Nothing;
        }
        // SAFETY: whoever waits for a mutex may count on it.
        result = unsafe { real::pthread_mutex_trylock(mutex) };
        if result == libc::EBUSY {
            return Look::Nothing;
        }
        // At once: others of this worker may run before the one that waited.
        noted(holder, mutex, site, result);
        Look::Took
    };
    // A lock cannot fail because somebody was cancelled: the program does not expect it.
    let waited =
        errno::kept(|| rt::uncancellable(|| rt::wait_address(address, deadline, LOOK_AGAIN, look)));
    match waited {
        Ok(()) => result,
        Err(WaitError::TimedOut) => libc::ETIMEDOUT,
        // SAFETY: the caller's contract. Another process; or never.
        Err(WaitError::Forked | WaitError::Canceled) => unsafe { real::pthread_mutex_lock(mutex) },
    }
}

/// How long an unlock within libc, by a wait for a condition, may go unnoticed.
const LOOK_AGAIN: Duration = Duration::from_millis(16);
