//! Parking of plain threads. Not by `std::thread::park`, which fails once the thread's local data is
//! destroyed: destructors of static objects, which `exit` runs, may still wait.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Parks one thread until another one wakes it.
pub(super) struct ThreadParker {
    asleep: Mutex<bool>,
    woken: Condvar,
}

impl ThreadParker {
    pub(in crate::rt) const fn new() -> ThreadParker {
        ThreadParker { asleep: Mutex::new(false), woken: Condvar::new() }
    }

    /// Sleeps once if `condition` holds: until `wake`, for at most `limit`, with spurious wakeups.
    pub(super) fn sleep_if(&self, condition: impl FnOnce() -> bool, limit: Option<Duration>) {
        let mut asleep = self.lock();
        if !condition() {
            return;
        }
        *asleep = true;
        asleep = match limit {
            None => self.woken.wait(asleep).unwrap_or_else(PoisonError::into_inner),
            Some(limit) => {
                let waited = self.woken.wait_timeout(asleep, limit);
                waited.unwrap_or_else(PoisonError::into_inner).0
            }
        };
        *asleep = false;
    }

    /// Wakes the thread. Its `condition` must have been changed before.
    pub(in crate::rt) fn wake(&self) {
        if *self.lock() {
            self.woken.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
