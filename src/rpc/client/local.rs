//! The worker-local state of a client.

use std::rc::Rc;
use std::sync::Arc;

use super::calls::Calls;
use super::connection::Connection;
use super::pushes::{Handlers, Pushes};
use super::shared::Shared;

/// The worker-local state of a client. Clones are handles to the same state.
#[derive(Clone)]
pub(super) struct Local {
    pub(super) shared: Arc<Shared>,
    pub(super) connection: Rc<Connection>,
    pub(super) calls: Rc<Calls>,
    pub(super) pushes: Rc<Pushes>,
}

impl Local {
    pub(super) fn new(shared: Arc<Shared>, handlers: Arc<Handlers>) -> Local {
        Local {
            connection: Rc::new(Connection::new(shared.clone())),
            calls: Rc::new(Calls::new(shared.clone())),
            pushes: Rc::new(Pushes::new(shared.clone(), handlers)),
            shared,
        }
    }

    /// Closes the socket. Later requests wait for the next one.
    pub(super) fn disconnect(&self) {
        self.pushes.start_over();
        self.connection.disconnect();
    }
}
