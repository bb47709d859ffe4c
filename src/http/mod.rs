//! HTTP/1.1 and 1.0, the server's side: a [`Router`] of handlers, their [`Request`]s and [`Response`]s.
//! A [`Server`](crate::server::Server) serves them on its port.
//!
//! Routes match by method and path. A request's body is read as the handler asks for it; a response is
//! whole, streamed, or sent later by whoever holds the [`Responder`]. A connection answers its requests
//! one after the other, in their order, each exactly once: a handler that panics or drops its responder
//! is a 500.

// What it may call: rt, net, wire, protocol.
//
// What holds: what comes in one read is answered with one write; what has been answered is sent when a
// handler waits. Nothing is read that nobody asked for, so that a slow handler slows its peer down. A
// malformed request is answered and ends the connection, since nobody knows where the next one begins. An
// idle connection holds no buffer.
//
// What it must never do: trust a length that a peer sent; hold a lock over a call that waits.

mod body;
mod body_channel;
mod conn;
mod date;
mod handler;
mod io;
mod options;
mod protocol;
mod request;
mod respond;
mod response;
mod router;

pub use ::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri, Version};

pub use self::body::Body;
pub use self::options::Options;
pub use self::request::Request;
pub use self::respond::{BodyWriter, Responder};
pub use self::response::Response;
pub use self::router::{RouteError, Router};

pub(crate) use self::protocol::Http1;
