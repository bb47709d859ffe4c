//! Stopping a server: in order, at a deadline, by a signal.

use std::io;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::{Server, Shared};
use crate::process;
use crate::rt::{self, Deadline, SignalWatch};
use crate::sync::lock;

/// How a [`stop`](Server::stop) went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Requests that were in flight and ended by themselves.
    pub finished: u64,
    /// Requests that were in flight at the deadline: calls are answered with ELOGOFF.
    pub canceled: u64,
    /// Requests that came after the stop began: calls are answered with ELOGOFF.
    pub refused: u64,
}

impl Server {
    /// Stops for good: accepts nothing more, refuses new calls with ELOGOFF, lets the requests in
    /// flight and their handlers end, closes each connection after its last answer. At the deadline
    /// the calls still in flight are answered with ELOGOFF,
    /// [`Call::is_canceled`](crate::rpc::Call::is_canceled) turns true for them, and the
    /// connections close; handlers that still run are canceled: every wait of theirs fails with
    /// `ECANCELED`. They get a second to end; one that does not is left to itself, and the log says
    /// so. Suspends or blocks the caller.
    pub fn stop(&self, deadline: Deadline) -> StopReport {
        self.shared.stop(deadline)
    }

    /// Waits until the server has stopped. Suspends or blocks the caller.
    pub fn wait(&self) {
        let _ = self.shared.connections.wait_stopped(Deadline::NEVER);
    }

    /// Serves until the process gets SIGINT or SIGTERM, then stops with `grace` for the requests in
    /// flight, and returns the signal's number; 0 if the server was stopped by other means. The
    /// program's own handlers of the two signals are back in force when this returns; in a process
    /// that [`Prefork`](process::Prefork) made, both are ignored instead after the first, since they
    /// may come from the parent and from a terminal or service manager as well. Suspends or blocks
    /// the caller.
    ///
    /// # Errors
    /// When the signals cannot be watched; only one server of a process can at a time.
    pub fn run_until_signal(&self, grace: Duration) -> io::Result<i32> {
        let watch = SignalWatch::start(&[libc::SIGINT, libc::SIGTERM])?;
        let stopper = watch.stopper();
        let connections = self.shared.connections.clone();
        // Somebody else may stop the server meanwhile.
        let waiter = rt::spawn(move || {
            if connections.wait_stopped(Deadline::NEVER).is_ok() {
                stopper.tell();
            }
        })?;
        let signal = watch.wait(Deadline::NEVER);
        waiter.cancel();
        if process::index().is_some() && signal.as_ref().is_ok_and(|&signal| signal != 0) {
            watch.end_ignoring();
        } else {
            drop(watch);
        }
        let signal = signal?;
        if signal != 0 {
            log::info!("signal {signal}: stopping");
            self.stop(Deadline::after(grace));
        }
        Ok(signal)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.shared.begin_stop() {
            self.shared.connections.abort();
            self.shared.connections.set_stopped();
        }
    }
}

impl Shared {
    fn stop(&self, deadline: Deadline) -> StopReport {
        let connections = &self.connections;
        let before = self.stats();
        if !self.begin_stop() {
            let _ = connections.wait_stopped(deadline);
            return StopReport::default();
        }
        let mut canceled = 0;
        if connections.wait_empty(deadline).is_err() {
            let aborted = connections.abort();
            if connections.wait_empty(Deadline::after(HANDLER_EXIT_GRACE)).is_err() {
                let left = connections.all().len();
                log::warn!("the server has stopped, and handlers of {left} connections still run");
            }
            canceled = aborted.load(Ordering::Relaxed);
        }
        connections.set_stopped();
        let refused = self.stats().calls - before.calls;
        let finished = before.in_flight.saturating_sub(canceled);
        StopReport { finished, canceled, refused }
    }

    /// Closes the listeners and drains the connections. False if that was done before.
    fn begin_stop(&self) -> bool {
        if !self.connections.begin_stop() {
            return false;
        }
        for listener in &*lock(&self.listeners) {
            listener.close();
        }
        self.connections.drain();
        true
    }
}

/// Connections that are cut off, and handlers that are canceled, leave within this time unless
/// their worker is blocked.
const HANDLER_EXIT_GRACE: Duration = Duration::from_secs(1);
