//! Calls of a client.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::time::Duration;

use crate::rpc::{self, CallHandle, CallOptions, Response};

use super::arg::{self, Options};
use super::callback::{UserData, call_out_detached, fastrpc_drop};
use super::cancellation::fastrpc_cancellation;
use super::client::fastrpc_client;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::message::{FASTRPC_COMPRESS_NONE, Message, compress, fastrpc_fill_function, message};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::response::fastrpc_response;
use super::status::*;

/// A handle to cancel an asynchronous call by. Free it with fastrpc_async_call_free(). Thread-safe.
pub struct fastrpc_async_call {
    _private: [u8; 0],
}

impl Opaque for fastrpc_async_call {
    type Rust = CallHandle;
    type Ownership = OwnedBox;
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
    /// Bytes sent beside the request, not compressed. Default none.
    pub attachment: *const u8,
    /// Bytes of the attachment. Default 0.
    pub attachment_size: usize,
    /// Writes the request: `request` is ignored then, and `request_size` tells its size. Default
    /// NULL. It runs before the call is sent, and not after fastrpc_client_call() or
    /// fastrpc_client_call_async() has returned.
    pub fill: fastrpc_fill_function,
    /// Passed to `fill`.
    pub fill_user: *mut c_void,
    /// A FASTRPC_COMPRESS_ number. Default FASTRPC_COMPRESS_NONE.
    pub compress: i32,
    /// Must be 0.
    pub reserved: i32,
    /// What any thread may end the call by: the caller's, not used by another call. Default NULL.
    pub cancellation: *mut fastrpc_cancellation,
}

/// Receives the end of a call. It owns `response` and `error`, one of which is NULL.
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
pub unsafe extern "C" fn fastrpc_call_options_init(
    options: *mut fastrpc_call_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Calls a method and waits for the answer.
///
/// `service`, `method`: names. `request`: the message. `options`: NULL for the defaults. `out`:
/// receives the response; free it with fastrpc_response_free(). Fails with FASTRPC_EREMOTE (the
/// server answered with an error), FASTRPC_ETIMEDOUT, FASTRPC_ECONNECT, FASTRPC_ECLOSED (the
/// connection broke), FASTRPC_ELIMIT, FASTRPC_ECANCELED, FASTRPC_EINVAL, FASTRPC_EEXCEPTION (left
/// `fill`). Any thread; may suspend.
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
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live client.
        let client = unsafe { need(client) }?;
        // SAFETY: the caller passes NULL or a writable pointer.
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

/// Calls a method; a callback receives the answer.
///
/// As fastrpc_client_call(), and: `function`, `user`, `drop`: called once, in a coroutine, with the
/// response or the error; but not if this call itself fails (FASTRPC_EINVAL, FASTRPC_EEXCEPTION).
/// An exception that leaves it is logged. It may run before this returns. `out`: receives a handle
/// to cancel the call by; free it with fastrpc_async_call_free(); NULL if nobody will cancel it.
/// Any thread; never suspends.
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
    // SAFETY: the caller passes NULL or a writable pointer.
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
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(out) }?.store(give(handle));
        }
        Ok(())
    })
}

/// Ends a call with FASTRPC_ECANCELED, unless it has ended. The server is not told.
///
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
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

type Done = unsafe extern "C-unwind" fn(*mut c_void, *mut fastrpc_response, *mut fastrpc_error);

fn end_call(outcome: Result<Response, rpc::Error>, function: Done, user: &UserData) {
    let (response, error) = match outcome {
        Ok(response) => (give(response), ptr::null_mut()),
        Err(e) => (ptr::null_mut(), Failure::from(e).into_object()),
    };
    let user = user.get();
    // SAFETY: the user gave this function for this data; it owns the objects.
    call_out_detached("the callback of a call", || unsafe { function(user, response, error) });
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
        // SAFETY: the caller set NULL or one that outlives the call.
        let cancellation = unsafe { look(given.cancellation) };
        let options = CallOptions::new()
            .timeout(given.timeout())
            .log_id(given.log_id)
            .request_id((!request_id.is_empty()).then_some(request_id))
            .attachment(attachment)
            .compress(compress(given.compress)?)
            .cancellation(cancellation);
        // SAFETY: as above.
        let request = unsafe { message(given.fill, given.fill_user, request, request_size) }?;
        Ok(Outgoing { request, options })
    }
}

impl fastrpc_call_options {
    fn timeout(&self) -> Option<Duration> {
        match self.timeout {
            0 => None,
            timeout => Some(arg::duration(timeout).unwrap_or(Duration::MAX)),
        }
    }
}

// SAFETY: repr(C), `size` first, integers, raw pointers and an optional function.
unsafe impl Options for fastrpc_call_options {}

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
            cancellation: ptr::null_mut(),
        }
    }
}

const _: () = assert!(size_of::<fastrpc_call_options>() == 11 * size_of::<u64>());
