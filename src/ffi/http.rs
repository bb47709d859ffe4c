//! HTTP: routes, and responses.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::http::{BodyWriter, Request, Responder, Response, RouteError, StatusCode};

use super::arg;
use super::callback::{UserData, call_out, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::http_request::Lists;
use super::own::{Opaque, SharedArc, give_shared, look, need, take_shared};
use super::server::fastrpc_server;
use super::status::*;

/// An HTTP request and its response, as a handler gets them.
///
/// It is the handler's until that returns; then the response is sent: what was set of it, by
/// default 200 without a body. fastrpc_http_defer() makes it the caller's, to be answered later and
/// on any thread by fastrpc_http_send(). One thread uses it at a time (else FASTRPC_EBUSY). If an
/// exception leaves the handler of an exchange that was not deferred, the response is 500, or the
/// connection ends if a part of the response is out.
pub struct fastrpc_http_exchange {
    _private: [u8; 0],
}

impl Opaque for fastrpc_http_exchange {
    type Rust = Exchange;
    type Ownership = SharedArc;
}

/// Handles HTTP requests. It runs in a new coroutine for each, on several workers at the same time.
pub type fastrpc_http_handler =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, exchange: *mut fastrpc_http_exchange)>;

/// Adds a handler for HTTP requests of one method and path. May be called while the server runs.
///
/// `method`: such as "GET", which serves HEAD as well. `path`: begins with "/"; ":name" stands for
/// one segment, "*name" at the end for the rest. `function`, `user`, `drop`: handles the requests,
/// until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (there is such a route, or
/// one that cannot be told apart). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_route(
    server: *const fastrpc_server,
    method: *const c_char,
    method_size: usize,
    path: *const c_char,
    path_size: usize,
    function: fastrpc_http_handler,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live server.
        let router = unsafe { need(server) }?.http();
        // SAFETY: the caller passes readable bytes.
        let method = unsafe { arg::text(method, method_size) }?;
        // SAFETY: the caller passes readable bytes.
        let path = unsafe { arg::text(path, path_size) }?;
        router.route_deferred(method, path, move |request, responder| {
            Exchange::run(request, responder, function, &user);
        })?;
        Ok(())
    })
}

/// Sets the handler for HTTP requests that no route fits, instead of 404. May be called while the
/// server runs, once.
///
/// `function`, `user`, `drop`: handles the requests, until the server is freed. Fails with
/// FASTRPC_EINVAL, FASTRPC_ESTATE (there is one). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_fallback(
    server: *const fastrpc_server,
    function: fastrpc_http_handler,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live server.
        unsafe { need(server) }?.http().fallback(move |request, responder| {
            Exchange::run(request, responder, function, &user);
        })?;
        Ok(())
    })
}

/// Sets the status of the response, between 200 and 999; 200 by default.
///
/// Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is out). Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_set_status(
    exchange: *const fastrpc_http_exchange,
    status: i32,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            let status = u16::try_from(status).ok().and_then(|s| StatusCode::from_u16(s).ok());
            let status = status.filter(|status| !status.is_informational());
            inner.answer()?.status =
                status.ok_or_else(|| Failure::invalid("the status must be between 200 and 999"))?;
            Ok(())
        })
    })
}

/// Adds a header field to the response. Content-Length, Transfer-Encoding and Date are set by the
/// library and ignored here.
///
/// `name`, `value`: text. Fails with FASTRPC_EINVAL (a character that a field must not have, such
/// as a line break), FASTRPC_ESTATE (a part of the response is out). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_add_header(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    value: *const c_char,
    value_size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes readable bytes.
        let name = unsafe { arg::bytes(name.cast(), name_size) }?;
        // SAFETY: the caller passes readable bytes.
        let value = unsafe { arg::bytes(value.cast(), value_size) }?;
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| inner.answer()?.add(name, value))
    })
}

/// Sets the body of the response.
///
/// `body`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is
/// out). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_set_body(
    exchange: *const fastrpc_http_exchange,
    body: *const u8,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes readable bytes.
        let body = unsafe { arg::bytes(body, size) }?.to_vec();
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            inner.answer()?.body = body;
            Ok(())
        })
    })
}

/// Sets the whole response: status line, header fields and body, sent as they are. One that is
/// malformed, or does not end where it says, is logged and becomes a 500.
///
/// `response`, `size`: copied. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (a part of the response is
/// out). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_set_raw(
    exchange: *const fastrpc_http_exchange,
    response: *const u8,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes readable bytes.
        let raw = unsafe { arg::bytes(response, size) }?.to_vec();
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            inner.answer()?.raw = Some(raw);
            Ok(())
        })
    })
}

