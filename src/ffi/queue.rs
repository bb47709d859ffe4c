//! Bounded queues of pointers.

use std::ffi::c_void;

use crate::sync::Queue;

use super::arg::{deadline, is_try};
use super::callback::{UserData, fastrpc_drop};
use super::error::{ErrorOut, Failure};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// A bounded first-in first-out queue of pointers between coroutines of any worker and plain
/// threads. Free it with fastrpc_queue_free(). Thread-safe.
pub struct fastrpc_queue {
    _private: [u8; 0],
}

impl Opaque for fastrpc_queue {
    type Rust = Stored;
    type Ownership = OwnedBox;
}

/// Creates a queue.
///
/// `capacity`: how many items it holds, at least 1. `drop`: frees items left over when the queue is
/// freed; may be NULL. `out`: receives the queue; free it with fastrpc_queue_free(). Fails with
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_new(
    capacity: usize,
    drop: fastrpc_drop,
    out: *mut *mut fastrpc_queue,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        if capacity == 0 {
            return Err(Failure::invalid("the capacity must be at least 1"));
        }
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(Stored { items: Queue::new(capacity), drop }));
        Ok(())
    })
}

/// Appends an item. Waits while the queue is full.
///
/// `item`: any pointer; it stays the caller's if this fails. `timeout`: nanoseconds. Fails with
/// FASTRPC_EAGAIN (`timeout` is 0 and it is full), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED,
/// FASTRPC_ECLOSED. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_push(
    queue: *const fastrpc_queue,
    item: *mut c_void,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live queue.
        let items = &unsafe { need(queue) }?.items;
        let item = UserData::new(item, None);
        match is_try(timeout) {
            true => items.try_push(item),
            false => items.push_by(item, deadline(timeout)),
        }
        .map_err(|e| e.error())?;
        Ok(())
    })
}

/// Removes the first item. Waits while the queue is empty.
///
/// `item`: receives it. `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it is
/// empty), FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (closed and empty). Any thread;
/// may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_pop(
    queue: *const fastrpc_queue,
    item: *mut *mut c_void,
    timeout: i64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live queue.
        let items = &unsafe { need(queue) }?.items;
        // SAFETY: the caller passes NULL or a writable pointer.
        let out = unsafe { Out::new(item) }?;
        let item = if is_try(timeout) { items.try_pop() } else { items.pop_by(deadline(timeout)) };
        out.store(item?.get());
        Ok(())
    })
}

/// Closes a queue: pushes fail from now on, pops fail once it is empty.
///
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_close(queue: *const fastrpc_queue) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live queue.
        unsafe { need(queue) }?.items.close();
        Ok(())
    })
}

/// Returns the number of items at this moment.
///
/// `queue`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_size(queue: *const fastrpc_queue) -> usize {
    // SAFETY: the caller passes NULL or a live queue.
    guard_value(0, || unsafe { look(queue) }.map_or(0, |queue| queue.items.len()))
}

/// Frees a queue that nobody waits for, and the items left in it.
///
/// `queue`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_queue_free(queue: *mut fastrpc_queue) {
    // SAFETY: the caller passes NULL or a queue that is not used again.
    guard_value((), || drop(unsafe { take(queue) }))
}

/// What a `fastrpc_queue` points to. Items are user data whose `drop` belongs to the queue.
pub struct Stored {
    items: Queue<UserData>,
    drop: fastrpc_drop,
}

impl Drop for Stored {
    fn drop(&mut self) {
        while let Ok(item) = self.items.try_pop() {
            drop(UserData::new(item.get(), self.drop));
        }
    }
}
