//! Pthread mutexes. Each hook is entered by a few instructions that pass on where it was called from.
//
// All of this runs inside allocators and signal handlers as well: it does not allocate, except when a
// coroutine waits while it holds a mutex, which no allocator does.

use std::arch::naked_asm;

use libc::{c_int, clockid_t, pthread_mutex_t, timespec};

use super::lock::{self, Lock, record_unlock, with_caller};
use crate::rt::{self, HeldAs};
use crate::sys::{pthread_layout, real};

/// Returns how many waits have begun so far while their coroutine held a pthread mutex or
/// reader-writer lock, which nobody else could take meanwhile. Each pair of call sites, of the lock
/// and of the wait, is logged once as a warning. 0 unless [`rt::Options::lock_check`] is on.
pub fn waits_with_locks() -> u64 {
    rt::waits_with_locks()
}

/// Returns how often a coroutine locked a pthread mutex or reader-writer lock that another coroutine of
/// its worker held across a wait, and was suspended where it would have blocked for ever. Each pair of
/// call sites is logged once as an error. 0 unless [`rt::Options::lock_check`] is on.
pub fn deadlocks_averted() -> u64 {
    rt::deadlocks()
}

/// pthread_mutex_lock(3). May suspend: where it would never return otherwise, or by `hook_locks`.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    with_caller!(lock_mutex, "rsi", "rdx", "x1", "x2");
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
    if result == 0 {
        record_unlock(mutex as usize);
    }
    result
}

unsafe extern "C" fn lock_mutex(
    mutex: *mut pthread_mutex_t,
    address: usize,
    frame: usize,
) -> c_int {
    lock::lock(Mutex(mutex), address, frame)
}

unsafe extern "C" fn try_lock(mutex: *mut pthread_mutex_t, address: usize, frame: usize) -> c_int {
    lock::try_lock(Mutex(mutex), address, frame)
}

unsafe extern "C" fn timed_lock(
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_mutex_timedlock(mutex, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(Mutex(mutex), libc::CLOCK_REALTIME, time, (address, frame), real) }
}

unsafe extern "C" fn clock_lock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_mutex_clocklock(mutex, clock, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(Mutex(mutex), clock, time, (address, frame), real) }
}

/// A valid mutex, to be locked.
#[derive(Clone, Copy)]
pub(super) struct Mutex(pub(super) *mut pthread_mutex_t);

impl Lock for Mutex {
    const HELD_AS: HeldAs = HeldAs::Mutex;

    fn address(self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn try_lock(self) -> c_int {
        // SAFETY: a valid mutex, here and below.
        unsafe { real::pthread_mutex_trylock(self.0) }
    }

    #[inline]
    fn lock(self) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_mutex_lock(self.0) }
    }

    fn lock_until(self, time: &timespec) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_mutex_timedlock(self.0, time) }
    }

    fn is_recursive(self) -> bool {
        // SAFETY: as above.
        unsafe { pthread_layout::is_recursive(self.0) }
    }
}
