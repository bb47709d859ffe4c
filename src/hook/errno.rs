//! errno, as the C functions of this module read and leave it.

use libc::{c_int, ssize_t};

#[inline]
pub(super) fn get() -> c_int {
    // SAFETY: the location is valid as long as the thread runs, and a coroutine stays on its thread.
    unsafe { *libc::__errno_location() }
}

#[inline]
pub(super) fn set(code: c_int) {
    // SAFETY: as in `get`.
    unsafe { *libc::__errno_location() = code }
}

/// -1 with errno.
pub(super) fn fail(code: c_int) -> c_int {
    set(code);
    -1
}

/// The same for functions that answer a size.
pub(super) fn fail_size(code: c_int) -> ssize_t {
    set(code);
    -1
}

/// Calls `f`, and leaves errno as it was.
pub(super) fn kept<R>(f: impl FnOnce() -> R) -> R {
    let code = get();
    let result = f();
    set(code);
    result
}

/// Calls `f`, which fails by -1, and leaves errno as it was when it succeeds: what happened on the
/// way, here and in the coroutines that ran meanwhile, is not the program's.
pub(super) fn unless_failed<R: Copy + PartialEq + From<i8>>(f: impl FnOnce() -> R) -> R {
    let code = get();
    let result = f();
    if result != R::from(-1) {
        set(code);
    }
    result
}

/// The errno of an error; of one that has none, the nearest.
pub(super) fn of(error: &std::io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}
