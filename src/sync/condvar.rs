//! Condition variables.

use std::fmt;

use super::wait_list::{Entry, WaitList, wake_all};
use super::{Error, MutexGuard, RawMutex, locked};
use crate::rt::{self, Deadline, Waiter};

/// A condition variable for [`Mutex`](super::Mutex) and [`RawMutex`], between coroutines and
/// threads.
///
/// It has no spurious wakeups: a wait returns `Ok` only for a notification. Between the notification
/// and the return others may have held the lock, so the condition must be checked again, as
/// [`wait_while_by`](Condvar::wait_while_by) does.
///
/// A wait always returns with the mutex locked, also when it failed. Neither the deadline nor
/// cancellation applies to locking it again.
///
/// ```
/// use fastrpc::sync::{Condvar, Error, Mutex};
///
/// # fn main() -> Result<(), Error> {
/// let ready = (Mutex::new(false), Condvar::new());
/// std::thread::scope(|s| {
///     s.spawn(|| {
///         *ready.0.lock()? = true;
///         ready.1.notify_one();
///         Ok::<(), Error>(())
///     });
///     let mut guard = ready.0.lock()?;
///     ready.1.wait_while(&mut guard, |ready| !*ready)
/// })
/// # }
/// ```
pub struct Condvar {
    waiting: std::sync::Mutex<WaitList<()>>,
}

impl Condvar {
    /// Creates a condition variable without waiters.
    #[must_use]
    pub const fn new() -> Condvar {
        Condvar { waiting: std::sync::Mutex::new(WaitList::new()) }
    }

    /// Unlocks the mutex of `guard`, waits for a notification and locks it again. No notification is
    /// missed in between. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`]; never in a plain thread.
    pub fn wait<T: ?Sized>(&self, guard: &mut MutexGuard<'_, T>) -> Result<(), Error> {
        self.wait_by(guard, Deadline::NEVER)
    }

    /// Waits like [`wait`](Condvar::wait), until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`]: no notification was consumed.
    pub fn wait_by<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Deadline,
    ) -> Result<(), Error> {
        self.wait_raw_by(guard.raw(), deadline)
    }

    /// Waits while `condition` is true. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`]; never in a plain thread.
    pub fn wait_while<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), Error> {
        self.wait_while_by(guard, Deadline::NEVER, condition)
    }

    /// Waits while `condition` is true, until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`]: the condition was still true when it was last
    /// checked, after the wait had ended.
    pub fn wait_while_by<T: ?Sized>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        deadline: Deadline,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> Result<(), Error> {
        let mut last = Ok(());
        while condition(guard) {
            last?;
            last = self.wait_by(guard, deadline);
        }
        Ok(())
    }

    /// Waits like [`wait_by`](Condvar::wait_by), for a mutex without a guard that the caller has
    /// locked. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`]: no notification was consumed.
    ///
    /// # Panics
    /// If the mutex is not locked.
    pub fn wait_raw_by(&self, mutex: &RawMutex, deadline: Deadline) -> Result<(), Error> {
        assert!(mutex.is_locked(), "wait with a mutex that is not locked");
        // Before the unlock: in a forked child it may hand the lock to a waiter that does not exist
        // there.
        rt::check_usable().map_err(|_| Error::FORKED)?;
        let waiter = Waiter::new();
        let ticket = locked(&self.waiting).push_back(waiter.waker(), ());
        mutex.unlock();
        let outcome = waiter.wait(deadline);
        if outcome.is_err() {
            // If the entry is gone, a notifier has taken it: it will see that this wait has ended and
            // wake the next.
            locked(&self.waiting).remove(ticket);
        }
        mutex.lock_uncancellable();
        Ok(outcome?)
    }

    /// Wakes the longest waiter, if there is one.
    pub fn notify_one(&self) {
        while let Some(first) = self.pop() {
            if first.waker.wake() {
                return;
            }
        }
    }

    /// Wakes all present waiters.
    pub fn notify_all(&self) {
        let all = locked(&self.waiting).take_all();
        wake_all(all);
    }

    fn pop(&self) -> Option<Entry<()>> {
        locked(&self.waiting).pop_front()
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Condvar").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{abandoned, late, while_it_waits};
    use super::*;

    impl Condvar {
        pub(crate) fn is_idle(&self) -> bool {
            locked(&self.waiting).is_empty()
        }
    }

    #[test]
    fn notify_one_skips_abandoned_waits() {
        let (mutex, condvar) = (RawMutex::new(), Condvar::new());
        locked(&condvar.waiting).push_back(abandoned(), ());
        let got = while_it_waits(
            || {
                mutex.lock().unwrap();
                condvar.wait_raw_by(&mutex, late())
            },
            || locked(&condvar.waiting).len() == 2,
            || condvar.notify_one(),
        );
        got.unwrap();
        assert!(condvar.is_idle() && mutex.is_locked());
    }
}
