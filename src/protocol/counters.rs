//! What happened on a server's connections, counted for each protocol.

use std::ops::Add;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What a protocol has done on a server, and is doing. Counts lag behind by at most one round of
/// reading or writing on each connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProtocolStats {
    /// Connections open.
    pub connections: u64,
    /// Requests that wait for their answer.
    pub in_flight: u64,
    /// Requests received, refused ones included.
    pub requests: u64,
    /// Requests answered with an error.
    pub errors: u64,
    /// Connections closed because of what the peer sent, or did not take.
    pub bad_peers: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl Add for ProtocolStats {
    type Output = ProtocolStats;

    fn add(self, more: ProtocolStats) -> ProtocolStats {
        ProtocolStats {
            connections: self.connections + more.connections,
            in_flight: self.in_flight + more.in_flight,
            requests: self.requests + more.requests,
            errors: self.errors + more.errors,
            bad_peers: self.bad_peers + more.bad_peers,
            bytes_in: self.bytes_in + more.bytes_in,
            bytes_out: self.bytes_out + more.bytes_out,
        }
    }
}

/// Where the connections of one protocol count.
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) connections: AtomicU64,
    pub(crate) started: AtomicU64,
    pub(crate) ended: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) bad_peers: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
}

impl Counters {
    pub(crate) fn read(&self) -> ProtocolStats {
        // Ended first: what starts meanwhile then counts as in flight, not as negative.
        let ended = self.ended.load(Relaxed);
        let requests = self.started.load(Relaxed);
        ProtocolStats {
            connections: self.connections.load(Relaxed),
            in_flight: requests.saturating_sub(ended),
            requests,
            errors: self.errors.load(Relaxed),
            bad_peers: self.bad_peers.load(Relaxed),
            bytes_in: self.bytes_in.load(Relaxed),
            bytes_out: self.bytes_out.load(Relaxed),
        }
    }
}

/// Adds `count`, unless that would change nothing: other workers read the same cache line.
#[inline]
pub(crate) fn add(to: &AtomicU64, count: u64) {
    if count > 0 {
        to.fetch_add(count, Relaxed);
    }
}
