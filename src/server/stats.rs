//! What a server has done, added up over its protocols.

use std::ops::AddAssign;

use crate::protocol::ProtocolStats;

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
    /// Calls and HTTP requests that wait for their answer.
    pub in_flight: u64,
    /// Calls and HTTP requests received, those of unknown methods included.
    pub calls: u64,
    /// Calls and HTTP requests answered with an error.
    pub errors: u64,
    /// Connections closed because of what the peer sent, or did not take.
    pub bad_peers: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

impl AddAssign<ProtocolStats> for ServerStats {
    fn add_assign(&mut self, of: ProtocolStats) {
        self.in_flight += of.in_flight;
        self.calls += of.requests;
        self.errors += of.errors;
        self.bad_peers += of.bad_peers;
        self.bytes_in += of.bytes_in;
        self.bytes_out += of.bytes_out;
    }
}
