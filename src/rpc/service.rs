//! Services with typed messages: what generated code stands on, and what its users see of it.
//!
//! Nothing here knows protobuf. The generated code brings a [`Codec`] of its own, so that messages
//! are compiled with the user's version of the protobuf library, not with ours.

use std::fmt;
use std::marker::PhantomData;

use super::{
    Call, CallHandle, CallOptions, Client, Code, Compress, Error, Reply, Response, Server,
};

/// A service as a generator makes it, to be added to a [`Server`].
pub trait Service {
    /// Adds the service's methods.
    ///
    /// # Errors
    /// When one of them is there already.
    fn add_to(self, server: &Server) -> Result<(), Error>;
}

impl Server {
    /// Adds the methods of a generated service.
    ///
    /// # Errors
    /// When one of them is there already.
    pub fn add_service(&self, service: impl Service) -> Result<(), Error> {
        service.add_to(self)
    }
}

/// What a handler answers: a message and what goes beside it, now or later.
///
/// A message alone converts into it: `Ok(message.into())`.
pub struct Answer<T> {
    kind: Kind<T>,
}

enum Kind<T> {
    Now { message: T, attachment: Vec<u8>, compress: Compress },
    Later(Box<dyn FnOnce(Responder<T>) + Send>),
}

impl<T> Answer<T> {
    /// An answer with this message.
    pub fn new(message: T) -> Answer<T> {
        Answer { kind: Kind::Now { message, attachment: Vec::new(), compress: Compress::None } }
    }

    /// An answer that is given later. `take` runs as soon as the handler has returned, in the same
    /// coroutine, and may keep the [`Responder`] or answer by it and go on with something else.
    pub fn later(take: impl FnOnce(Responder<T>) + Send + 'static) -> Answer<T> {
        Answer { kind: Kind::Later(Box::new(take)) }
    }

    /// Sends these bytes beside the message. Nothing happens to an answer that is given later.
    #[must_use]
    pub fn with_attachment(mut self, bytes: impl Into<Vec<u8>>) -> Answer<T> {
        if let Kind::Now { attachment, .. } = &mut self.kind {
            *attachment = bytes.into();
        }
        self
    }

    /// Compresses the message. Nothing happens to an answer that is given later.
    #[must_use]
    pub fn with_compress(mut self, how: Compress) -> Answer<T> {
        if let Kind::Now { compress, .. } = &mut self.kind {
            *compress = how;
        }
        self
    }
}

impl<T> From<T> for Answer<T> {
    fn from(message: T) -> Self {
        Answer::new(message)
    }
}

impl<T: fmt::Debug> fmt::Debug for Answer<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Now { message, attachment, compress } => f
                .debug_struct("Answer")
                .field("message", message)
                .field("attachment", &attachment.len())
                .field("compress", compress)
                .finish(),
            Kind::Later(_) => f.write_str("Answer::later(..)"),
        }
    }
}

/// A call that waits for its answer, with a typed message: see [`Answer::later`].
///
/// It answers exactly once, from any coroutine or thread. Dropped, it answers with EINTERNAL.
pub struct Responder<T> {
    call: Call,
    encode: fn(&T) -> Vec<u8>,
}

impl<T> Responder<T> {
    /// The call: where it came from, its deadline, whether anybody still waits.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Answers with a message. Does not wait.
    pub fn reply(self, answer: impl Into<Answer<T>>) {
        match answer.into().kind {
            Kind::Now { message, attachment, compress } => {
                let body = (self.encode)(&message);
                self.call.reply_with(Reply { body: &body, attachment: &attachment, compress });
            }
            Kind::Later(take) => take(self),
        }
    }

    /// Answers with an error: its number and its text. Does not wait.
    pub fn fail(self, error: &Error) {
        self.call.fail(error.code(), error.text());
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("call", &self.call).finish_non_exhaustive()
    }
}

