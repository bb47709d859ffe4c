//! A mutex with a guard.

use std::cell::UnsafeCell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};

use super::{Error, RawMutex};
use crate::rt::Deadline;

/// A mutex around a `T`, for coroutines and threads. The guard may be held across calls that suspend:
/// coroutines that wait for the lock are suspended too, and their worker runs others.
///
/// It is as fair as [`RawMutex`]: no waiter starves. It is not recursive, and it is not poisoned by a
/// panic: dropping the guard unlocks it.
///
/// ```
/// # fn main() -> Result<(), fastrpc::sync::Error> {
/// static HITS: fastrpc::sync::Mutex<u64> = fastrpc::sync::Mutex::new(0);
/// *HITS.lock()? += 1;
/// assert_eq!(*HITS.lock()?, 1);
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Mutex<T: ?Sized> {
    raw: RawMutex,
    /// Accessed through a guard, which exists only while `raw` is locked on its behalf, or through
    /// `&mut self`.
    value: UnsafeCell<T>,
}

// SAFETY: the lock gives a `&mut T` to one thread at a time, as if `T` were sent to it.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T> Mutex<T> {
    /// Creates an unlocked mutex.
    #[must_use]
    pub const fn new(value: T) -> Mutex<T> {
        Mutex { raw: RawMutex::new(), value: UnsafeCell::new(value) }
    }

    /// Returns the value.
    #[must_use]
    pub fn into_inner(self) -> T {
        self.value.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks, waiting without limit. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`]; never in a plain thread.
    #[inline]
    pub fn lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        self.lock_by(Deadline::NEVER)
    }

    /// Locks, waiting until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`].
    #[inline]
    pub fn lock_by(&self, deadline: Deadline) -> Result<MutexGuard<'_, T>, Error> {
        self.raw.lock_by(deadline).map(|()| MutexGuard { mutex: self, value: PhantomData })
    }

    /// Locks without waiting.
    ///
    /// # Errors
    /// [`Error::would_block`].
    #[inline]
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, Error> {
        self.raw.try_lock().map(|()| MutexGuard { mutex: self, value: PhantomData })
    }

    /// Returns the value without locking: `&mut` proves that there is no other user.
    #[must_use]
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Self {
        Mutex::new(value)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut d = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(guard) => d.field("value", &&*guard),
            Err(_) => d.field("value", &format_args!("<locked>")),
        };
        d.finish()
    }
}

/// Access to the value of a locked [`Mutex`]. Unlocks when dropped, on any thread.
#[must_use = "the mutex is unlocked at once if the guard is dropped"]
pub struct MutexGuard<'a, T: ?Sized> {
    mutex: &'a Mutex<T>,
    /// A guard is a `&mut T`: `Send` and `Sync` exactly when that is.
    value: PhantomData<&'a mut T>,
}

impl<T: ?Sized> MutexGuard<'_, T> {
    /// Returns the lock of this guard, which is locked.
    pub(super) fn raw(&self) -> &RawMutex {
        &self.mutex.raw
    }
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        // SAFETY: `raw` is locked on behalf of this guard, so all references borrow the guard.
        unsafe { &*self.mutex.value.get() }
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as in `deref`; and the guard is borrowed mutably.
        unsafe { &mut *self.mutex.value.get() }
    }
}

impl<T: ?Sized> Drop for MutexGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        self.mutex.raw.unlock();
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
