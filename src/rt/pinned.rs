//! Values that live on one worker.

use std::mem::ManuallyDrop;

use super::fork;
use super::park::inbox::{self, Message};
use super::worker::Worker;

/// A value that lives on one worker: only that worker's coroutines reach it, without a lock, while the
/// handle may be sent anywhere. It is dropped on its worker, wherever the handle is dropped.
pub(crate) struct Pinned<T: 'static> {
    home: usize,
    value: ManuallyDrop<Box<T>>,
}

// SAFETY: the value is reached and dropped on the thread of its home worker alone.
unsafe impl<T> Send for Pinned<T> {}
// SAFETY: as for `Send`.
unsafe impl<T> Sync for Pinned<T> {}

impl<T> Pinned<T> {
    /// Ties `value` to the calling worker.
    ///
    /// # Panics
    /// On a thread that is no worker.
    pub(crate) fn new(value: T) -> Pinned<T> {
        let home = Worker::current().expect("pinned on a worker").index();
        Pinned { home, value: ManuallyDrop::new(Box::new(value)) }
    }

    /// Returns the value when called on its worker.
    #[inline]
    pub(crate) fn get(&self) -> Option<&T> {
        let here = Worker::current().is_some_and(|worker| worker.index() == self.home);
        here.then_some(&**self.value)
    }

    /// Returns the index of its worker.
    pub(crate) fn home(&self) -> usize {
        self.home
    }
}

impl<T> Drop for Pinned<T> {
    fn drop(&mut self) {
        struct Home<T>(Box<T>);
        // SAFETY: carried to the home worker and dropped there.
        unsafe impl<T> Send for Home<T> {}

        // SAFETY: the value is not used after this.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        if Worker::current().is_some_and(|worker| worker.index() == self.home) {
            return drop(value);
        }
        let value = Home(value);
        if fork::is_forked() {
            // Its worker does not exist in this process: leaked.
            return std::mem::forget(value);
        }
        inbox::send(self.home, Message::Run(Box::new(move || drop({ value }.0))));
    }
}
