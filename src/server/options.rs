//! The bounds of a server, whatever is spoken on it.

use std::time::Duration;

use crate::{http, rpc};

/// The bounds of a [`Server`](super::Server), and those of the protocols that come with it.
///
/// ```
/// use std::time::Duration;
/// use fastrpc::ServerOptions;
///
/// let mut options = ServerOptions::new().max_connections(1000).peer_timeout(Duration::from_secs(5));
/// options.http.max_body = 1 << 20;
/// assert_eq!(options.rpc.max_in_flight, 10_000);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// Connections open at once; one more is accepted and closed at once. Default 100,000.
    pub max_connections: usize,
    /// A peer whose machine has acknowledged nothing for this long is gone: it failed, or the way
    /// to it. See [`Stream::set_peer_timeout`](crate::net::Stream::set_peer_timeout). Default 30 s.
    pub peer_timeout: Option<Duration>,
    /// A connection once begun must say in this time what it speaks, or it is closed. Default 30 s.
    pub detect_timeout: Option<Duration>,
    /// A connection on which nothing has come yet for this long is closed. Default off.
    pub first_byte_timeout: Option<Duration>,
    /// The bounds of connections that speak RPC.
    pub rpc: rpc::Options,
    /// The bounds of connections that speak HTTP.
    pub http: http::Options,
}

impl ServerOptions {
    /// The defaults.
    pub fn new() -> ServerOptions {
        ServerOptions::default()
    }

    setters! {
        max_connections: usize,
        peer_timeout: into Option<Duration>,
        detect_timeout: into Option<Duration>,
        first_byte_timeout: into Option<Duration>,
        rpc: rpc::Options,
        http: http::Options,
    }
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            max_connections: 100_000,
            peer_timeout: Some(Duration::from_secs(30)),
            detect_timeout: Some(Duration::from_secs(30)),
            first_byte_timeout: None,
            rpc: rpc::Options::default(),
            http: http::Options::default(),
        }
    }
}
