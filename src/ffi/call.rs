//! RPC calls on the server: what they ask.

use std::ffi::c_char;
use std::ptr;

use crate::rpc::Call;

use super::arg;
use super::guard::guard_value;
use super::message::{FASTRPC_COMPRESS_NONE, number_of};
use super::own::{Opaque, SharedArc};
use super::shared_call::{SharedCall, get};

/// An RPC call on the server.
///
/// The handler owns it and passes it to fastrpc_call_reply(), fastrpc_call_reply_with() or
/// fastrpc_call_fail(), which consume it, or to fastrpc_call_free(), which answers with
/// FASTRPC_CODE_EINTERNAL. That may happen after the handler has returned, and on any thread, but
/// it is not thread-safe. When the connection or the server is gone by then, the answer is
/// discarded; the call is consumed all the same. If an exception leaves the handler before, the
/// call is consumed too: it is answered with FASTRPC_CODE_EINTERNAL and the exception's text.
pub struct fastrpc_call {
    _private: [u8; 0],
}

impl Opaque for fastrpc_call {
    type Rust = SharedCall;
    type Ownership = SharedArc;
}

/// Returns the request message, decompressed.
///
/// `size`: receives its bytes; may be NULL. The message lives as long as the call. `call`: NULL
/// gives NULL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_request(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a writable pointer.
    unsafe { view(call, size, Call::request) }
}

/// Returns the bytes sent beside the request.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_attachment(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a writable pointer.
    unsafe { view(call, size, Call::attachment) }
}

/// Returns the full name of the service, without a NUL.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_service(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a writable pointer.
    unsafe { view(call, size, |call| call.service().as_bytes()) }.cast()
}

/// Returns the name of the method, without a NUL.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_method(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a writable pointer.
    unsafe { view(call, size, |call| call.method().as_bytes()) }.cast()
}

/// Returns the client's name for the request, without a NUL; of size 0 if it has none.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_request_id(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a writable pointer.
    unsafe { view(call, size, |call| call.request_id().unwrap_or_default().as_bytes()) }.cast()
}

/// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
/// fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_peer(
    call: *const fastrpc_call,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a call it owns.
        let peer = unsafe { get(call) }.map_or_else(|_| String::new(), |c| c.peer().to_string());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&peer, buffer, size) }
    })
}

/// Returns the client's number for its logs, or 0.
///
/// `call`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_log_id(call: *const fastrpc_call) -> i64 {
    // SAFETY: the caller passes NULL or a call it owns.
    guard_value(0, || unsafe { get(call) }.map_or(0, Call::log_id))
}

/// Returns how the request was compressed on the wire: a FASTRPC_COMPRESS_ number.
///
/// `call`: NULL gives FASTRPC_COMPRESS_NONE. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_compress(call: *const fastrpc_call) -> i32 {
    guard_value(FASTRPC_COMPRESS_NONE, || {
        // SAFETY: the caller passes NULL or a call it owns.
        unsafe { get(call) }.map_or(FASTRPC_COMPRESS_NONE, |call| number_of(call.compress()))
    })
}

/// Returns for how many nanoseconds the client will still wait, or -1 if it did not say.
///
/// `call`: NULL gives -1. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_time_left(call: *const fastrpc_call) -> i64 {
    guard_value(-1, || {
        // SAFETY: the caller passes NULL or a call it owns.
        let call = unsafe { get(call) };
        call.map_or(-1, |call| arg::nanoseconds(call.deadline().remaining()))
    })
}

/// Returns whether nobody waits for the answer any more.
///
/// `call`: NULL gives true. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_is_canceled(call: *const fastrpc_call) -> bool {
    // SAFETY: the caller passes NULL or a call it owns.
    guard_value(true, || unsafe { get(call) }.map_or(true, Call::is_canceled))
}

/// # Safety
/// `call` as in [`get`]; `size` is NULL or a writable pointer.
unsafe fn view(
    call: *const fastrpc_call,
    size: *mut usize,
    part: impl FnOnce(&Call) -> &[u8],
) -> *const u8 {
    guard_value(ptr::null(), || {
        // SAFETY: the same contract.
        let bytes = unsafe { get(call) }.map_or(&[][..], part);
        // SAFETY: the same contract.
        unsafe { arg::view(bytes, size) }
    })
}
