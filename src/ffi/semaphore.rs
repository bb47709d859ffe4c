//! Semaphores and wait groups.

use crate::sync::{Semaphore, WaitGroup};

use super::arg::{deadline, is_try};
use super::error::{ErrorOut, Failure};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// A number of permits, acquired and released by coroutines of any worker and plain threads. Free
/// it with fastrpc_semaphore_free(). Thread-safe.
pub struct fastrpc_semaphore {
    _private: [u8; 0],
}

impl Opaque for fastrpc_semaphore {
    type Rust = Semaphore;
    type Ownership = OwnedBox;
}

/// Creates a semaphore.
///
/// `permits`: how many are free at first. `out`: receives it; free it with
/// fastrpc_semaphore_free(). Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_semaphore_new(
    permits: usize,
    out: *mut *mut fastrpc_semaphore,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        check_count(permits)?;
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(Semaphore::new(permits)));
        Ok(())
    })
}

/// Acquires `count` permits, all or none, first come first served.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and there are too few),
/// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_semaphore_acquire(
    semaphore: *const fastrpc_semaphore,
    count: usize,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        check_count(count)?;
        // SAFETY: the caller passes NULL or a live semaphore.
        let semaphore = unsafe { need(semaphore) }?;
        match is_try(timeout) {
            true => semaphore.try_acquire(count),
            false => semaphore.acquire_by(count, deadline(timeout)),
        }?;
        Ok(())
    })
}

/// Releases `count` permits, or adds new ones.
///
/// Fails with FASTRPC_ELIMIT (there would be too many to count). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_semaphore_release(
    semaphore: *const fastrpc_semaphore,
    count: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        check_count(count)?;
        // SAFETY: the caller passes NULL or a live semaphore.
        let semaphore = unsafe { need(semaphore) }?;
        check_count(semaphore.available().saturating_add(count))?;
        semaphore.release(count);
        Ok(())
    })
}

/// Returns the number of free permits at this moment.
///
/// `semaphore`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_semaphore_available(semaphore: *const fastrpc_semaphore) -> usize {
    // SAFETY: the caller passes NULL or a live semaphore.
    guard_value(0, || unsafe { look(semaphore) }.map_or(0, Semaphore::available))
}

/// Frees a semaphore that nobody waits for.
///
/// `semaphore`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_semaphore_free(semaphore: *mut fastrpc_semaphore) {
    // SAFETY: the caller passes NULL or a semaphore that is not used again.
    guard_value((), || drop(unsafe { take(semaphore) }))
}

/// Counts outstanding tasks, and lets others wait until there are none. Free it with
/// fastrpc_wait_group_free(). Thread-safe.
pub struct fastrpc_wait_group {
    _private: [u8; 0],
}

impl Opaque for fastrpc_wait_group {
    type Rust = WaitGroup;
    type Ownership = OwnedBox;
}

/// Creates a wait group without tasks.
///
/// `out`: receives it; free it with fastrpc_wait_group_free(). Fails with FASTRPC_EINVAL. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_group_new(
    out: *mut *mut fastrpc_wait_group,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(WaitGroup::new()));
        Ok(())
    })
}

/// Adds `count` outstanding tasks.
///
/// Fails with FASTRPC_ELIMIT (there would be too many to count). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_group_add(
    group: *const fastrpc_wait_group,
    count: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live wait group.
        let group = unsafe { need(group) }?;
        check_count(group.count().saturating_add(count))?;
        group.add(count);
        Ok(())
    })
}

/// Marks one task as done.
///
/// Fails with FASTRPC_ESTATE (none is outstanding). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_group_done(
    group: *const fastrpc_wait_group,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live wait group.
        let group = unsafe { need(group) }?;
        if group.count() == 0 {
            return Err(Failure::new(FASTRPC_ESTATE, "no task is outstanding"));
        }
        group.done();
        Ok(())
    })
}

/// Waits until no task is outstanding.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0), FASTRPC_ETIMEDOUT,
/// FASTRPC_ECANCELED. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_group_wait(
    group: *const fastrpc_wait_group,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live wait group.
        let group = unsafe { need(group) }?;
        if is_try(timeout) && group.count() != 0 {
            return Err(Failure::new(FASTRPC_EAGAIN, "tasks are outstanding"));
        }
        group.wait_by(deadline(timeout))?;
        Ok(())
    })
}

/// Frees a wait group that nobody waits for.
///
/// `group`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_group_free(group: *mut fastrpc_wait_group) {
    // SAFETY: the caller passes NULL or a wait group that is not used again.
    guard_value((), || drop(unsafe { take(group) }))
}

/// Far from where the counters of the Rust side would overflow.
fn check_count(count: usize) -> Result<(), Failure> {
    match count <= MAX_COUNT {
        true => Ok(()),
        false => Err(Failure::new(FASTRPC_ELIMIT, "the count is too large")),
    }
}

const MAX_COUNT: usize = i32::MAX as usize;
