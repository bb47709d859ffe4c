//! The threads on which libc looks hosts up, and the copies of its arguments that they get: a
//! canceled caller returns at once, and takes its buffers with it.

use std::ffi::{CStr, CString, c_char, c_void};
use std::sync::OnceLock;

use libc::socklen_t;

use crate::hook::switch::is_on;
use crate::pool::{self, ThreadPool};
use crate::rt;

/// Whether the caller suspends while another thread does the lookup.
pub(super) fn may_suspend() -> bool {
    is_on() && rt::can_suspend()
}

/// Returns the resolver threads, if the caller suspends while they do the lookup.
pub(super) fn resolvers() -> Option<&'static ThreadPool> {
    may_suspend().then(pool).flatten()
}

/// A few threads stay; while they wait for answers more are started.
fn pool() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let mut options = pool::Options::default();
        options.threads = 4;
        options.extra_threads = 64;
        options.name = "fastrpc-dns".to_owned();
        // The program's signal handlers expect its own threads, if any.
        options.takes_signals = false;
        ThreadPool::with_options(options).ok()
    });
    pool.as_ref()
}

/// A copy of a socket address, or of an address of any family.
pub(super) struct Address(pub(super) Box<[u8]>);

impl Address {
    /// # Safety
    /// `size` readable bytes.
    pub(super) unsafe fn copy(bytes: *const c_void, size: socklen_t) -> Address {
        // SAFETY: the caller's contract.
        Address(unsafe { std::slice::from_raw_parts(bytes.cast::<u8>(), size as usize) }.into())
    }
}

/// Copies a C string.
///
/// # Safety
/// NULL or a C string.
pub(super) unsafe fn text(pointer: *const c_char) -> Option<CString> {
    // SAFETY: the caller's contract.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_owned())
}

pub(super) fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}
