//! Waiting until a condition holds, for the rest of the crate.

use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::rt::{Deadline, WaitError, Waiter, Waker};

/// Waiters for a condition that other code changes and announces.
pub(crate) struct Notify {
    wakers: Mutex<Vec<Waker>>,
}

impl Notify {
    pub(crate) const fn new() -> Notify {
        Notify { wakers: Mutex::new(Vec::new()) }
    }

    /// Waits until `condition` returns a value, and returns that. It is called again after each
    /// [`notify`](Notify::notify), which must follow the change that it checks for.
    pub(crate) fn wait_for<T>(
        &self,
        deadline: Deadline,
        mut condition: impl FnMut() -> Option<T>,
    ) -> Result<T, WaitError> {
        loop {
            let waiter = Waiter::new();
            {
                let mut wakers = lock(&self.wakers);
                wakers.retain(Waker::is_waiting);
                wakers.push(waiter.waker());
            }
            if let Some(value) = condition() {
                return Ok(value);
            }
            waiter.wait(deadline)?;
        }
    }

    /// Wakes all waiters to check their conditions.
    pub(crate) fn notify(&self) {
        for waker in std::mem::take(&mut *lock(&self.wakers)) {
            waker.wake();
        }
    }
}

/// Locks for a few instructions that leave the data consistent even if one panics: poisoning is ignored.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
