//! Options of servers, clients and calls.

use std::time::Duration;

use super::{Cancellation, Compress, Protocol};

/// The limits of a server's RPC connections. Each bounds what one peer can make the server hold.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The largest frame accepted from a peer, in bytes, excluding its twelve-byte head; a body may
    /// be no larger after decompression either. A connection on which the peer announces more is
    /// closed.
    pub max_frame: usize,
    /// Calls of one connection that may be in flight; at that number the connection is no longer
    /// read, until half of them have been responded to. Default 10,000.
    pub max_in_flight: usize,
    /// Bytes of requests of one connection that may be in flight; beyond, as above. Default 64 MiB.
    pub max_in_flight_bytes: usize,
    /// Bytes of responses that may wait to be written to one connection; beyond, it is no longer
    /// read until half of them are written. Default 64 MiB.
    pub max_unsent: usize,
    /// A connection whose peer takes no byte for this long while responses wait to be written is
    /// closed. Default 30 s.
    pub write_stall: Duration,
    /// Once begun, a frame must have its whole head within this time, and then never stall for as
    /// long, or the connection is closed. Default 30 s.
    pub frame_timeout: Option<Duration>,
    /// A connection without a call in flight on which the peer sends nothing for this long is
    /// closed. Default off.
    pub idle_timeout: Option<Duration>,
}

impl Options {
    /// Returns the defaults.
    pub fn new() -> Options {
        Options::default()
    }

    setters! {
        max_frame: usize,
        max_in_flight: usize,
        max_in_flight_bytes: usize,
        max_unsent: usize,
        write_stall: Duration,
        frame_timeout: into Option<Duration>,
        idle_timeout: into Option<Duration>,
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            max_frame: 64 << 20,
            max_in_flight: 10_000,
            max_in_flight_bytes: 64 << 20,
            max_unsent: 64 << 20,
            write_stall: Duration::from_secs(30),
            frame_timeout: Some(Duration::from_secs(30)),
            idle_timeout: None,
        }
    }
}

/// How a [`Client`](super::Client) connects, and its limits.
///
/// ```
/// use fastrpc::rpc::ClientOptions;
/// use std::time::Duration;
///
/// let options = ClientOptions::new().timeout(Duration::from_secs(1)).max_in_flight(1000);
/// assert_eq!(options.timeout, Some(Duration::from_secs(1)));
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClientOptions {
    /// The protocol of the frames.
    /// Default: [`Protocol::BaiduStd`].
    pub protocol: Protocol,
    /// How long a call may take unless [`CallOptions::timeout`] says otherwise; `None`: no limit.
    /// Default: 10 s.
    pub timeout: Option<Duration>,
    /// How long one attempt to connect may take.
    /// Default: 3 s.
    pub connect_timeout: Duration,
    /// Calls in flight; beyond, a call fails with EOVERCROWDED.
    /// Default: 100,000. Maximum: 16,777,215.
    pub max_in_flight: usize,
    /// Bytes of requests not yet passed to the kernel; beyond, a call fails with EOVERCROWDED.
    /// Default: 64 MiB.
    pub max_unsent: usize,
    /// Pushed messages that wait for their handler; beyond, they are dropped.
    /// Default: 10,000.
    pub max_pushes: usize,
    /// Bytes of pushed messages that wait for their handler; beyond, they are dropped.
    /// Default: 64 MiB.
    pub max_push_bytes: usize,
    /// Bytes of a frame, and of a decompressed body; a larger one breaks the connection.
    /// Default: 64 MiB.
    pub max_frame: usize,
    /// The pause after the first failed attempt to connect. It doubles with each further failure,
    /// and each pause is drawn at random from the upper half of its length.
    /// Default: 50 ms.
    pub backoff_min: Duration,
    /// The longest pause between two attempts; at least `backoff_min`.
    /// Default: 2 s.
    pub backoff_max: Duration,
    /// The connection breaks when the server takes no byte for this long while requests wait.
    /// Default: 30 s.
    pub write_stall: Duration,
    /// The connection breaks when the server's machine acknowledges nothing for this long; `None`:
    /// never. See [`Stream::set_peer_timeout`](crate::net::Stream::set_peer_timeout).
    /// Default: 30 s.
    pub peer_timeout: Option<Duration>,
    /// The worker on which the connection lives.
    /// Default: that of the coroutine that makes the client; outside of coroutines, the workers in
    /// turn.
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

impl ClientOptions {
    /// Returns the defaults.
    pub fn new() -> ClientOptions {
        ClientOptions::default()
    }

    setters! {
        protocol: Protocol,
        timeout: into Option<Duration>,
        connect_timeout: Duration,
        max_in_flight: usize,
        max_unsent: usize,
        max_pushes: usize,
        max_push_bytes: usize,
        max_frame: usize,
        backoff_min: Duration,
        backoff_max: Duration,
        write_stall: Duration,
        peer_timeout: into Option<Duration>,
        worker: into Option<usize>,
    }
}

/// The options of a call, and what it carries beside its request.
///
/// ```
/// use fastrpc::rpc::CallOptions;
/// use std::time::Duration;
///
/// let options = CallOptions::new().timeout(Duration::from_millis(50)).attachment(b"beside it");
/// assert_eq!(options.attachment, b"beside it");
/// ```
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct CallOptions<'a> {
    /// How long the call may take. Sent to the server.
    /// Default: the client's [`timeout`](ClientOptions::timeout).
    pub timeout: Option<Duration>,
    /// A number for the server's logs.
    /// Default: 0.
    pub log_id: i64,
    /// A name for the request, sent to the server.
    /// Default: none.
    pub request_id: Option<&'a str>,
    /// Bytes sent beside the request. They are never compressed.
    /// Default: none.
    pub attachment: &'a [u8],
    /// The compression of the request.
    /// Default: [`Compress::None`].
    pub compress: Compress,
    /// Lets any thread cancel the call.
    /// Default: none.
    pub cancellation: Option<&'a Cancellation>,
}

impl<'a> CallOptions<'a> {
    /// Returns the defaults.
    pub fn new() -> CallOptions<'a> {
        CallOptions::default()
    }

    setters! {
        timeout: into Option<Duration>,
        log_id: i64,
        request_id: into Option<&'a str>,
        attachment: &'a [u8],
        compress: Compress,
        cancellation: into Option<&'a Cancellation>,
    }
}

/// What a response carries beside its message: see [`Call::reply_with`](super::Call::reply_with).
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct ReplyOptions<'a> {
    /// Bytes sent beside the message. They are never compressed.
    /// Default: none.
    pub attachment: &'a [u8],
    /// The compression of the message.
    /// Default: [`Compress::None`].
    pub compress: Compress,
}

impl<'a> ReplyOptions<'a> {
    /// Returns the defaults.
    pub fn new() -> ReplyOptions<'a> {
        ReplyOptions::default()
    }

    setters! {
        attachment: &'a [u8],
        compress: Compress,
    }
}
