//! errno: hooks read it after a failed call, and leave it as libc would.

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

/// Sets errno and returns -1.
pub(super) fn fail(code: c_int) -> c_int {
    set(code);
    -1
}

/// As [`fail`], for functions that return a size.
pub(super) fn fail_size(code: c_int) -> ssize_t {
    set(code);
    -1
}

/// Calls `f` and restores errno.
pub(super) fn kept<R>(f: impl FnOnce() -> R) -> R {
    let code = get();
    let result = f();
    set(code);
    result
}

/// Calls `f`, and restores errno unless it returned -1: what happened to errno meanwhile, here and in
/// other coroutines, does not concern the program.
pub(super) fn unless_failed<R: Copy + PartialEq + From<i8>>(f: impl FnOnce() -> R) -> R {
    let code = get();
    let result = f();
    if result != R::from(-1) {
        set(code);
    }
    result
}

/// Returns the errno of an error, or `EIO` if it has none.
pub(super) fn of(error: &std::io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}
