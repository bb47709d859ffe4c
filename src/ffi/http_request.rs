//! What an HTTP handler sees of its request.

use std::ffi::c_char;
use std::io::Read;
use std::ptr;

use crate::http::Version;

use super::arg;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::http::{Inner, fastrpc_http_exchange};
use super::own::{Out, look, need};
use super::status::*;

/// The method, such as "GET", not ended by a NUL.
///
/// `size`: gets its bytes. The text lives as long as the exchange. `exchange`: NULL gives NULL. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_method(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a place for the size.
    unsafe { view(exchange, size, |inner| Some(inner.request.method().as_str().as_bytes())) }
}

/// The path, percent-encoded as it came, not ended by a NUL.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_path(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a place for the size.
    unsafe { view(exchange, size, |inner| Some(inner.request.path().as_bytes())) }
}

/// What follows the question mark of the target, percent-encoded as it came; NULL if there is none.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_query_string(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a place for the size.
    unsafe { view(exchange, size, |inner| inner.request.uri().query().map(str::as_bytes)) }
}

/// The request line and the header fields as they came, with the empty line at their end.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_head(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a place for the size.
    unsafe { view(exchange, size, |inner| Some(inner.request.raw_head())) }
}

/// 11 for HTTP/1.1, 10 for HTTP/1.0.
///
/// `exchange`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_version(exchange: *const fastrpc_http_exchange) -> i32 {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { look(exchange) }.map_or(0, |exchange| {
            let version = exchange.with(|inner| Ok(inner.request.version()));
            if matches!(version, Ok(Version::HTTP_10)) { 10 } else { 11 }
        })
    })
}

/// A header field by its name, in whatever case, not ended by a NUL; NULL if there is none.
///
/// `index`: which of those with this name, 0 for the first. Otherwise as fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_header(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a place for
    // the size.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            let values = inner.request.headers().get_all(name);
            Some(values.iter().nth(index)?.as_bytes())
        })
    }
}

/// A header field by its number, of those that are there, in any order. Their names are in lower
/// case. False beyond the last.
///
/// `name`, `value` and their sizes: get the texts, which live as long as the exchange. `exchange`:
/// NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_header_at(
    exchange: *const fastrpc_http_exchange,
    index: usize,
    name: *mut *const c_char,
    name_size: *mut usize,
    value: *mut *const c_char,
    value_size: *mut usize,
) -> bool {
    guard_value(false, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let Some(exchange) = (unsafe { look(exchange) }) else { return false };
        let found = exchange.with(|inner| {
            let field = inner.request.headers().iter().nth(index);
            let (key, text) = field.ok_or_else(|| Failure::invalid("no such field"))?;
            // SAFETY: the caller passes places for the results, here and below.
            unsafe { Out::new(name) }?.store(key.as_str().as_ptr().cast());
            // SAFETY: as above.
            unsafe { Out::new(name_size) }?.store(key.as_str().len());
            // SAFETY: as above.
            unsafe { Out::new(value) }?.store(text.as_bytes().as_ptr().cast());
            // SAFETY: as above.
            unsafe { Out::new(value_size) }?.store(text.len());
            Ok(())
        });
        found.is_ok()
    })
}

/// What stood in the path in the place of ":name" or "*name", decoded; NULL if there is none.
///
/// As fastrpc_http_header().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_param(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a place for
    // the size.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            inner.request.param(name).map(str::as_bytes)
        })
    }
}

/// The first parameter of this name behind the question mark, decoded; NULL if there is none.
///
/// As fastrpc_http_header().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_query(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a place for
    // the size.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            let value = inner.request.query(name)?.into_owned();
            Some(inner.keep(value))
        })
    }
}

/// The first cookie of this name, as it came; NULL if there is none.
///
/// As fastrpc_http_header().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_cookie(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a place for
    // the size.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            inner.request.cookie(name).map(str::as_bytes)
        })
    }
}

