//! The RPC client.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::rpc::{self, CallHandle, CallOptions, Client, ClientOptions, Response};

use super::arg::{self, Options, deadline};
use super::call::{FASTRPC_COMPRESS_NONE, Message, compress, fastrpc_fill_function, message};
use super::callback::{UserData, call_out_logged, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// One connection to a server, and any number of calls in flight on it. It connects when it is
/// first used and again when the connection broke. Any thread.
pub struct fastrpc_client {
    _private: [u8; 0],
}

impl Opaque for fastrpc_client {
    type Rust = Client;
    type Ownership = OwnedBox;
}

/// An answer. One thread at a time.
pub struct fastrpc_response {
    _private: [u8; 0],
}

impl Opaque for fastrpc_response {
    type Rust = Response;
    type Ownership = OwnedBox;
}

/// An asynchronous call that may be cancelled. Any thread.
pub struct fastrpc_async_call {
    _private: [u8; 0],
}

impl Opaque for fastrpc_async_call {
    type Rust = CallHandle;
    type Ownership = OwnedBox;
}

/// How a client connects, and its bounds. See fastrpc_client_new().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_client_options {
    /// sizeof(fastrpc_client_options).
    pub size: usize,
    /// Nanoseconds a call may take that does not say so itself. Default 10 s.
    pub timeout: i64,
    /// Nanoseconds one attempt to connect may take, at least 0. Default 3 s.
    pub connect_timeout: i64,
    /// Calls in flight; one more fails with FASTRPC_ELIMIT. Default 100000.
    pub max_in_flight: usize,
    /// Bytes of requests not yet handed to the kernel; a call beyond fails with FASTRPC_ELIMIT.
    /// Default 67108864.
    pub max_unsent: usize,
    /// Bytes of the largest answer; a larger one breaks the connection. Default 67108864.
    pub max_frame: usize,
    /// Nanoseconds between a first failed attempt to connect and the next; it doubles with each
    /// further one. Default 50 ms.
    pub backoff_min: i64,
    /// The longest pause between two attempts, in nanoseconds. Default 2 s.
    pub backoff_max: i64,
}

/// What a call says beside its request. See fastrpc_client_call().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_call_options {
    /// sizeof(fastrpc_call_options).
    pub size: usize,
    /// Nanoseconds the call may take. Default 0: as the client's options say.
    pub timeout: i64,
    /// A number for the server's logs. Default 0.
    pub log_id: i64,
    /// A name for the request. Default none.
    pub request_id: *const c_char,
    /// Bytes of the name. Default 0.
    pub request_id_size: usize,
    /// Bytes sent beside the request.
    pub attachment: *const u8,
    /// Bytes of the attachment. Default 0.
    pub attachment_size: usize,
    /// Writes the request in place: `request` is ignored then, and `request_size` tells its size.
    /// Default NULL. It runs before the call is sent, and not after fastrpc_client_call() or
    /// fastrpc_client_call_async() has returned.
    pub fill: fastrpc_fill_function,
    /// Passed to `fill`.
    pub fill_user: *mut c_void,
    /// A FASTRPC_COMPRESS_ number. Default FASTRPC_COMPRESS_NONE.
    pub compress: i32,
    /// Must be 0.
    pub reserved: i32,
}

/// The end of a call: it owns `response` and `error`, one of which is NULL.
pub type fastrpc_done_function = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        response: *mut fastrpc_response,
        error: *mut fastrpc_error,
    ),
>;

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_options_init(
    options: *mut fastrpc_client_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_options_init(
    options: *mut fastrpc_call_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Makes a client. It does not wait for the connection.
///
/// `address`: "host:port" or "unix:/path". `options`: NULL for the defaults. `out`: gets the client;
/// free it with fastrpc_client_free(). Fails with FASTRPC_EINVAL, FASTRPC_ENOMEM, FASTRPC_EIO. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_new(
    address: *const c_char,
    address_size: usize,
    options: *const fastrpc_client_options,
    out: *mut *mut fastrpc_client,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a place for the pointer.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller passes readable bytes.
        let address = unsafe { arg::text(address, address_size) }?;
        out.store(give(Client::new(address, options.to_rust()?)?));
        Ok(())
    })
}

/// Connects now, if it is not connected.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_ECONNECT, FASTRPC_ETIMEDOUT, FASTRPC_ECLOSED,
/// FASTRPC_ECANCELED. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_connect(
    client: *const fastrpc_client,
    timeout: i64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.connect(deadline(timeout))?;
        Ok(())
    })
}

/// Whether there is a connection at this moment.
///
/// `client`: NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_is_connected(client: *const fastrpc_client) -> bool {
    // SAFETY: the caller passes NULL or a live client.
    guard_value(false, || unsafe { look(client) }.is_some_and(Client::is_connected))
}

