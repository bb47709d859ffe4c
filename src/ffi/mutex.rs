//! Mutexes and condition variables.

use crate::sync::{Condvar, RawMutex};

use super::arg::{deadline, is_try};
use super::error::{ErrorOut, Failure};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, need, take};
use super::status::*;

/// Mutual exclusion between coroutines of any worker and plain threads. May be held across
/// functions that suspend. Not recursive. Free it with fastrpc_mutex_free(). Thread-safe.
pub struct fastrpc_mutex {
    _private: [u8; 0],
}

impl Opaque for fastrpc_mutex {
    type Rust = RawMutex;
    type Ownership = OwnedBox;
}

/// Creates an unlocked mutex.
///
/// `out`: receives it; free it with fastrpc_mutex_free(). Fails with FASTRPC_EINVAL. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_mutex_new(out: *mut *mut fastrpc_mutex) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(RawMutex::new()));
        Ok(())
    })
}

/// Locks a mutex.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is locked),
/// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED; the mutex is not locked by the caller then. Any thread;
/// may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_mutex_lock(
    mutex: *const fastrpc_mutex,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live mutex.
        let mutex = unsafe { need(mutex) }?;
        if is_try(timeout) { mutex.try_lock() } else { mutex.lock_by(deadline(timeout)) }?;
        Ok(())
    })
}

/// Unlocks a mutex, which another coroutine or thread may have locked.
///
/// Fails with FASTRPC_ESTATE (it is not locked). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_mutex_unlock(mutex: *const fastrpc_mutex) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live mutex.
        let mutex = unsafe { need(mutex) }?;
        if !mutex.is_locked() {
            return Err(Failure::new(FASTRPC_ESTATE, "the mutex is not locked"));
        }
        mutex.unlock();
        Ok(())
    })
}

/// Frees a mutex that nobody holds or waits for.
///
/// `mutex`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_mutex_free(mutex: *mut fastrpc_mutex) {
    // SAFETY: the caller passes NULL or a mutex that is not used again.
    guard_value((), || drop(unsafe { take(mutex) }))
}

/// A condition variable for fastrpc_mutex. Free it with fastrpc_condvar_free(). Thread-safe.
pub struct fastrpc_condvar {
    _private: [u8; 0],
}

impl Opaque for fastrpc_condvar {
    type Rust = Condvar;
    type Ownership = OwnedBox;
}

/// Creates a condition variable.
///
/// `out`: receives it; free it with fastrpc_condvar_free(). Fails with FASTRPC_EINVAL. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_condvar_new(out: *mut *mut fastrpc_condvar) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(Condvar::new()));
        Ok(())
    })
}

/// Unlocks `mutex`, which the caller holds, waits for a notification and locks again.
///
/// The mutex is locked again in every case, also after a failure. `timeout`: nanoseconds. Fails
/// with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ESTATE (not locked). Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_condvar_wait(
    condvar: *const fastrpc_condvar,
    mutex: *const fastrpc_mutex,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live condition variable.
        let condvar = unsafe { need(condvar) }?;
        // SAFETY: the caller passes NULL or a live mutex.
        let mutex = unsafe { need(mutex) }?;
        if !mutex.is_locked() {
            return Err(Failure::new(FASTRPC_ESTATE, "the mutex is not locked"));
        }
        condvar.wait_raw_by(mutex, deadline(timeout))?;
        Ok(())
    })
}

/// Wakes the one that has waited longest, if any waits.
///
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_condvar_notify_one(
    condvar: *const fastrpc_condvar,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live condition variable.
        unsafe { need(condvar) }?.notify_one();
        Ok(())
    })
}

/// Wakes all that wait.
///
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_condvar_notify_all(
    condvar: *const fastrpc_condvar,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live condition variable.
        unsafe { need(condvar) }?.notify_all();
        Ok(())
    })
}

/// Frees a condition variable that nobody waits for.
///
/// `condvar`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_condvar_free(condvar: *mut fastrpc_condvar) {
    // SAFETY: the caller passes NULL or a condition variable that is not used again.
    guard_value((), || drop(unsafe { take(condvar) }))
}
