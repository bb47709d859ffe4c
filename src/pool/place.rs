//! What a thread knows of its pool, and how it gives its place up while it waits.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use super::threads::Shared;
use crate::rt;

/// Runs `f`, which is about to block by means that this crate does not see: a system call, a
/// foreign library, a lock of another kind. In a job of a pool another job may run meanwhile.
/// Anywhere else it just runs `f`; in a coroutine that blocks the whole worker.
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    let _blocking = rt::Blocking::begin();
    f()
}

/// Sets the calling thread up as one of the pool's, until dropped.
pub(super) struct Member(());

impl Member {
    pub(super) fn new(shared: &Arc<Shared>) -> Member {
        POOL.set(Arc::as_ptr(shared));
        let place = Place { shared: shared.clone(), waits: Cell::new(0) };
        rt::observe_blocking(Some(Rc::new(place)));
        Member(())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        rt::observe_blocking(None);
        POOL.set(ptr::null());
    }
}

/// Whether the calling thread is one of the pool's.
pub(super) fn is_member(shared: &Shared) -> bool {
    ptr::eq(POOL.get(), shared)
}

/// The place of the running job.
struct Place {
    shared: Arc<Shared>,
    /// How many waits are open, one inside the other: the outermost counts.
    waits: Cell<usize>,
}

impl rt::BlockObserver for Place {
    fn blocks(&self) {
        if self.waits.replace(self.waits.get() + 1) == 0 {
            self.shared.give_place_up();
        }
    }

    fn goes_on(&self) {
        self.waits.set(self.waits.get() - 1);
        if self.waits.get() == 0 {
            self.shared.take_place_again();
        }
    }
}

thread_local! {
    static POOL: Cell<*const Shared> = const { Cell::new(ptr::null()) };
}