/// Calls a method and waits for the answer.
///
/// `service`, `method`: names. `request`: the message. `options`: NULL for the defaults. `out`: gets
/// the answer, to be freed by fastrpc_response_free(). Fails with FASTRPC_EREMOTE (the server
/// answered so), FASTRPC_ETIMEDOUT, FASTRPC_ECONNECT, FASTRPC_ECLOSED (the connection broke),
/// FASTRPC_ELIMIT, FASTRPC_ECANCELED, FASTRPC_EINVAL, FASTRPC_EEXCEPTION (left `fill`). Any thread;
/// may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_call(
    client: *const fastrpc_client,
    service: *const c_char,
    service_size: usize,
    method: *const c_char,
    method_size: usize,
    request: *const u8,
    request_size: usize,
    options: *const fastrpc_call_options,
    out: *mut *mut fastrpc_response,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { need(client) }?;
        // SAFETY: the caller passes NULL or a place for the pointer.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller passes readable bytes.
        let service = unsafe { arg::text(service, service_size) }?;
        // SAFETY: the caller passes readable bytes.
        let method = unsafe { arg::text(method, method_size) }?;
        // SAFETY: the caller passes readable bytes and right options.
        let call = unsafe { Outgoing::new(request, request_size, options) }?;
        let response = client.call(service, method, call.request.bytes(), &call.options)?;
        out.store(give(response));
        Ok(())
    })
}

/// Calls a method; a callback gets the answer.
///
/// As fastrpc_client_call(), and: `function`, `user`, `drop`: called once, in a coroutine, with the
/// answer or what went wrong; but not if this call itself fails (FASTRPC_EINVAL, FASTRPC_EEXCEPTION).
/// An exception that leaves it is logged. It may run before this returns. `out`: gets a handle to
/// cancel the call by, to be freed by fastrpc_async_call_free(); NULL if nobody will. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_call_async(
    client: *const fastrpc_client,
    service: *const c_char,
    service_size: usize,
    method: *const c_char,
    method_size: usize,
    request: *const u8,
    request_size: usize,
    options: *const fastrpc_call_options,
    function: fastrpc_done_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    out: *mut *mut fastrpc_async_call,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { need(client) }?;
        // SAFETY: the caller passes readable bytes.
        let service = unsafe { arg::text(service, service_size) }?;
        // SAFETY: the caller passes readable bytes.
        let method = unsafe { arg::text(method, method_size) }?;
        // SAFETY: the caller passes readable bytes and right options.
        let call = unsafe { Outgoing::new(request, request_size, options) }?;
        let body = call.request.bytes();
        let handle = client.call_async(service, method, body, &call.options, move |outcome| {
            end_call(outcome, function, &user);
        });
        if !out.is_null() {
            // SAFETY: the caller passes NULL or a place for the pointer.
            unsafe { Out::new(out) }?.store(give(handle));
        }
        Ok(())
    })
}

/// Ends a call with FASTRPC_ECANCELED, unless it has ended. The server is not told.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_async_call_cancel(
    call: *const fastrpc_async_call,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live handle.
        unsafe { need(call) }?.cancel();
        Ok(())
    })
}

/// Frees the handle of an asynchronous call, which goes on.
///
/// `call`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_async_call_free(call: *mut fastrpc_async_call) {
    // SAFETY: the caller passes NULL or a handle that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(call) }))
}

/// Closes a client for good: calls in flight fail with FASTRPC_ECLOSED.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_close(client: *const fastrpc_client) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.close();
        Ok(())
    })
}

/// Closes and frees a client.
///
/// `client`: NULL does nothing; not to be called while another call uses it. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_free(client: *mut fastrpc_client) {
    // SAFETY: the caller passes NULL or a client that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(client) }))
}

/// The response message.
///
/// `size`: gets its bytes. The bytes live as long as the response. `response`: NULL gives NULL. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_body(
    response: *const fastrpc_response,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a live response, and NULL or a place for the size.
    unsafe { view(response, size, |r| &r.body) }
}

/// The bytes sent beside the response.
///
/// As fastrpc_response_body().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_attachment(
    response: *const fastrpc_response,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a live response, and NULL or a place for the size.
    unsafe { view(response, size, |r| &r.attachment) }
}

/// Copies the address of the server that answered, and a NUL, into a buffer as far as it fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_peer(
    response: *const fastrpc_response,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live response.
        let peer = unsafe { look(response) }.map_or_else(String::new, |r| r.peer.to_string());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&peer, buffer, size) }
    })
}

/// Frees a response.
///
/// `response`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_free(response: *mut fastrpc_response) {
    // SAFETY: the caller passes NULL or a response that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(response) }))
}

type Done = unsafe extern "C-unwind" fn(*mut c_void, *mut fastrpc_response, *mut fastrpc_error);

fn end_call(outcome: Result<Response, rpc::Error>, function: Done, user: &UserData) {
    let (response, error) = match outcome {
        Ok(response) => (give(response), ptr::null_mut()),
        Err(e) => (ptr::null_mut(), Failure::from(e).into_object()),
    };
    let user = user.get();
    // SAFETY: the user gave this function for this data; it owns the objects.
    call_out_logged("the callback of a call", || unsafe { function(user, response, error) });
}

