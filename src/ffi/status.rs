//! Status numbers: what every fallible function returns.

use std::ffi::{CStr, c_char};

/// What a fallible function returns: FASTRPC_OK or one of the FASTRPC_E numbers. A number is never
/// reused.
pub type fastrpc_status = i32;

/// Success.
pub const FASTRPC_OK: fastrpc_status = 0;
/// An argument is invalid: NULL where an object is needed, text that is not UTF-8, a malformed
/// address.
pub const FASTRPC_EINVAL: fastrpc_status = 1;
/// Memory for a stack, a thread or a table could not be allocated.
pub const FASTRPC_ENOMEM: fastrpc_status = 2;
/// The time given has passed.
pub const FASTRPC_ETIMEDOUT: fastrpc_status = 3;
/// The waiting coroutine, or the call, was canceled.
pub const FASTRPC_ECANCELED: fastrpc_status = 4;
/// The queue, client, server or file descriptor is closed.
pub const FASTRPC_ECLOSED: fastrpc_status = 5;
/// It would have to wait, and the time given was 0.
pub const FASTRPC_EAGAIN: fastrpc_status = 6;
/// The process was forked after the runtime had started: nothing of it works in the child.
pub const FASTRPC_EFORKED: fastrpc_status = 7;
/// Another call is using the object in a way that excludes this one.
pub const FASTRPC_EBUSY: fastrpc_status = 8;
/// Too late, too early, or done before: the runtime has started, the name is taken.
pub const FASTRPC_ESTATE: fastrpc_status = 9;
/// A system call failed; fastrpc_error_code() is its errno.
pub const FASTRPC_EIO: fastrpc_status = 10;
/// A C++ exception left a callback; fastrpc_error_text() is its what().
pub const FASTRPC_EEXCEPTION: fastrpc_status = 11;
/// The server could not be reached.
pub const FASTRPC_ECONNECT: fastrpc_status = 12;
/// The server answered with an error; fastrpc_error_code() is its code.
pub const FASTRPC_EREMOTE: fastrpc_status = 13;
/// A limit set in the options (size, calls in flight, unsent bytes) was reached.
pub const FASTRPC_ELIMIT: fastrpc_status = 14;
/// A bug in the library.
pub const FASTRPC_EINTERNAL: fastrpc_status = 15;

/// Returns what a status means, in a few English words.
///
/// `status`: any number. The text lives as long as the process. Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_status_text(status: fastrpc_status) -> *const c_char {
    text(status).as_ptr()
}

pub(super) fn text(status: fastrpc_status) -> &'static CStr {
    match status {
        FASTRPC_OK => c"no error",
        FASTRPC_EINVAL => c"invalid argument",
        FASTRPC_ENOMEM => c"out of memory",
        FASTRPC_ETIMEDOUT => c"timed out",
        FASTRPC_ECANCELED => c"canceled",
        FASTRPC_ECLOSED => c"closed",
        FASTRPC_EAGAIN => c"it would have to wait",
        FASTRPC_EFORKED => c"the process was forked after the runtime had started",
        FASTRPC_EBUSY => c"in use by another call",
        FASTRPC_ESTATE => c"too late, too early, or done before",
        FASTRPC_EIO => c"a system call failed",
        FASTRPC_EEXCEPTION => c"an exception left a callback",
        FASTRPC_ECONNECT => c"the server could not be reached",
        FASTRPC_EREMOTE => c"the server answered with an error",
        FASTRPC_ELIMIT => c"a limit was reached",
        FASTRPC_EINTERNAL => c"internal error",
        _ => c"unknown status",
    }
}
