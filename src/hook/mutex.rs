//! Mutexes of pthreads. They stay libc's; what is added is to know which ones a coroutine holds, and
//! not to block a worker for a mutex that only a coroutine of that very worker could unlock.
//!
//! Each function is entered by a few instructions that note where it was called from. What follows
//! runs inside allocators and signal handlers as well: it takes no memory, unless a coroutine waits
//! with a mutex, which no allocator does.

use std::arch::naked_asm;
use std::ops::Range;
use std::time::Duration;

use libc::{c_int, clockid_t, pthread_mutex_t, timespec};

use super::{allocator, errno, sleep};
use crate::rt::{self, Deadline, Holder, Look, Site, WaitError};
use crate::sys::{kinds, real};

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
pub(super) unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut pthread_mutex_t) -> c_int {
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

pub(super) unsafe extern "C" fn lock(
    mutex: *mut pthread_mutex_t,
    address: usize,
    frame: usize,
) -> c_int {
    let Some(holder) = Holder::current() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_mutex_lock(mutex) };
    };
    let site = holder.site(address, frame);
    if must_suspend(holder, mutex) || may_suspend(holder, address) {
        return lock_suspending(holder, mutex, site);
    }
    // SAFETY: as above.
    noted(holder, mutex, site, unsafe { real::pthread_mutex_lock(mutex) })
}

unsafe extern "C" fn try_lock(mutex: *mut pthread_mutex_t, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else {
        // SAFETY: the caller's contract.
        return unsafe { real::pthread_mutex_trylock(mutex) };
    };
    try_noted(holder, mutex, holder.site(address, frame))
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
    if must_suspend(holder, mutex) || may_suspend(holder, address) {
        // SAFETY: as above.
        return lock_until(holder, mutex, site, libc::CLOCK_REALTIME, unsafe { *time });
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
    if must_suspend(holder, mutex) || may_suspend(holder, address) {
        // SAFETY: as above.
        return lock_until(holder, mutex, site, clock, unsafe { *time });
    }
    // SAFETY: as above.
    noted(holder, mutex, site, unsafe { real::pthread_mutex_clocklock(mutex, clock, time) })
}

/// Locks without waiting.
fn try_noted(holder: Holder, mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    let address = mutex as usize;
    let is_held = holder.is_held_by_other(address);
    // To libc a recursive mutex would be the caller's own: its owner is the thread.
    // SAFETY: the contract of whoever locks, here and below.
    if is_held && unsafe { kinds::is_recursive(mutex) } {
        return libc::EBUSY;
    }
    // SAFETY: as above.
    let result = unsafe { real::pthread_mutex_trylock(mutex) };
    if is_held && has_locked(result) {
        // Somebody unlocked it past the hooks, or from another thread.
        holder.pop_of_other(address);
    }
    noted(holder, mutex, site, result)
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
    holder.is_held_by_other(mutex as usize)
}

/// Whether a lock at `address` suspends if it has to wait, by the option `hook_locks`. Not within an
/// allocator: it may be half way through what it keeps for the thread.
#[inline]
fn may_suspend(holder: Holder, address: usize) -> bool {
    holder.suspends() && !allocator::contains(address)
}

pub(super) fn lock_suspending(holder: Holder, mutex: *mut pthread_mutex_t, site: Site) -> c_int {
    lock_by(holder, mutex, site, || Deadline::NEVER)
}

fn lock_until(
    holder: Holder,
    mutex: *mut pthread_mutex_t,
    site: Site,
    clock: clockid_t,
    time: timespec,
) -> c_int {
    match try_noted(holder, mutex, site) {
        libc::EBUSY if !(0..1_000_000_000).contains(&time.tv_nsec) => libc::EINVAL,
        libc::EBUSY => lock_by(holder, mutex, site, || sleep::deadline_at(clock, &time)),
        result => result,
    }
}

/// Locks the mutex as soon as it is free.
fn lock_by(
    holder: Holder,
    mutex: *mut pthread_mutex_t,
    site: Site,
    deadline: impl Fn() -> Deadline,
) -> c_int {
    let address = mutex as usize;
    let result = try_noted(holder, mutex, site);
    if result != libc::EBUSY {
        return result;
    }
    if !rt::is_own_process() {
        // A child of vfork(2) runs on the stack of its parent, which sleeps.
        // SAFETY: the caller's contract.
        return unsafe { real::pthread_mutex_lock(mutex) };
    }
    if holder.site_of(address).is_some() {
        // Its own: libc knows whether that is an error. It waits for no time.
        let past = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: the caller's contract, and a valid time.
        let result = unsafe { real::pthread_mutex_timedlock(mutex, &past) };
        if result != libc::ETIMEDOUT {
            return noted(holder, mutex, site, result);
        }
    }
    holder.report_deadlock(address);
    let mut result = libc::EBUSY;
    let look = || {
        // Noted at once: others of this worker may run before the one that waited.
        result = try_noted(holder, mutex, site);
        if result == libc::EBUSY { Look::Nothing } else { Look::Took }
    };
    // A lock cannot fail because somebody was cancelled: the program does not expect it.
    let waited =
        errno::kept(|| rt::uncancellable(|| rt::wait_address(address, deadline, PAUSES, look)));
    match waited {
        Ok(()) => result,
        Err(WaitError::TimedOut) => libc::ETIMEDOUT,
        // SAFETY: the caller's contract. Another process; or never.
        Err(WaitError::Forked | WaitError::Canceled) => unsafe { real::pthread_mutex_lock(mutex) },
    }
}

/// An unlock within libc, by a thread that waits for a condition, is found by looking again.
const PAUSES: Range<Duration> = Duration::from_micros(100)..Duration::from_millis(16);
