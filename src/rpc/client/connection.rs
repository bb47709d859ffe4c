//! The connection, as its worker sees it: its state and its write queue.

use std::cell::{Cell, Ref, RefCell};
use std::io;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::shared::Shared;
use crate::net::{Addr, Stream};
use crate::rpc::Error;
use crate::rpc::io::{WriteQueue, Writer};
use crate::rt::{self, Deadline, Waiter, Waker};

/// Connection state, worker-local. Lives as long as the client, across reconnects.
pub(super) struct Connection {
    shared: Arc<Shared>,
    state: RefCell<ConnState>,
    stream: RefCell<Option<Arc<Stream>>>,
    /// The peer, for [`Response::peer`](crate::rpc::Response::peer).
    peer: RefCell<Arc<Addr>>,
    /// Requests for the current connection, or for the one being made.
    queue: RefCell<Rc<WriteQueue>>,
    has_response: Cell<bool>,
    /// Why this side broke the connection.
    broken: RefCell<Option<Error>>,
    /// Ends the pause before the next attempt to connect.
    pause: RefCell<Option<Waker>>,
}

enum ConnState {
    /// No connection was requested yet.
    Idle,
    /// Being made, or about to be: calls wait.
    Connecting,
    Connected,
    /// The last attempt failed with this error and the next is not due: calls fail with it.
    Backoff(Error),
    /// Permanently.
    Closed,
}

impl Connection {
    pub(super) fn new(shared: Arc<Shared>) -> Connection {
        Connection {
            shared,
            state: RefCell::new(ConnState::Idle),
            stream: RefCell::new(None),
            peer: RefCell::new(Arc::new(Addr::Unix(PathBuf::new()))),
            queue: RefCell::new(Rc::new(WriteQueue::new())),
            has_response: Cell::new(false),
            broken: RefCell::new(None),
            pause: RefCell::new(None),
        }
    }

    // ---- state ----

    /// Returns true if a call is sent at once, false if it waits for the connection.
    #[inline]
    pub(super) fn check(&self) -> Result<bool, Error> {
        match &*self.state.borrow() {
            ConnState::Connected => Ok(true),
            ConnState::Idle | ConnState::Connecting => Ok(false),
            ConnState::Backoff(error) => Err(error.clone()),
            ConnState::Closed => Err(Error::closed()),
        }
    }

    /// Leaves `Idle`. Returns whether the caller must make the connection.
    pub(super) fn start_connecting(&self) -> bool {
        let is_idle = matches!(*self.state.borrow(), ConnState::Idle);
        if is_idle {
            self.state.replace(ConnState::Connecting);
        }
        is_idle
    }

    pub(super) fn set_idle(&self) {
        self.state.replace(ConnState::Idle);
    }

    pub(super) fn set_connecting(&self) {
        self.state.replace(ConnState::Connecting);
    }

    pub(super) fn set_backoff(&self, error: Error) {
        self.state.replace(ConnState::Backoff(error));
    }

    pub(super) fn set_closed(&self) {
        self.state.replace(ConnState::Closed);
    }

    pub(super) fn is_connected(&self) -> bool {
        matches!(*self.state.borrow(), ConnState::Connected)
    }

    pub(super) fn is_closed(&self) -> bool {
        matches!(*self.state.borrow(), ConnState::Closed)
    }

    /// Starts using `stream`, and writes what is queued for it.
    pub(super) fn attach(self: &Rc<Self>, stream: &Arc<Stream>) {
        self.has_response.set(false);
        self.broken.replace(None);
        self.peer.replace(Arc::new(stream.peer_addr().clone()));
        self.stream.replace(Some(stream.clone()));
        self.state.replace(ConnState::Connected);
        self.shared.counters.connects.fetch_add(1, Ordering::Relaxed);
        self.shared.status.set_connected();
        let queue = self.queue.borrow().clone();
        queue.attach(stream.clone());
        if queue.release() == Writer::Start {
            self.start_writer(queue);
        }
    }

    /// Closes the socket; unsent bytes are dropped.
    pub(super) fn disconnect(&self) {
        self.shared.status.set_disconnected();
        self.replace_queue().shut();
        if let Some(stream) = self.stream.take() {
            stream.close();
        }
    }

    /// Directs later requests to the next connection. Returns the queue of the previous one.
    pub(super) fn replace_queue(&self) -> Rc<WriteQueue> {
        self.queue.replace(Rc::new(WriteQueue::new()))
    }

    /// Breaks the connection for a reason that the reader cannot detect, if it is still `stream`.
    fn break_off(&self, stream: &Arc<Stream>, error: Error) {
        let current = self.stream.borrow();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, stream)) {
            self.broken.borrow_mut().get_or_insert(error);
            stream.close();
        }
    }

    /// Takes the reason for which this side broke the connection, if it did.
    pub(super) fn take_broken(&self) -> Option<Error> {
        self.broken.take()
    }

    // ---- reading ----

    pub(super) fn peer(&self) -> Arc<Addr> {
        self.peer.borrow().clone()
    }

    pub(super) fn set_has_response(&self) {
        self.has_response.set(true);
    }

    /// Whether a response has arrived on the connection.
    pub(super) fn has_response(&self) -> bool {
        self.has_response.get()
    }

    // ---- writing ----

    #[inline]
    pub(super) fn queue(&self) -> Ref<'_, Rc<WriteQueue>> {
        self.queue.borrow()
    }

    /// Starts the coroutine that flushes `queue`.
    pub(super) fn start_writer(self: &Rc<Self>, queue: Rc<WriteQueue>) {
        let Some(stream) = self.stream.borrow().clone() else { return };
        let connection = self.clone();
        let write = move || {
            let Shared { addr, options, .. } = &*connection.shared;
            if let Err(error) = queue.flush(options.write_stall, || {}) {
                let text = match error.kind() {
                    io::ErrorKind::TimedOut => format!("{addr} takes no requests"),
                    _ => format!("the connection to {addr} broke: {error}"),
                };
                connection.break_off(&stream, Error::broken(text));
            }
        };
        if let Err(error) = rt::spawn_detached("rpc writer", write) {
            let stream = self.stream.borrow().clone();
            if let Some(stream) = stream {
                let text = format!("no coroutine to write to {}: {error}", self.shared.addr);
                self.break_off(&stream, Error::broken(text));
            }
        }
    }

    // ---- pauses between attempts ----

    /// Waits until the deadline, or until [`end_pause`](Connection::end_pause).
    pub(super) fn pause(&self, deadline: Deadline) {
        let waiter = Waiter::new();
        self.pause.replace(Some(waiter.waker()));
        let _ = waiter.wait(deadline);
        self.pause.replace(None);
    }

    pub(super) fn end_pause(&self) {
        if let Some(waker) = self.pause.take() {
            waker.wake();
        }
    }
}
