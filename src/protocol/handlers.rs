//! The coroutines that run on behalf of a connection.

use std::cell::RefCell;
use std::io;

use crate::rt::{self, Detached};
use crate::slab::Slab;

/// The handlers that run, those of requests that were answered meanwhile included.
pub(crate) struct Handlers {
    running: RefCell<Slab<Option<Detached>>>,
}

impl Handlers {
    pub(super) fn new() -> Handlers {
        Handlers { running: RefCell::new(Slab::new()) }
    }

    /// Starts the coroutine of a handler. `body` gets its key and returns what runs, which must
    /// end with [`Conn::handler_ended`](super::Conn::handler_ended).
    #[inline]
    pub(crate) fn spawn<F: FnOnce() + 'static>(
        &self,
        name: &'static str,
        body: impl FnOnce(u64) -> F,
    ) -> io::Result<()> {
        let key = self.running.borrow_mut().insert(None);
        let spawned = rt::spawn_detached(name, body(key));
        let mut running = self.running.borrow_mut();
        match (spawned, running.get_mut(key)) {
            (Ok(spawned), Some(entry)) => {
                *entry = Some(spawned);
                Ok(())
            }
            (spawned, _) => {
                running.remove(key);
                spawned.map(drop)
            }
        }
    }

    /// Removes one that has ended. Whether it was the last.
    #[inline]
    pub(super) fn remove(&self, key: u64) -> bool {
        let mut running = self.running.borrow_mut();
        running.remove(key);
        running.is_empty()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.running.borrow().is_empty()
    }

    /// Ends every wait of theirs with `ECANCELED`.
    pub(super) fn cancel(&self) {
        // A canceled handler is queued and does not run here: the slab stays as it is.
        let mut running = self.running.borrow_mut();
        for key in running.keys() {
            if let Some(Some(handler)) = running.get_mut(key) {
                handler.cancel();
            }
        }
    }
}