/// Sets how many bytes will be written in all, if that is known. Otherwise they are sent in chunks.
///
/// Fails with FASTRPC_ESTATE (a part of the response is out). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_set_length(
    exchange: *const fastrpc_http_exchange,
    length: u64,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            inner.answer()?.length = Some(length);
            Ok(())
        })
    })
}

/// Sends a part of the response's body; before the first, the status and the header fields.
///
/// `bytes`, `size`: the part; of size 0, nothing but the head. Fails with FASTRPC_EINVAL (more
/// bytes than were announced), FASTRPC_ETIMEDOUT (the client does not read), FASTRPC_EIO (it is
/// gone), FASTRPC_ESTATE (the request is answered). Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_write(
    exchange: *const fastrpc_http_exchange,
    bytes: *const u8,
    size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes readable bytes.
        let bytes = unsafe { arg::bytes(bytes, size) }?;
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| Ok(inner.writer()?.send(bytes)?))
    })
}

/// Returns whether nobody would get the response: the connection is known to be gone.
///
/// `exchange`: NULL gives true. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_is_canceled(exchange: *const fastrpc_http_exchange) -> bool {
    guard_value(true, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let exchange = unsafe { look(exchange) };
        exchange.is_none_or(|e| e.with(|inner| Ok(inner.is_canceled())).unwrap_or(false))
    })
}

/// Makes the exchange the caller's: the response is not sent when the handler returns, but by
/// fastrpc_http_send() or fastrpc_http_free(), one of which must be called. In the handler only.
///
/// Fails with FASTRPC_ESTATE (it was deferred before). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_defer(
    exchange: *const fastrpc_http_exchange,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let shared = unsafe { need(exchange) }?;
        if shared.deferred.swap(true, Ordering::AcqRel) {
            return Err(Failure::new(FASTRPC_ESTATE, "the response is deferred already"));
        }
        // SAFETY: the handler's frame holds a share while the handler runs.
        unsafe { Arc::increment_strong_count(std::ptr::from_ref(shared)) };
        Ok(())
    })
}

/// Sends the response of an exchange that was deferred, or the end of what was written, and frees
/// the exchange.
///
/// `exchange`: consumed. Fails with FASTRPC_EINVAL (NULL; fewer bytes than were announced, which
/// ends the connection). Any thread; never suspends in a coroutine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_send(exchange: *mut fastrpc_http_exchange) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or an exchange that it deferred and gives up.
        let exchange = unsafe { take_shared(exchange) };
        exchange.ok_or_else(|| Failure::invalid("the exchange is NULL"))?.with(Inner::finish)
    })
}

/// Abandons an exchange that was deferred: the response is 500, or the connection ends if a part of
/// it is out.
///
/// `exchange`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_free(exchange: *mut fastrpc_http_exchange) {
    guard_value((), || {
        // SAFETY: the caller passes NULL or an exchange that it deferred and gives up.
        if let Some(exchange) = unsafe { take_shared(exchange) } {
            let _ = exchange.with(|inner| {
                inner.fail();
                Ok(())
            });
        }
    });
}

/// What a `fastrpc_http_exchange` points to.
pub struct Exchange {
    /// Touched by whoever has set `busy`.
    inner: UnsafeCell<Inner>,
    busy: AtomicBool,
    /// By fastrpc_http_defer(), for good: the handler's frame leaves it alone.
    deferred: AtomicBool,
}

// SAFETY: `busy` lets one thread at a time to `inner`, and hands it over by acquire and release.
unsafe impl Sync for Exchange {}

pub(super) struct Inner {
    pub(super) request: Request,
    pub(super) lists: Lists,
    answer: Answer,
    responder: Option<Responder>,
    writer: Option<BodyWriter>,
}

/// What was set of an answer.
#[derive(Default)]
struct Answer {
    status: StatusCode,
    response: Option<Response>,
    body: Vec<u8>,
    raw: Option<Vec<u8>>,
    length: Option<u64>,
}

