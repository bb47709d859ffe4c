//! Services with typed messages: what generated code builds on, and what its users see of it.
//!
//! Nothing here knows protobuf. The generated code brings a [`Codec`] of its own, so that messages
//! are compiled with the user's version of the protobuf library, not with ours.

use std::fmt;
use std::marker::PhantomData;

use super::response::Ready;
use super::{Call, CallHandle, CallOptions, Client, Code, Error, Registry, ReplyOptions, Response};

/// A generated service, to be added to a [`Server`](crate::server::Server).
pub trait Service {
    /// Adds the service's methods.
    ///
    /// # Errors
    /// When one of them exists already.
    fn add_to(self, registry: &Registry) -> Result<(), Error>;
}

impl Registry {
    /// Adds the methods of a generated service.
    ///
    /// # Errors
    /// When one of them exists already.
    pub fn add_service(&self, service: impl Service) -> Result<(), Error> {
        service.add_to(self)
    }
}

/// Sends the response of one call, with a typed message: see [`Response::deferred`].
///
/// It responds exactly once, from any coroutine or thread. Dropped, it responds with EINTERNAL.
pub struct Responder<T> {
    call: Call,
    encode: fn(&T) -> Vec<u8>,
}

impl<T> Responder<T> {
    /// Returns the call: its peer, its deadline, whether the client still waits.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// Responds with a message. Does not wait.
    pub fn reply(self, response: impl Into<Response<T>>) {
        match response.into().into_ready() {
            Ok(Ready { body, attachment, compress, .. }) => {
                let options = ReplyOptions::new().attachment(&attachment).compress(compress);
                self.call.reply_with(&(self.encode)(&body), &options);
            }
            Err(take) => take(self),
        }
    }

    /// Responds with an error: its code and its text. Does not wait.
    pub fn fail(self, error: &Error) {
        self.call.fail(error.code(), error.text());
    }
}

impl<T> fmt::Debug for Responder<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Responder").field("call", &self.call).finish_non_exhaustive()
    }
}

/// Encodes and decodes messages of type `T`.
pub trait Codec<T> {
    /// Encodes a message.
    fn encode(message: &T) -> Vec<u8>;

    /// Decodes a message.
    ///
    /// # Errors
    /// Returns what is wrong with the bytes.
    fn decode(bytes: &[u8]) -> Result<T, String>;
}

/// A method with request type `Q` and response type `A`, which the codec `C` encodes. Generated
/// code has one for each method of its service, for the server and for the client.
pub struct Method<Q, A, C> {
    service: &'static str,
    name: &'static str,
    request: &'static str,
    response: &'static str,
    types: PhantomData<fn(Q, C) -> A>,
}

impl<Q, A, C> fmt::Debug for Method<Q, A, C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Method({}.{})", self.service, self.name)
    }
}

impl<Q, A, C> Method<Q, A, C>
where
    Q: 'static,
    A: 'static,
    C: Codec<Q> + Codec<A> + 'static,
{
    /// Describes the method `name` of `service`, with the names of its two message types.
    pub const fn new(
        service: &'static str,
        name: &'static str,
        request: &'static str,
        response: &'static str,
    ) -> Self {
        Method { service, name, request, response, types: PhantomData }
    }

    /// Adds the method to a server. A request that cannot be decoded fails with EREQUEST; for the
    /// rest see [`Registry::add_method`].
    ///
    /// # Errors
    /// When the method exists already.
    pub fn serve(
        &self,
        registry: &Registry,
        handler: impl Fn(Q, &Call) -> Result<Response<A>, Error> + Send + Sync + 'static,
    ) -> Result<(), Error> {
        let request_name = self.request;
        registry.add_method(self.service, self.name, move |call| {
            let request = match <C as Codec<Q>>::decode(call.request()) {
                Ok(request) => request,
                Err(why) => {
                    let text = format!("the body is not a {request_name}: {why}");
                    return call.fail(Code::EREQUEST, &text);
                }
            };
            let outcome = handler(request, &call);
            let responder = Responder { call, encode: <C as Codec<A>>::encode };
            match outcome {
                Ok(response) => responder.reply(response),
                Err(error) => responder.fail(&error),
            }
        })
    }

    /// Calls the method and waits for the response: suspends a coroutine, blocks a plain thread.
    ///
    /// # Errors
    /// Those of [`Client::call`], and ERESPONSE when the response cannot be decoded.
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
    let Ok(Ready { body, attachment, compress, peer }) = response.into_ready() else {
        return Err(Error::response("the response is deferred"));
    };
    match C::decode(&body) {
        Ok(body) => Ok(Ready { body, attachment, compress, peer }.into()),
        Err(why) => Err(Error::response(format!("the response is not a {name}: {why}"))),
    }
}

/// Includes the code that `fastrpc-build` generated from a package's `.proto` files: messages and
/// services.
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
