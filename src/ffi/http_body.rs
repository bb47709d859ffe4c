//! HTTP: the body of a request.

use std::ffi::c_char;
use std::io::Read;
use std::ptr;

use super::arg;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::http::fastrpc_http_exchange;
use super::http_request::{Pair, store_pair};
use super::own::{Out, look, need};
use super::status::*;

/// Returns the bytes of the body, read or not; -1 if the client did not announce them.
///
/// `exchange`: NULL gives -1. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_content_length(
    exchange: *const fastrpc_http_exchange,
) -> i64 {
    guard_value(-1, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let exchange = unsafe { look(exchange) };
        let length = exchange.and_then(|e| e.with(|inner| Ok(inner.request.body().length())).ok());
        length.flatten().map_or(-1, |length| i64::try_from(length).unwrap_or(i64::MAX))
    })
}

/// Returns the whole body, or what is left of it. Reads it when first called.
///
/// `body`, `size`: receive the bytes, which live as long as the exchange. Fails with
/// FASTRPC_ETIMEDOUT and FASTRPC_EIO when the body does not come, is malformed or too large: the
/// client is answered accordingly, whatever the handler sets. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_body(
    exchange: *const fastrpc_http_exchange,
    body: *mut *const u8,
    size: *mut usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        let body = unsafe { Out::new(body) }?;
        // SAFETY: the caller passes NULL or a writable pointer.
        let size = unsafe { Out::new(size) }?;
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            let bytes = inner.request.bytes()?;
            body.store(bytes.as_ptr());
            size.store(bytes.len());
            Ok(())
        })
    })
}

/// Reads a part of the body: what has arrived, at most `size` bytes. While nobody reads, the client
/// is held back.
///
/// `count`: receives the bytes read; 0 at the end. Fails as fastrpc_http_body(). Any thread; may
/// suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_read(
    exchange: *const fastrpc_http_exchange,
    buffer: *mut u8,
    size: usize,
    count: *mut usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        let count = unsafe { Out::new(count) }?;
        if buffer.is_null() && size > 0 {
            return Err(Failure::invalid("the buffer is NULL"));
        }
        // The caller's buffer may never have been written, which a slice must have been.
        let mut part = vec![0; size.min(MAX_READ)];
        // SAFETY: the caller passes NULL or a live exchange.
        let exchange = unsafe { need(exchange) }?;
        let read = exchange.with(|inner| Ok(inner.request.body().read(&mut part)?))?;
        if read > 0 {
            // SAFETY: `read` is at most `size`, and the buffers are two.
            unsafe { buffer.copy_from_nonoverlapping(part.as_ptr(), read) };
        }
        count.store(read);
        Ok(())
    })
}

/// Returns the first parameter of this name in a body of the type
/// application/x-www-form-urlencoded, decoded; NULL if there is none, or the body cannot be read.
/// Reads the body when first called.
///
/// `error`: as for fastrpc_http_body(), and FASTRPC_EINVAL for a body of another type. Otherwise as
/// fastrpc_http_method(), but may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_form(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
    error: *mut *mut fastrpc_error,
) -> *const c_char {
    let mut found = (ptr::null(), 0);
    // SAFETY: the caller passes NULL or a writable pointer.
    let _ = guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes readable bytes.
        let name = unsafe { arg::text(name, name_size) }?;
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            if let Some(value) = Pair::find(inner.form()?, name) {
                found = (value.as_ptr(), value.len());
            }
            Ok(())
        })
    });
    if !size.is_null() {
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { size.write(found.1) };
    }
    found.0.cast()
}

/// Reads a parameter of such a body by its index, decoded, in the order in which they came. Returns
/// false beyond the last, or if the body cannot be read. Reads the body when first called.
///
/// `error`: as for fastrpc_http_form(). Otherwise as fastrpc_http_header_at(), but may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_form_at(
    exchange: *const fastrpc_http_exchange,
    index: usize,
    name: *mut *const c_char,
    name_size: *mut usize,
    value: *mut *const c_char,
    value_size: *mut usize,
    error: *mut *mut fastrpc_error,
) -> bool {
    let mut found = false;
    // SAFETY: the caller passes NULL or a writable pointer.
    let _ = guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            if let Some(pair) = inner.form()?.get(index) {
                // SAFETY: the caller passes writable pointers.
                unsafe { store_pair(pair.bytes(), name, name_size, value, value_size) }?;
                found = true;
            }
            Ok(())
        })
    });
    found
}

/// Bytes that one call reads at most.
const MAX_READ: usize = 64 << 10;
