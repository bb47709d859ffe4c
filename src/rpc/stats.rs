//! Counters of servers and clients.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a server has done, and what it is doing. Counts lag behind by at most one round of reading
/// or writing on each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ServerStats {
    /// Connections open.
    pub connections: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections closed at once because there were too many.
    pub rejected: u64,
    /// Calls that wait for their answer.
    pub in_flight: u64,
    /// Calls received, those of unknown methods included.
    pub calls: u64,
    /// Calls answered with an error.
    pub errors: u64,
    /// Connections closed because of what the peer sent, or did not take.
    pub bad_peers: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

/// What a client has done, and what it is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStats {
    /// Calls that wait for their answer.
    pub in_flight: u64,
    /// Answers that no call waited for: late ones, mostly. Pushes that no handler was for.
    pub unmatched: u64,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Pushed messages dropped because too many waited for their handler.
    pub dropped_pushes: u64,
}

#[derive(Default)]
pub(super) struct ServerCounters {
    pub(super) connections: AtomicU64,
    pub(super) accepted: AtomicU64,
    pub(super) rejected: AtomicU64,
    pub(super) started: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) errors: AtomicU64,
    pub(super) bad_peers: AtomicU64,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
}

impl ServerCounters {
    pub(super) fn read(&self) -> ServerStats {
        // Ended first: what starts meanwhile then counts as in flight, not as negative.
        let ended = self.ended.load(Relaxed);
        let calls = self.started.load(Relaxed);
        ServerStats {
            connections: self.connections.load(Relaxed),
            accepted: self.accepted.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
            in_flight: calls.saturating_sub(ended),
            calls,
            errors: self.errors.load(Relaxed),
            bad_peers: self.bad_peers.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
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
