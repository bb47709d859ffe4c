//! A request that a connection waits for.

use std::cell::Cell;
use std::marker::PhantomData;
use std::rc::Rc;
use std::sync::Arc;

use super::Conn;

/// A request in flight: see [`Conn::begin_request`].
#[derive(Debug)]
#[must_use = "the request is in flight as long as this lives"]
pub struct InFlight {
    conn: Arc<Conn>,
    is_error: Cell<bool>,
    /// It counts on the connection's worker.
    on_worker: PhantomData<Rc<()>>,
}

impl InFlight {
    pub(super) fn new(conn: Arc<Conn>) -> InFlight {
        InFlight { conn, is_error: Cell::new(false), on_worker: PhantomData }
    }

    /// Counts it as answered with an error.
    pub fn set_error(&self) {
        self.is_error.set(true);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.conn.requests_ended(1, u64::from(self.is_error.get()));
    }
}
