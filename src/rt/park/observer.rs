//! Who is told when a plain thread blocks in one of our waits: the thread pool above, which then
//! lets another of its threads run.

use std::cell::RefCell;
use std::rc::Rc;

/// Told of the waits of one thread. Both calls come on that thread, in pairs that may nest; they
/// must neither wait by this crate's means nor panic.
pub(crate) trait BlockObserver {
    /// The thread is about to block.
    fn blocks(&self);
    /// It goes on.
    fn goes_on(&self);
}

/// Tells `observer` of the calling thread's waits from now on; `None`: nobody.
pub(crate) fn observe_blocking(observer: Option<Rc<dyn BlockObserver>>) {
    OBSERVER.set(observer);
}

/// Tells the calling thread's observer, if it has one, that the thread blocks until this is dropped.
pub(crate) struct Blocking(Option<Rc<dyn BlockObserver>>);

impl Blocking {
    pub(crate) fn begin() -> Blocking {
        // There is none any more while the thread ends.
        let observer = OBSERVER.try_with(|observer| observer.borrow().clone()).ok().flatten();
        if let Some(observer) = &observer {
            observer.blocks();
        }
        Blocking(observer)
    }
}

impl Drop for Blocking {
    fn drop(&mut self) {
        if let Some(observer) = &self.0 {
            observer.goes_on();
        }
    }
}

thread_local! {
    static OBSERVER: RefCell<Option<Rc<dyn BlockObserver>>> = const { RefCell::new(None) };
}
