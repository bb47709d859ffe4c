//! What all threads share of a client: its options, its counters, and the connection's state as
//! seen from other threads.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::rpc::stats::ClientCounters;
use crate::rpc::{ClientOptions, Error};
use crate::rt::{Deadline, WaitError};
use crate::sync::{Notify, lock};

pub(super) struct Shared {
    pub(super) addr: Box<str>,
    pub(super) options: ClientOptions,
    pub(super) counters: ClientCounters,
    pub(super) status: Status,
}

/// The state of the connection, for threads other than its worker.
pub(super) struct Status {
    is_closed: AtomicBool,
    is_connected: AtomicBool,
    attempts: Mutex<Attempts>,
    /// Notified when an attempt to connect has ended, and when the client is closed.
    changed: Notify,
}

#[derive(Default)]
struct Attempts {
    ended: u64,
    last_error: Option<Error>,
}

impl Shared {
    pub(super) fn new(addr: &str, options: ClientOptions) -> Shared {
        let status = Status {
            is_closed: AtomicBool::new(false),
            is_connected: AtomicBool::new(false),
            attempts: Mutex::default(),
            changed: Notify::new(),
        };
        Shared { addr: addr.into(), options, counters: ClientCounters::default(), status }
    }

    pub(super) fn timeout_error(&self) -> Error {
        Error::timeout(format!("{} did not respond in time", self.addr))
    }

    /// Returns why a wait ended without an outcome.
    pub(super) fn wait_error(&self, error: Option<WaitError>) -> Error {
        match error {
            Some(WaitError::TimedOut) => self.timeout_error(),
            Some(WaitError::Canceled) => Error::canceled(),
            Some(error @ WaitError::Forked) => Error::internal(io::Error::from(error).to_string()),
            None => Error::internal("woken without an outcome"),
        }
    }
}

impl Status {
    pub(super) fn is_connected(&self) -> bool {
        self.is_connected.load(Ordering::Acquire)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }

    /// Marks the client as closed. Returns false if it was closed before.
    pub(super) fn set_closed(&self) -> bool {
        !self.is_closed.swap(true, Ordering::AcqRel)
    }

    pub(super) fn set_connected(&self) {
        self.is_connected.store(true, Ordering::Release);
        lock(&self.attempts).ended += 1;
        self.changed.notify();
    }

    pub(super) fn set_disconnected(&self) {
        self.is_connected.store(false, Ordering::Release);
    }

    /// Records why an attempt failed, or why a connection was lost. Does not notify waiters.
    pub(super) fn set_error(&self, error: &Error) {
        let mut attempts = lock(&self.attempts);
        attempts.ended += 1;
        attempts.last_error = Some(error.clone());
    }

    pub(super) fn notify(&self) {
        self.changed.notify();
    }

    /// Returns how many attempts to connect have ended.
    pub(super) fn attempts(&self) -> u64 {
        lock(&self.attempts).ended
    }

    /// Waits until there is a connection, or more than `before` attempts have ended.
    pub(super) fn wait_connected(
        &self,
        before: u64,
        deadline: Deadline,
    ) -> Result<Result<(), Error>, WaitError> {
        self.changed.wait_for(deadline, || {
            if self.is_connected() {
                return Some(Ok(()));
            }
            if self.is_closed() {
                return Some(Err(Error::closed()));
            }
            let attempts = lock(&self.attempts);
            let lost = || Error::connect("the connection was lost at once");
            (attempts.ended > before).then(|| Err(attempts.last_error.clone().unwrap_or_else(lost)))
        })
    }
}
