//! How a plain thread sleeps. Not by `std::thread::park`, which cannot be used any more when the
//! thread's local data is gone: in the destructors of static objects, which `exit` runs.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Where one thread sleeps until another one wakes it.
pub(super) struct Sleeper {
    asleep: Mutex<bool>,
    woken: Condvar,
}

impl Sleeper {
    pub(in crate::rt) const fn new() -> Sleeper {
        Sleeper { asleep: Mutex::new(false), woken: Condvar::new() }
    }

    /// Sleeps once if `wanted` says so: until `wake`, or for `limit`, or for no reason at all.
    pub(super) fn sleep_if(&self, wanted: impl FnOnce() -> bool, limit: Option<Duration>) {
        let mut asleep = self.lock();
        if !wanted() {
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

    /// Wakes the thread. What its `wanted` looks at was changed before.
    pub(in crate::rt) fn wake(&self) {
        if *self.lock() {
            self.woken.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.asleep.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
