use std::time::Duration;

use super::{Cancellation, Compress, Protocol};
use crate::http;

/// The bounds of a [`Server`](super::Server). Each keeps one peer, or all of them together, from
/// taking memory without end.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ServerOptions {
    /// The largest frame taken from a peer, in bytes, its twelve-byte head not counted; a body
    /// may be no larger after decompression either. A peer that announces more is closed.
    /// Default 64 MiB.
    pub max_frame: usize,
    /// Connections open at once; one more is accepted and closed at once. Default 100,000.
    pub max_connections: usize,
    /// Calls of one connection that may wait for their answer; at that number the connection is
    /// no longer read, until half of them are answered. Default 10,000.
    pub max_in_flight: usize,
    /// Bytes of requests of one connection that may wait for their answer; beyond, as above.
    /// Default 64 MiB.
    pub max_in_flight_bytes: usize,
    /// Bytes of answers that one connection may leave untaken; beyond, it is no longer read until
    /// half of them are gone. Default 64 MiB.
    pub max_unsent: usize,
    /// A peer that takes not one byte for this long while answers wait for it is closed.
    /// Default 30 s.
    pub write_stall: Duration,
    /// A peer whose machine has acknowledged nothing for this long is gone: it failed, or the way
    /// to it. See [`Stream::set_peer_timeout`](crate::net::Stream::set_peer_timeout). Default 30 s.
    pub peer_timeout: Option<Duration>,
    /// A frame once begun must have its head whole in this time, and then never pause for as
    /// long, or the peer is closed. Default 30 s.
    pub frame_timeout: Option<Duration>,
    /// A peer that sends nothing for this long while it has no call in flight is closed. Default
    /// off.
    pub idle_timeout: Option<Duration>,
    /// The bounds of connections that speak HTTP.
    pub http: http::Options,
}

impl Default for ServerOptions {
    fn default() -> Self {
        ServerOptions {
            max_frame: 64 << 20,
            max_connections: 100_000,
            max_in_flight: 10_000,
            max_in_flight_bytes: 64 << 20,
            max_unsent: 64 << 20,
            write_stall: Duration::from_secs(30),
            peer_timeout: Some(Duration::from_secs(30)),
            frame_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
            http: http::Options::default(),
        }
    }
}

/// How a [`Client`](super::Client) connects, and its bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// What to speak. Default baidu_std.
    pub protocol: Protocol,
    /// How long a call may take that does not say so itself; `None` is for ever. Default 10 s.
    pub timeout: Option<Duration>,
    /// How long one attempt to connect may take. Default 3 s.
    pub connect_timeout: Duration,
    /// Calls in flight; one more fails with EOVERCROWDED. Default 100,000.
    pub max_in_flight: usize,
    /// Bytes of requests not yet handed to the kernel; a call made beyond fails with
    /// EOVERCROWDED. Default 64 MiB.
    pub max_unsent: usize,
    /// Pushed messages that may wait for their handler; one more is dropped. Default 10,000.
    pub max_pushes: usize,
    /// Bytes of pushed messages that may wait for their handler; a message beyond is dropped.
    /// Default 64 MiB.
    pub max_push_bytes: usize,
    /// The largest answer taken, in bytes; a larger one breaks the connection. Default 64 MiB.
    pub max_frame: usize,
    /// The pause after a first failed attempt to connect; it doubles with each further one.
    /// Each pause is drawn from the upper half of its length. Default 50 ms.
    pub backoff_min: Duration,
    /// The longest pause between two attempts. Default 2 s.
    pub backoff_max: Duration,
    /// The connection breaks when the server takes not one byte for this long while requests wait
    /// for it. Default 30 s.
    pub write_stall: Duration,
    /// The connection breaks when the server's machine has acknowledged nothing for this long: it
    /// failed, or the way to it. See
    /// [`Stream::set_peer_timeout`](crate::net::Stream::set_peer_timeout). Default 30 s.
    pub peer_timeout: Option<Duration>,
    /// The worker the connection lives on. By default the one of the coroutine that makes the
    /// client; made outside of a coroutine, clients go to the workers in turn.
    pub worker: Option<usize>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        ClientOptions {
            protocol: Protocol::BaiduStd,
            timeout: Some(Duration::from_secs(10)),
            connect_timeout: Duration::from_secs(3),
            max_in_flight: 100_000,
            max_unsent: 64 << 20,
            max_pushes: 10_000,
            max_push_bytes: 64 << 20,
            max_frame: 64 << 20,
            backoff_min: Duration::from_millis(50),
            backoff_max: Duration::from_secs(2),
            write_stall: Duration::from_secs(30),
            peer_timeout: Some(Duration::from_secs(30)),
            worker: None,
        }
    }
}

/// What one call says beside its request.
#[derive(Clone, Copy, Debug, Default)]
pub struct CallOptions<'a> {
    /// How long the call may take; `None` takes the client's [`timeout`](ClientOptions::timeout).
    /// The server learns of it too.
    pub timeout: Option<Duration>,
    /// A number the server may log.
    pub log_id: i64,
    /// A text that names the request to the server.
    pub request_id: Option<&'a str>,
    /// Bytes sent beside the request, never compressed.
    pub attachment: &'a [u8],
    /// How the request is compressed.
    pub compress: Compress,
    /// What any thread may end the call by.
    pub cancellation: Option<&'a Cancellation>,
}