/// How messages of type `T` become bytes and come back.
pub trait Codec<T> {
    /// The bytes of a message.
    fn encode(message: &T) -> Vec<u8>;

    /// The message of bytes.
    ///
    /// # Errors
    /// What is wrong with the bytes.
    fn decode(bytes: &[u8]) -> Result<T, String>;
}

/// A method whose request is a `Q` and whose response is an `A`, as bytes by the codec `C`.
/// Generated code has one for each method of its service, for the server and for the client.
pub struct Method<Q, A, C> {
    service: &'static str,
    name: &'static str,
    request: &'static str,
    response: &'static str,
    types: PhantomData<fn(Q, C) -> A>,
}

impl<Q, A, C> Method<Q, A, C>
where
    Q: 'static,
    A: 'static,
    C: Codec<Q> + Codec<A> + 'static,
{
    /// The method `name` of `service`, and what its two messages are called.
    pub const fn new(
        service: &'static str,
        name: &'static str,
        request: &'static str,
        response: &'static str,
    ) -> Self {
        Method { service, name, request, response, types: PhantomData }
    }

    /// Adds the method to a server. A request that does not decode is answered with EREQUEST; what
    /// else may happen is said at [`Server::add_method`].
    ///
    /// # Errors
    /// When the method is there already.
    pub fn serve(
        &self,
        server: &Server,
        handler: impl Fn(Q, &Call) -> Result<Answer<A>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let request_name = self.request;
        server.add_method(self.service, self.name, move |call| {
            let request = match <C as Codec<Q>>::decode(call.request()) {
                Ok(request) => request,
                Err(why) => {
                    let text = format!("the body is no {request_name}: {why}");
                    return call.fail(Code::EREQUEST, &text);
                }
            };
            let outcome = handler(request, &call);
            let responder = Responder { call, encode: <C as Codec<A>>::encode };
            match outcome {
                Ok(answer) => responder.reply(answer),
                Err(error) => responder.fail(&error),
            }
        })
    }

    /// Calls the method and waits for the answer: a coroutine is suspended, a plain thread blocks.
    ///
    /// # Errors
    /// As for [`Client::call`], and ERESPONSE when the answer does not decode.
    pub fn call(
        &self,
        client: &Client,
        request: &Q,
        options: &CallOptions<'_>,
    ) -> Result<Response<A>, Error> {
        let body = <C as Codec<Q>>::encode(request);
        let response = client.call(self.service, self.name, &body, options)?;
        decode::<A, C>(response, self.response)
    }

    /// Calls the method and returns at once. `done` runs in a coroutine with the outcome, exactly
    /// once: see [`Client::call_async`].
    pub fn call_async(
        &self,
        client: &Client,
        request: &Q,
        options: &CallOptions<'_>,
        done: impl FnOnce(Result<Response<A>, Error>) + Send + 'static,
    ) -> CallHandle {
        let body = <C as Codec<Q>>::encode(request);
        let response_name = self.response;
        client.call_async(self.service, self.name, &body, options, move |outcome| {
            done(outcome.and_then(|response| decode::<A, C>(response, response_name)));
        })
    }
}

fn decode<A, C: Codec<A>>(response: Response, name: &str) -> Result<Response<A>, Error> {
    let Response { body, attachment, peer } = response;
    match C::decode(&body) {
        Ok(body) => Ok(Response { body, attachment, peer }),
        Err(why) => Err(Error::response(format!("the answer is no {name}: {why}"))),
    }
}

/// Includes what `fastrpc-build` made of a package's `.proto` files: messages and services.
///
/// ```ignore
/// mod demo {
///     fastrpc::include_proto!("demo");
/// }
/// ```
///
/// The name is the package's, with dots, and `"_"` for files without one. Packages that use each
/// other's messages have to be nested in modules as their names say; prost's `include_file` writes
/// these.
#[macro_export]
macro_rules! include_proto {
    ($package:literal) => {
        include!(concat!(env!("OUT_DIR"), "/", $package, ".rs"));
    };
}
