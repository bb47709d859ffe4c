//! Mutexes of pthreads. They stay libc's; what is added is to know which ones a coroutine holds, and
//! not to block a worker for a mutex that only a coroutine of that very worker could unlock.
//!
//! Each function is entered by a few instructions that note where it was called from. What follows
//! runs inside allocators and signal handlers as well: it takes no memory, unless a coroutine waits
//! with a mutex, which no allocator does.

use std::arch::naked_asm;

use libc::{c_int, clockid_t, pthread_mutex_t, timespec};

use super::lock::{self, Lock, note_unlock, with_caller};
use crate::rt::{self, HeldAs};
use crate::sys::{pthread_layout, real};

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

/// pthread_mutex_lock(3). May suspend a coroutine, where it would never return otherwise.
///
/// # Safety
/// As the man page says; so for all functions here.
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
        note_unlock(mutex as usize);
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

/// Valid, as the functions of pthreads want it.
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
