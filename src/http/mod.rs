//! HTTP/1.1 and 1.0, the server's side: a [`Router`] of handlers, their [`Request`]s and
//! [`Response`]s, and the connection that reads the ones and writes the others.
//!
//! **What it offers.** Routes by method and path; requests with a body that is read as it is
//! needed; responses that are whole, streamed, or made later by whoever holds the [`Responder`].
//! A [`Server`](crate::server::Server) serves them on its port.
//!
//! **What holds.** A connection answers its requests one after the other, in their order. What
//! comes in one read is answered with one write; what has been answered leaves when a handler
//! waits. Nothing is read that nobody asked for, so that a slow handler slows its peer down. Each
//! request is answered exactly once: a handler that panics or drops its responder is a 500. What
//! is malformed is answered and ends the connection, since nobody knows where the next request
//! begins. An idle connection holds no buffer.
//!
//! **What it must never do.** Trust a length that a peer sent; hold a lock over a call that waits.

// What it may call: rt, net, wire, protocol.

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
