//! Counters of servers and clients.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The counters of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Calls in flight.
    pub in_flight: u64,
    /// Responses that matched no call in flight, mostly late ones, and pushes without a handler.
    pub unmatched: u64,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Pushed messages dropped because too many waited for their handler.
    pub dropped_pushes: u64,
}

#[derive(Default)]
pub(super) struct ClientCounters {
    pub(super) in_flight: AtomicU64,
    pub(super) unmatched: AtomicU64,
    pub(super) connects: AtomicU64,
    pub(super) failed_connects: AtomicU64,
    pub(super) dropped_pushes: AtomicU64,
}

impl ClientCounters {
    pub(super) fn read(&self) -> ClientStats {
        ClientStats {
            in_flight: self.in_flight.load(Relaxed),
            unmatched: self.unmatched.load(Relaxed),
            connects: self.connects.load(Relaxed),
            failed_connects: self.failed_connects.load(Relaxed),
            dropped_pushes: self.dropped_pushes.load(Relaxed),
        }
    }
}
