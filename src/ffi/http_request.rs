//! HTTP: what a request says.

use std::ffi::c_char;
use std::ptr;

use crate::http::{HeaderName, HeaderValue, Version};

use super::arg;
use super::error::Failure;
use super::guard::guard_value;
use super::http::{Inner, fastrpc_http_exchange};
use super::own::{Out, look};

/// Returns the method, such as "GET", without a NUL.
///
/// `size`: receives its bytes; may be NULL. The text lives as long as the exchange. `exchange`:
/// NULL gives NULL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_method(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a writable pointer.
    unsafe { view(exchange, size, |inner| Some(inner.request.method().as_str().as_bytes())) }
}

/// Returns the path, percent-encoded as it came, without a NUL.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_path(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a writable pointer.
    unsafe { view(exchange, size, |inner| Some(inner.request.path().as_bytes())) }
}

/// Returns what follows the question mark of the target, percent-encoded as it came; NULL if there
/// is none.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_query_string(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a writable pointer.
    unsafe { view(exchange, size, |inner| inner.request.uri().query().map(str::as_bytes)) }
}

/// Returns the request line and the header fields as they came, with the empty line at their end.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_head(
    exchange: *const fastrpc_http_exchange,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, and NULL or a writable pointer.
    unsafe { view(exchange, size, |inner| Some(inner.request.raw_head())) }
}

/// Returns 11 for HTTP/1.1, 10 for HTTP/1.0.
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

/// Returns the value of a header field, without a NUL; NULL if there is none of this name.
///
/// `name`: in whatever case. `index`: which of those with this name, from 0. Otherwise as
/// fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_header(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    index: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a
    // writable pointer.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            let values = inner.request.headers().get_all(name);
            Some(values.iter().nth(index)?.as_bytes())
        })
    }
}

/// Reads a header field by its index, in any order. Returns false beyond the last.
///
/// `index`: from 0; the cost does not depend on it. `name`, `name_size`, `value`, `value_size`:
/// receive the name, in lower case, and the value, which live as long as the exchange. `exchange`:
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
    // SAFETY: the caller passes NULL or a live exchange, and writable pointers.
    unsafe {
        pair_at(exchange, name, name_size, value, value_size, |inner| {
            let (name, value) = inner.headers().get(index)?;
            Some((name.as_str().as_bytes(), value.as_bytes()))
        })
    }
}

/// Returns the part of the path in the place of ":name" or "*name" of the route, decoded; NULL if
/// there is none.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_param(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a
    // writable pointer.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            inner.request.param(name).map(str::as_bytes)
        })
    }
}

/// Returns the first query parameter of this name, decoded; NULL if there is none.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_query(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a
    // writable pointer.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| Pair::find(inner.queries(), name))
    }
}

/// Reads a query parameter by its index, decoded, in the order in which they came. Returns false
/// beyond the last.
///
/// As fastrpc_http_header_at().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_query_at(
    exchange: *const fastrpc_http_exchange,
    index: usize,
    name: *mut *const c_char,
    name_size: *mut usize,
    value: *mut *const c_char,
    value_size: *mut usize,
) -> bool {
    // SAFETY: the caller passes NULL or a live exchange, and writable pointers.
    unsafe {
        pair_at(exchange, name, name_size, value, value_size, |inner| {
            inner.queries().get(index).map(Pair::bytes)
        })
    }
}

/// Returns the first cookie of this name, as it came; NULL if there is none.
///
/// As fastrpc_http_method().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_http_cookie(
    exchange: *const fastrpc_http_exchange,
    name: *const c_char,
    name_size: usize,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a live exchange, readable bytes, and NULL or a
    // writable pointer.
    unsafe {
        view_named(exchange, name, name_size, size, |inner, name| {
            inner.request.cookie(name).map(str::as_bytes)
        })
    }
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

/// Returns the number of the connection. See fastrpc_call_connection_id().
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

/// What a handler may list or look up, made when it first does so. Pointers into it are handed out,
/// and it does not change any more.
#[derive(Default)]
pub(super) struct Lists {
    headers: Option<Vec<(HeaderName, HeaderValue)>>,
    queries: Option<Vec<Pair>>,
    form: Option<Vec<Pair>>,
}

/// A parameter, decoded: its name and its value.
pub(super) struct Pair(String, String);

impl Pair {
    pub(super) fn bytes(&self) -> (&[u8], &[u8]) {
        (self.0.as_bytes(), self.1.as_bytes())
    }

    pub(super) fn find<'a>(pairs: &'a [Pair], name: &str) -> Option<&'a [u8]> {
        pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.as_bytes())
    }
}

impl Inner {
    fn headers(&mut self) -> &[(HeaderName, HeaderValue)] {
        let fields = self.request.headers();
        self.lists.headers.get_or_insert_with(|| {
            fields.iter().map(|(name, value)| (name.clone(), value.clone())).collect()
        })
    }

    fn queries(&mut self) -> &[Pair] {
        let pairs = self.request.queries();
        self.lists.queries.get_or_insert_with(|| {
            pairs.map(|(name, value)| Pair(name.into_owned(), value.into_owned())).collect()
        })
    }

    pub(super) fn form(&mut self) -> Result<&[Pair], Failure> {
        if self.lists.form.is_none() {
            let pairs = self.request.form()?.into_iter();
            self.lists.form = Some(pairs.map(|(name, value)| Pair(name, value)).collect());
        }
        Ok(self.lists.form.as_deref().unwrap_or_default())
    }
}

/// # Safety
/// `exchange` is NULL or live; `size` is NULL or a writable pointer.
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

/// Stores the name and the value that `part` finds, if it finds any.
///
/// # Safety
/// `exchange` is NULL or live; the others are NULL (nothing is found) or writable.
unsafe fn pair_at(
    exchange: *const fastrpc_http_exchange,
    name: *mut *const c_char,
    name_size: *mut usize,
    value: *mut *const c_char,
    value_size: *mut usize,
    part: impl FnOnce(&mut Inner) -> Option<(&[u8], &[u8])>,
) -> bool {
    guard_value(false, || {
        // SAFETY: the same contract.
        let Some(exchange) = (unsafe { look(exchange) }) else { return false };
        let stored = exchange.with(|inner| {
            let pair = part(inner).ok_or_else(|| Failure::invalid("there are fewer"))?;
            // SAFETY: the same contract.
            unsafe { store_pair(pair, name, name_size, value, value_size) }
        });
        stored.is_ok()
    })
}

/// # Safety
/// The pointers are NULL (an error) or writable.
pub(super) unsafe fn store_pair(
    pair: (&[u8], &[u8]),
    name: *mut *const c_char,
    name_size: *mut usize,
    value: *mut *const c_char,
    value_size: *mut usize,
) -> Result<(), Failure> {
    // SAFETY: the same contract, here and below.
    let name = unsafe { Out::new(name) }?;
    // SAFETY: as above.
    let name_size = unsafe { Out::new(name_size) }?;
    // SAFETY: as above.
    let value = unsafe { Out::new(value) }?;
    // SAFETY: as above.
    let value_size = unsafe { Out::new(value_size) }?;
    name.store(pair.0.as_ptr().cast());
    name_size.store(pair.0.len());
    value.store(pair.1.as_ptr().cast());
    value_size.store(pair.1.len());
    Ok(())
}
