//! Responses to a client's calls.

use std::cell::RefCell;
use std::ffi::c_char;
use std::ptr;
use std::sync::Arc;

use crate::net::Addr;
use crate::rpc::Response;

use super::arg;
use super::guard::guard_value;
use super::own::{Opaque, OwnedBox, look, take};

/// A successful answer to a client's call. Free it with fastrpc_response_free(). Not thread-safe.
pub struct fastrpc_response {
    _private: [u8; 0],
}

impl Opaque for fastrpc_response {
    type Rust = Response;
    type Ownership = OwnedBox;
}

/// Returns the response message, decompressed.
///
/// `size`: receives its bytes; may be NULL. The message lives as long as the response. `response`:
/// NULL gives NULL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_body(
    response: *const fastrpc_response,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a live response, and NULL or a writable pointer.
    unsafe { view(response, size, |r| r.body()) }
}

/// Returns the bytes sent beside the response.
///
/// As fastrpc_response_body().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_response_attachment(
    response: *const fastrpc_response,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a live response, and NULL or a writable pointer.
    unsafe { view(response, size, Response::attachment) }
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
        // SAFETY: the caller passes `size` writable bytes.
        let copy = |text: &str| unsafe { arg::copy_text(text, buffer, size) };
        // SAFETY: the caller passes NULL or a live response.
        unsafe { look(response) }
            .and_then(Response::peer)
            .map_or_else(|| copy(""), |peer| with_text(peer, copy))
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

/// # Safety
/// `response` is NULL or live; `size` is NULL or a writable pointer.
unsafe fn view(
    response: *const fastrpc_response,
    size: *mut usize,
    part: impl FnOnce(&Response) -> &[u8],
) -> *const u8 {
    guard_value(ptr::null(), || {
        // SAFETY: the same contract.
        let bytes = unsafe { look(response) }.map_or(&[][..], part);
        // SAFETY: the same contract.
        unsafe { arg::view(bytes, size) }
    })
}

/// Calls `f` with the text of an address. Formatting one takes a quarter of the time of a call, and
/// answers come from few addresses: each thread has a direct-mapped cache of texts.
fn with_text<R>(peer: &Arc<Addr>, f: impl Fn(&str) -> R) -> R {
    thread_local! {
        static CACHE: RefCell<Vec<Option<Known>>> = const { RefCell::new(Vec::new()) };
    }
    let cached = CACHE.try_with(|cache| {
        let mut cache = cache.borrow_mut();
        cache.resize(CACHE_LINES, None);
        // Neighbors in memory lie this far apart, or a little more.
        let line = Arc::as_ptr(peer).addr() / size_of::<Addr>() % CACHE_LINES;
        match &mut cache[line] {
            Some((known, text)) if Arc::ptr_eq(known, peer) => f(text),
            other => f(&other.insert((peer.clone(), peer.to_string())).1),
        }
    });
    // At the end of a thread the cache is gone.
    cached.unwrap_or_else(|_| f(&peer.to_string()))
}

/// An address and its text.
type Known = (Arc<Addr>, String);

const CACHE_LINES: usize = 256;