/// The first parameter of this name in a body of the type application/x-www-form-urlencoded,
/// decoded; NULL if there is none. Reads the body the first time.
///
/// `error`: as for fastrpc_http_body(). Otherwise as fastrpc_http_header(), but may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_form(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
    error: *mut *mut fastrpc_error,
) -> *const c_char {
    let mut found = (ptr::null(), 0);
    // SAFETY: the caller passes NULL or a place for the error.
    let _ = guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes readable bytes.
        let name = unsafe { arg::text(name, name_size) }?;
        // SAFETY: the caller passes NULL or a live exchange.
        unsafe { need(exchange) }?.with(|inner| {
            let mut form = inner.request.form()?.into_iter();
            if let Some((_, value)) = form.find(|(key, _)| key == name) {
                let value = inner.keep(value);
                found = (value.as_ptr(), value.len());
            }
            Ok(())
        })
    });
    if !size.is_null() {
        // SAFETY: the caller passes NULL or a place for the size.
        unsafe { size.write(found.1) };
    }
    found.0.cast()
}

/// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
/// fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_peer(
    exchange: *const fastrpc_http_exchange,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let exchange = unsafe { look(exchange) };
        let peer = exchange.and_then(|e| e.with(|inner| Ok(inner.request.peer().to_string())).ok());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&peer.unwrap_or_default(), buffer, size) }
    })
}

/// The number of the connection, which the server gives no other.
///
/// `exchange`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_connection_id(exchange: *const fastrpc_http_exchange) -> u64 {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live exchange.
        let exchange = unsafe { look(exchange) };
        let id = exchange.and_then(|e| e.with(|inner| Ok(inner.request.connection_id())).ok());
        id.unwrap_or(0)
    })
}

/// The bytes of the body, read or not; -1 if the client did not say beforehand.
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

/// The whole body, or what is left of it; read the first time this is called.
///
/// `body`, `size`: get the bytes, which live as long as the exchange. Fails with FASTRPC_ETIMEDOUT
/// and FASTRPC_EIO when the body does not come, is malformed or too large: the client is answered
/// accordingly, whatever the handler answers. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_body(
    exchange: *const fastrpc_http_exchange,
    body: *mut *const u8,
    size: *mut usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a place for the pointer.
        let body = unsafe { Out::new(body) }?;
        // SAFETY: the caller passes NULL or a place for the size.
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

/// Reads some of the body: what is there, at most `size` bytes. While it is not read, the client is
/// held up.
///
/// `count`: gets the bytes read; 0 at the end. Fails as fastrpc_http_body(). Any thread; may
/// suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_read(
    exchange: *const fastrpc_http_exchange,
    buffer: *mut u8,
    size: usize,
    count: *mut usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a place for the count.
        let count = unsafe { Out::new(count) }?;
        if buffer.is_null() && size > 0 {
            return Err(Failure::invalid("the buffer is NULL"));
        }
        // The caller's buffer may never have been written, which a slice must have been.
        let mut part = vec![0; size.min(MOST_READ)];
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

impl Inner {
    /// Keeps what was decoded: pointers to it live as long as the exchange.
    fn keep(&mut self, text: String) -> &[u8] {
        self.decoded.push(text);
        self.decoded.last().map_or(&[], |text| text.as_bytes())
    }
}

/// Bytes that one call reads at most.
const MOST_READ: usize = 64 << 10;

/// # Safety
/// `exchange` is NULL or live; `size` is NULL or a place for a number.
unsafe fn view(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
    part: impl FnOnce(&mut Inner) -> Option<&[u8]>,
) -> *const c_char {
    guard_value(ptr::null(), || {
        // SAFETY: the same contract.
        let exchange = unsafe { look(exchange) };
        let found = exchange.and_then(|exchange| {
            exchange
                .with(|inner| Ok(part(inner).map(|bytes| (bytes.as_ptr(), bytes.len()))))
                .ok()
                .flatten()
        });
        let (bytes, count) = found.unwrap_or((ptr::null(), 0));
        if !size.is_null() {
            // SAFETY: the same contract.
            unsafe { size.write(count) };
        }
        bytes.cast()
    })
}

/// The same for what is found by a name.
///
/// # Safety
/// As for [`view`]; `name` has `name_size` readable bytes.
unsafe fn view_named(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
    part: impl for<'a> FnOnce(&'a mut Inner, &str) -> Option<&'a [u8]>,
) -> *const c_char {
    // SAFETY: the same contract.
    let name = unsafe { arg::text(name, name_size) };
    // SAFETY: the same contract.
    unsafe { view(exchange, size, |inner| part(inner, name.ok()?)) }
}
