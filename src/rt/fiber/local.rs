//! Coroutine-local storage.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::rt::worker::Worker;

/// A key to one value per coroutine, and per thread outside of coroutines.
///
/// The values of a coroutine are dropped when it ends, before those who join it go on; a value
/// whose destructor sets a key again is dropped as well, up to four rounds, like the values of
/// pthread_key_create(3). `thread_local!` data, by contrast, is shared by all coroutines of a
/// worker.
///
/// ```
/// use fastrpc::rt::Key;
///
/// static REQUEST_ID: Key<u64> = Key::new();
/// REQUEST_ID.set(7);
/// assert_eq!(REQUEST_ID.get(), Some(7));
/// assert_eq!(fastrpc::rt::spawn(|| REQUEST_ID.get()).unwrap().join().unwrap(), None);
/// ```
pub struct Key<T: 'static> {
    index: OnceLock<usize>,
    _values: PhantomData<fn() -> T>,
}

impl<T: 'static> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("index", &self.index.get()).finish()
    }
}

impl<T: 'static> Key<T> {
    /// Creates a key without values.
    #[expect(clippy::new_without_default, reason = "keys are statics; each is its own")]
    pub const fn new() -> Key<T> {
        Key { index: OnceLock::new(), _values: PhantomData }
    }

    /// Sets the caller's value and returns the previous one.
    pub fn set(&self, value: T) -> Option<T> {
        self.replace(Some(value))
    }

    /// Removes and returns the caller's value.
    pub fn take(&self) -> Option<T> {
        self.replace(None)
    }

    /// Returns a copy of the caller's value.
    pub fn get(&self) -> Option<T>
    where
        T: Clone,
    {
        self.with(T::clone)
    }

    /// Calls `f` with the caller's value if it has one. `f` must not set the same key.
    pub fn with<R>(&self, f: impl FnOnce(&T) -> R) -> Option<R> {
        with_map(|map| {
            let values = map.values.borrow();
            let value = values.get(self.index())?.as_ref()?;
            value.downcast_ref().map(f)
        })
    }

    fn replace(&self, value: Option<T>) -> Option<T> {
        let value = value.map(|value| Box::new(value) as Box<dyn Any>);
        let old = with_map(|map| map.replace(self.index(), value))?;
        old.downcast().ok().map(|old| *old)
    }

    fn index(&self) -> usize {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        *self.index.get_or_init(|| NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// The values of one coroutine or thread, by key.
pub(in crate::rt) struct LocalMap {
    values: RefCell<Vec<Option<Box<dyn Any>>>>,
}

impl LocalMap {
    pub(in crate::rt) const fn new() -> LocalMap {
        LocalMap { values: RefCell::new(Vec::new()) }
    }

    fn replace(&self, index: usize, value: Option<Box<dyn Any>>) -> Option<Box<dyn Any>> {
        let mut values = self.values.borrow_mut();
        if index >= values.len() {
            value.as_ref()?;
            values.resize_with(index + 1, || None);
        }
        std::mem::replace(&mut values[index], value)
    }

    /// Drops all values, whose destructors may use keys.
    #[inline]
    pub(in crate::rt) fn clear(&self) {
        for _ in 0..DESTRUCTOR_ROUNDS {
            let values = std::mem::take(&mut *self.values.borrow_mut());
            if values.is_empty() {
                return;
            }
            drop(values);
        }
        // Values that destructors keep setting are leaked rather than dropped without end.
        std::mem::forget(std::mem::take(&mut *self.values.borrow_mut()));
    }
}

impl Drop for LocalMap {
    fn drop(&mut self) {
        self.clear();
    }
}

fn with_map<R>(f: impl FnOnce(&LocalMap) -> R) -> R {
    match Worker::current().and_then(Worker::running) {
        Some(fiber) => f(&fiber.locals),
        None if THREAD.try_with(|_| ()).is_ok() => THREAD.with(f),
        None => LATE.with(|late| f(late)),
    }
}

thread_local! {
    static THREAD: LocalMap = const { LocalMap::new() };
    /// For a thread that is exiting, when `THREAD` is destroyed: what is set then is never dropped.
    static LATE: ManuallyDrop<LocalMap> = const { ManuallyDrop::new(LocalMap::new()) };
}

const DESTRUCTOR_ROUNDS: usize = 4;