impl Exchange {
    /// Runs a handler: `function(user, exchange)`.
    fn run(
        request: Request,
        responder: Responder,
        function: unsafe extern "C-unwind" fn(*mut c_void, *mut fastrpc_http_exchange),
        user: &UserData,
    ) {
        let inner = Inner {
            request,
            lists: Lists::default(),
            answer: Answer::default(),
            responder: Some(responder),
            writer: None,
        };
        let exchange = Arc::new(Exchange {
            inner: UnsafeCell::new(inner),
            busy: AtomicBool::new(false),
            deferred: AtomicBool::new(false),
        });
        let handle = give_shared(exchange.clone());
        // SAFETY: the user gave this function for this data; the handle is fresh.
        let outcome = call_out(|| unsafe { function(user.get(), handle) });
        // SAFETY: the frame's own share: one that was deferred has another.
        drop(unsafe { take_shared(handle) });
        if let Err(exception) = &outcome {
            log::error!("an exception left the handler of {}: {exception}", exchange.what());
        }
        if exchange.deferred.load(Ordering::Acquire) {
            return;
        }
        let ended = exchange.with(|inner| match outcome {
            Ok(()) => inner.finish(),
            Err(_) => {
                inner.fail();
                Ok(())
            }
        });
        if let Err(failure) = ended {
            log::error!("the answer to {}: {}", exchange.what(), failure.text());
        }
    }

    /// The request's method and path, for the log.
    fn what(&self) -> String {
        let what = self
            .with(|Inner { request, .. }| Ok(format!("{} {}", request.method(), request.path())));
        what.unwrap_or_else(|_| "a request that another thread answers".to_owned())
    }

    /// Lets `f` use what is inside, unless somebody else does.
    pub(super) fn with<R>(
        &self,
        f: impl FnOnce(&mut Inner) -> Result<R, Failure>,
    ) -> Result<R, Failure> {
        if self.busy.swap(true, Ordering::Acquire) {
            return Err(Failure::new(FASTRPC_EBUSY, "another thread is using the exchange"));
        }
        struct Release<'a>(&'a AtomicBool);
        impl Drop for Release<'_> {
            fn drop(&mut self) {
                self.0.store(false, Ordering::Release);
            }
        }
        let _release = Release(&self.busy);
        // SAFETY: `busy` was clear and is ours until `_release` goes.
        f(unsafe { &mut *self.inner.get() })
    }
}

impl Inner {
    /// The answer, as long as none of it is out.
    fn answer(&mut self) -> Result<&mut Answer, Failure> {
        match self.responder {
            Some(_) => Ok(&mut self.answer),
            None => Err(answered()),
        }
    }

    fn writer(&mut self) -> Result<&mut BodyWriter, Failure> {
        if let Some(responder) = self.responder.take() {
            let mut answer = std::mem::take(&mut self.answer);
            self.writer = Some(responder.stream(answer.head(), answer.length));
        }
        self.writer.as_mut().ok_or_else(answered)
    }

    fn finish(&mut self) -> Result<(), Failure> {
        if let Some(responder) = self.responder.take() {
            responder.send(std::mem::take(&mut self.answer).into_response());
        }
        match self.writer.take() {
            Some(writer) => Ok(writer.finish()?),
            None => Ok(()),
        }
    }

    fn fail(&mut self) {
        // Dropped before its end, it ends the connection.
        self.writer = None;
        if let Some(responder) = self.responder.take() {
            responder.fail();
        }
    }

    fn is_canceled(&self) -> bool {
        match (&self.responder, &self.writer) {
            (Some(responder), _) => responder.is_canceled(),
            (None, Some(writer)) => writer.is_canceled(),
            (None, None) => false,
        }
    }
}

impl From<RouteError> for Failure {
    fn from(e: RouteError) -> Failure {
        let status = if e.is_conflict() { FASTRPC_ESTATE } else { FASTRPC_EINVAL };
        Failure::new(status, e.to_string())
    }
}

fn answered() -> Failure {
    Failure::new(FASTRPC_ESTATE, "the request is answered already")
}

impl Answer {
    fn add(&mut self, name: &[u8], value: &[u8]) -> Result<(), Failure> {
        let response = self.response.get_or_insert_with(|| Response::new(StatusCode::OK));
        response.try_header(name, value).map_err(Failure::invalid)
    }

    fn head(&mut self) -> Response {
        let response = self.response.take();
        response.unwrap_or_else(|| Response::new(StatusCode::OK)).with_status(self.status)
    }

    fn into_response(mut self) -> Response {
        match self.raw.take() {
            Some(raw) => Response::raw(raw),
            None => {
                let body = std::mem::take(&mut self.body);
                self.head().body(body)
            }
        }
    }
}
