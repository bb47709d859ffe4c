//! What a call returns, and what a typed handler responds with.

use std::fmt;
use std::sync::Arc;

use super::{Compress, Responder};
use crate::net::Addr;

/// The response of a call: a message, as bytes or decoded, and an attachment.
///
/// [`Client::call`](super::Client::call) and generated clients return one; handlers of typed
/// methods return one, made of a message by `into()`, or [deferred](Response::deferred).
///
/// ```
/// use fastrpc::rpc::{Compress, Response};
///
/// let response: Response<String> = "hello".to_owned().into();
/// assert_eq!(response.body(), "hello");
///
/// let response = response.with_attachment(b"beside it").with_compress(Compress::Snappy);
/// assert_eq!(response.attachment(), b"beside it");
/// assert_eq!(response.into_body(), "hello");
/// ```
pub struct Response<T = Vec<u8>> {
    content: Content<T>,
}

enum Content<T> {
    Ready(Ready<T>),
    Deferred(Defer<T>),
}

/// A response that is not deferred.
pub(super) struct Ready<T> {
    pub(super) body: T,
    pub(super) attachment: Vec<u8>,
    pub(super) compress: Compress,
    /// Who sent it, if it was received.
    pub(super) peer: Option<Arc<Addr>>,
}

pub(super) type Defer<T> = Box<dyn FnOnce(Responder<T>) + Send>;

impl<T> Response<T> {
    /// Creates a response with this message.
    pub fn new(body: T) -> Response<T> {
        Ready { body, attachment: Vec::new(), compress: Compress::None, peer: None }.into()
    }

    /// Creates a response that is sent later, by a [`Responder`].
    ///
    /// `take` gets the responder as soon as the handler has returned, in the same coroutine. It may
    /// pass it on to whatever sends the response, or send it and go on with something else.
    ///
    /// ```
    /// use fastrpc::rpc::{Call, Error, Response};
    ///
    /// // A handler of a typed method. The response is sent by a thread, which may take its time.
    /// fn shout(request: String, _call: &Call) -> Result<Response<String>, Error> {
    ///     Ok(Response::deferred(move |responder| {
    ///         std::thread::spawn(move || responder.reply(request.to_uppercase()));
    ///     }))
    /// }
    /// ```
    pub fn deferred(take: impl FnOnce(Responder<T>) + Send + 'static) -> Response<T> {
        Response { content: Content::Deferred(Box::new(take)) }
    }

    /// Sends these bytes beside the message. Ignored by a deferred response.
    #[must_use]
    pub fn with_attachment(mut self, bytes: impl Into<Vec<u8>>) -> Response<T> {
        if let Content::Ready(ready) = &mut self.content {
            ready.attachment = bytes.into();
        }
        self
    }

    /// Compresses the message. Ignored by a deferred response.
    #[must_use]
    pub fn with_compress(mut self, compress: Compress) -> Response<T> {
        if let Content::Ready(ready) = &mut self.content {
            ready.compress = compress;
        }
        self
    }

    /// Returns the message.
    ///
    /// # Panics
    /// When the response is [deferred](Response::deferred). What a client returns never is.
    pub fn body(&self) -> &T {
        match &self.content {
            Content::Ready(ready) => &ready.body,
            Content::Deferred(_) => panic!("{NO_BODY}"),
        }
    }

    /// Returns the message by value.
    ///
    /// # Panics
    /// As [`body`](Response::body).
    pub fn into_body(self) -> T {
        match self.content {
            Content::Ready(ready) => ready.body,
            Content::Deferred(_) => panic!("{NO_BODY}"),
        }
    }

    /// Returns the bytes sent beside the message; empty if there are none.
    pub fn attachment(&self) -> &[u8] {
        self.ready().map_or(&[], |ready| &ready.attachment)
    }

    /// Returns the address of the server that sent the response; `None` if it was not received.
    pub fn peer(&self) -> Option<&Arc<Addr>> {
        self.ready()?.peer.as_ref()
    }

    fn ready(&self) -> Option<&Ready<T>> {
        match &self.content {
            Content::Ready(ready) => Some(ready),
            Content::Deferred(_) => None,
        }
    }

    /// Returns the response, or the closure that takes the responder.
    pub(super) fn into_ready(self) -> Result<Ready<T>, Defer<T>> {
        match self.content {
            Content::Ready(ready) => Ok(ready),
            Content::Deferred(take) => Err(take),
        }
    }
}

impl<T> From<T> for Response<T> {
    fn from(body: T) -> Self {
        Response::new(body)
    }
}

impl<T> From<Ready<T>> for Response<T> {
    #[inline]
    fn from(ready: Ready<T>) -> Self {
        Response { content: Content::Ready(ready) }
    }
}

impl<T: fmt::Debug> fmt::Debug for Response<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.content {
            Content::Ready(ready) => f
                .debug_struct("Response")
                .field("body", &ready.body)
                .field("attachment", &ready.attachment.len())
                .field("compress", &ready.compress)
                .field("peer", &ready.peer)
                .finish(),
            Content::Deferred(_) => f.write_str("Response::deferred(..)"),
        }
    }
}

const NO_BODY: &str = "a deferred response has no body";
