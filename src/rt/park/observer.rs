//! Reports to the thread pool above that one of its threads blocks in a wait of ours.

use std::cell::RefCell;
use std::rc::Rc;

/// Observes the waits of one thread. Both methods are called on that thread, in pairs that may
/// nest; they must neither wait by this crate's means nor panic.
pub(crate) trait BlockObserver {
    /// Called before the thread blocks.
    fn on_block(&self);
    /// Called when the thread continues.
    fn on_unblock(&self);
}

/// Installs the observer of the calling thread's waits, or removes it.
pub(crate) fn observe_blocking(observer: Option<Rc<dyn BlockObserver>>) {
    OBSERVER.set(observer);
}

/// Reports to the calling thread's observer, if any, that the thread blocks until this is dropped.
pub(crate) struct Blocking(Option<Rc<dyn BlockObserver>>);

impl Blocking {
    pub(crate) fn begin() -> Blocking {
        // The thread-local is gone while the thread exits.
        let observer = OBSERVER.try_with(|observer| observer.borrow().clone()).ok().flatten();
        if let Some(observer) = &observer {
            observer.on_block();
        }
        Blocking(observer)
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(observer) = &self.0 {
            observer.on_unblock();
        }
    }
}

thread_local! {
    static OBSERVER: RefCell<Option<Rc<dyn BlockObserver>>> = const { RefCell::new(None) };
}