/// The request of a call and what goes with it, all still the caller's.
struct Outgoing<'a> {
    request: Message<'a>,
    options: CallOptions<'a>,
}

impl<'a> Outgoing<'a> {
    /// # Safety
    /// The bytes are readable during `'a`; `options` is NULL or has a right size field.
    unsafe fn new(
        request: *const u8,
        request_size: usize,
        options: *const fastrpc_call_options,
    ) -> Result<Outgoing<'a>, Failure> {
        // SAFETY: the same contract.
        let given = unsafe { arg::options(options) }?;
        // SAFETY: the caller set bytes and sizes that belong together.
        let request_id = unsafe { arg::text(given.request_id, given.request_id_size) }?;
        // SAFETY: as above.
        let attachment = unsafe { arg::bytes(given.attachment, given.attachment_size) }?;
        let options = CallOptions {
            timeout: given.timeout(),
            log_id: given.log_id,
            request_id: (!request_id.is_empty()).then_some(request_id),
            attachment,
            compress: compress(given.compress)?,
        };
        // SAFETY: as above.
        let request = unsafe { message(given.fill, given.fill_user, request, request_size) }?;
        Ok(Outgoing { request, options })
    }
}

/// # Safety
/// `response` is NULL or live; `size` is NULL or a place for a number.
unsafe fn view(
    response: *const fastrpc_response,
    size: *mut usize,
    part: impl FnOnce(&Response) -> &[u8],
) -> *const u8 {
    guard_value(ptr::null(), || {
        // SAFETY: the same contract.
        let bytes = unsafe { look(response) }.map_or(&[][..], part);
        if !size.is_null() {
            // SAFETY: the same contract.
            unsafe { size.write(bytes.len()) };
        }
        if bytes.is_empty() { ptr::null() } else { bytes.as_ptr() }
    })
}

impl From<rpc::Error> for Failure {
    fn from(e: rpc::Error) -> Failure {
        let status = match &e {
            e if e.is_remote() => FASTRPC_EREMOTE,
            e if e.is_timeout() => FASTRPC_ETIMEDOUT,
            e if e.is_connect() => FASTRPC_ECONNECT,
            e if e.is_closed() => FASTRPC_ECLOSED,
            e if e.is_overcrowded() => FASTRPC_ELIMIT,
            e if e.is_canceled() => FASTRPC_ECANCELED,
            e if e.code() == rpc::code::EINTERNAL => FASTRPC_EINTERNAL,
            _ => FASTRPC_EINVAL,
        };
        Failure::new(status, e.text()).with_code(e.code())
    }
}

impl fastrpc_client_options {
    fn to_rust(self) -> Result<ClientOptions, Failure> {
        let needed = |ns| arg::duration(ns).ok_or_else(|| Failure::invalid("a time below 0"));
        let mut options = ClientOptions::default();
        options.timeout = arg::duration(self.timeout);
        options.connect_timeout = needed(self.connect_timeout)?;
        options.max_in_flight = self.max_in_flight;
        options.max_unsent = self.max_unsent;
        options.max_frame = self.max_frame;
        options.backoff_min = needed(self.backoff_min)?;
        options.backoff_max = needed(self.backoff_max)?;
        Ok(options)
    }
}

impl fastrpc_call_options {
    fn timeout(&self) -> Option<std::time::Duration> {
        match self.timeout {
            0 => None,
            timeout => Some(arg::duration(timeout).unwrap_or(std::time::Duration::MAX)),
        }
    }
}

// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_client_options {}
// SAFETY: repr(C), `size` first, integers, raw pointers and an optional function.
unsafe impl Options for fastrpc_call_options {}

impl Default for fastrpc_client_options {
    fn default() -> Self {
        let defaults = ClientOptions::default();
        fastrpc_client_options {
            size: size_of::<Self>(),
            timeout: arg::nanoseconds(defaults.timeout),
            connect_timeout: arg::nanoseconds(Some(defaults.connect_timeout)),
            max_in_flight: defaults.max_in_flight,
            max_unsent: defaults.max_unsent,
            max_frame: defaults.max_frame,
            backoff_min: arg::nanoseconds(Some(defaults.backoff_min)),
            backoff_max: arg::nanoseconds(Some(defaults.backoff_max)),
        }
    }
}

impl Default for fastrpc_call_options {
    fn default() -> Self {
        fastrpc_call_options {
            size: size_of::<Self>(),
            timeout: 0,
            log_id: 0,
            request_id: ptr::null(),
            request_id_size: 0,
            attachment: ptr::null(),
            attachment_size: 0,
            fill: None,
            fill_user: ptr::null_mut(),
            compress: FASTRPC_COMPRESS_NONE,
            reserved: 0,
        }
    }
}

const _: () = {
    assert!(size_of::<fastrpc_client_options>() == 4 * size_of::<usize>() + 4 * 8);
    assert!(size_of::<fastrpc_call_options>() == 7 * size_of::<usize>() + 3 * 8);
};
