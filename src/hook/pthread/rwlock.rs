//! Pthread reader-writer locks, treated as mutexes are.

use std::arch::naked_asm;

use libc::{c_int, clockid_t, pthread_rwlock_t, timespec};

use super::lock::{self, Lock, record_unlock, with_caller};
use crate::rt::HeldAs;
use crate::sys::real;

/// pthread_rwlock_rdlock(3). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int {
    with_caller!(read, "rsi", "rdx", "x1", "x2");
}

/// pthread_rwlock_tryrdlock(3).
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_tryrdlock(lock: *mut pthread_rwlock_t) -> c_int {
    with_caller!(try_read, "rsi", "rdx", "x1", "x2");
}

/// pthread_rwlock_timedrdlock(3). May suspend.
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_timedrdlock(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
) -> c_int {
    with_caller!(read_timed, "rdx", "rcx", "x2", "x3");
}

/// pthread_rwlock_clockrdlock(3). May suspend.
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_clockrdlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    with_caller!(read_clock, "rcx", "r8", "x3", "x4");
}

/// pthread_rwlock_wrlock(3). May suspend.
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int {
    with_caller!(write, "rsi", "rdx", "x1", "x2");
}

/// pthread_rwlock_trywrlock(3).
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_trywrlock(lock: *mut pthread_rwlock_t) -> c_int {
    with_caller!(try_write, "rsi", "rdx", "x1", "x2");
}

/// pthread_rwlock_timedwrlock(3). May suspend.
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_timedwrlock(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
) -> c_int {
    with_caller!(write_timed, "rdx", "rcx", "x2", "x3");
}

/// pthread_rwlock_clockwrlock(3). May suspend.
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
#[unsafe(naked)]
unsafe extern "C" fn pthread_rwlock_clockwrlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    with_caller!(write_clock, "rcx", "r8", "x3", "x4");
}

/// pthread_rwlock_unlock(3).
///
/// # Safety
/// As for [`pthread_rwlock_rdlock`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the caller's contract.
    let result = unsafe { real::pthread_rwlock_unlock(lock) };
    if result == 0 {
        record_unlock(lock as usize);
    }
    result
}

unsafe extern "C" fn read(lock: *mut pthread_rwlock_t, address: usize, frame: usize) -> c_int {
    lock::lock(ReadLock(lock), address, frame)
}

unsafe extern "C" fn try_read(lock: *mut pthread_rwlock_t, address: usize, frame: usize) -> c_int {
    lock::try_lock(ReadLock(lock), address, frame)
}

unsafe extern "C" fn read_timed(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_rwlock_timedrdlock(lock, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(ReadLock(lock), libc::CLOCK_REALTIME, time, (address, frame), real) }
}

unsafe extern "C" fn read_clock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_rwlock_clockrdlock(lock, clock, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(ReadLock(lock), clock, time, (address, frame), real) }
}

unsafe extern "C" fn write(lock: *mut pthread_rwlock_t, address: usize, frame: usize) -> c_int {
    lock::lock(WriteLock(lock), address, frame)
}

unsafe extern "C" fn try_write(lock: *mut pthread_rwlock_t, address: usize, frame: usize) -> c_int {
    lock::try_lock(WriteLock(lock), address, frame)
}

unsafe extern "C" fn write_timed(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_rwlock_timedwrlock(lock, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(WriteLock(lock), libc::CLOCK_REALTIME, time, (address, frame), real) }
}

unsafe extern "C" fn write_clock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
    address: usize,
    frame: usize,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::pthread_rwlock_clockwrlock(lock, clock, time) };
    // SAFETY: the same.
    unsafe { lock::lock_until(WriteLock(lock), clock, time, (address, frame), real) }
}

/// A valid lock, to be locked for reading.
#[derive(Clone, Copy)]
struct ReadLock(*mut pthread_rwlock_t);

impl Lock for ReadLock {
    const HELD_AS: HeldAs = HeldAs::Reader;

    fn address(self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn try_lock(self) -> c_int {
        // SAFETY: a valid lock, here and below.
        unsafe { real::pthread_rwlock_tryrdlock(self.0) }
    }

    #[inline]
    fn lock(self) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_rwlock_rdlock(self.0) }
    }

    fn lock_until(self, time: &timespec) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_rwlock_timedrdlock(self.0, time) }
    }

    /// libc refuses to try it, whichever coroutine of the thread holds it.
    fn is_recursive(self) -> bool {
        false
    }
}

/// A valid lock, to be locked for writing.
#[derive(Clone, Copy)]
struct WriteLock(*mut pthread_rwlock_t);

impl Lock for WriteLock {
    const HELD_AS: HeldAs = HeldAs::Writer;

    fn address(self) -> usize {
        self.0 as usize
    }

    #[inline]
    fn try_lock(self) -> c_int {
        // SAFETY: a valid lock, here and below.
        unsafe { real::pthread_rwlock_trywrlock(self.0) }
    }

    #[inline]
    fn lock(self) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_rwlock_wrlock(self.0) }
    }

    fn lock_until(self, time: &timespec) -> c_int {
        // SAFETY: as above.
        unsafe { real::pthread_rwlock_timedwrlock(self.0, time) }
    }

    /// libc refuses to try it, whichever coroutine of the thread holds it.
    fn is_recursive(self) -> bool {
        false
    }
}
