//! Blocking compensation: a pool's thread releases its slot while its job waits.

use std::cell::Cell;
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;

use super::threads::PoolCore;
use crate::rt;

/// Runs `f`, which blocks in a way that this crate cannot detect: a system call, a foreign library,
/// a lock of another kind. In a pool's job, another job may run meanwhile. Anywhere else it only
/// runs `f`; in a coroutine that blocks the whole worker.
///
/// ```
/// let pool = fastrpc::pool::ThreadPool::new(1)?;
/// pool.run(|| fastrpc::pool::blocking(|| std::fs::metadata("/")))??;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn blocking<T>(f: impl FnOnce() -> T) -> T {
    let _blocking = rt::Blocking::begin();
    f()
}

/// Marks the calling thread as a member of the pool until dropped.
pub(super) struct Membership(());

impl Membership {
    pub(super) fn new(pool: &Arc<PoolCore>) -> Membership {
        POOL.set(Arc::as_ptr(pool));
        let slot = Slot { pool: pool.clone(), open_waits: Cell::new(0) };
        rt::observe_blocking(Some(Rc::new(slot)));
        Membership(())
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        rt::observe_blocking(None);
        POOL.set(ptr::null());
    }
}

/// Whether the calling thread is one of the pool's.
pub(super) fn is_member(pool: &PoolCore) -> bool {
    ptr::eq(POOL.get(), pool)
}

/// The slot of the job that runs on this thread.
struct Slot {
    pool: Arc<PoolCore>,
    /// Nested waits; only the outermost releases the slot.
    open_waits: Cell<usize>,
}

impl rt::BlockObserver for Slot {
    fn on_block(&self) {
        if self.open_waits.replace(self.open_waits.get() + 1) == 0 {
            self.pool.release_slot();
        }
    }

    fn on_unblock(&self) {
        self.open_waits.set(self.open_waits.get() - 1);
        if self.open_waits.get() == 0 {
            self.pool.reclaim_slot();
        }
    }
}

thread_local! {
    static POOL: Cell<*const PoolCore> = const { Cell::new(ptr::null()) };
}
