//! Errors: what a status alone does not tell.

use std::ffi::{CString, c_char};
use std::io;
use std::ptr;

use crate::{rpc, sync};

use super::guard::guard_value;
use super::own::{Opaque, OwnedBox, give, look, take};
use super::status::{self, *};

/// Why a function failed: a status, a code and a text.
///
/// Stored by a failing function that was given a `fastrpc_error **`; free it with
/// fastrpc_error_free(). Not thread-safe.
pub struct fastrpc_error {
    _private: [u8; 0],
}

impl Opaque for fastrpc_error {
    type Rust = Stored;
    type Ownership = OwnedBox;
}

/// Returns the status that the failing function returned.
///
/// `error`: NULL gives FASTRPC_OK. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_error_status(error: *const fastrpc_error) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a live error.
    guard_value(FASTRPC_EINTERNAL, || unsafe { look(error) }.map_or(FASTRPC_OK, |e| e.status))
}

/// Returns the detailed code: of an RPC error a FASTRPC_CODE_ number or the service's own, as on
/// the wire; of a failed system call its errno; otherwise the status.
///
/// `error`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_error_code(error: *const fastrpc_error) -> i32 {
    // SAFETY: the caller passes NULL or a live error.
    guard_value(FASTRPC_EINTERNAL, || unsafe { look(error) }.map_or(0, |e| e.code))
}

/// Returns whether the server's service chose this error, by fastrpc_call_fail() with a code of its
/// own.
///
/// False if the library made it: for any FASTRPC_CODE_ number, and for whatever did not come from a
/// server. `error`: NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_error_is_service(error: *const fastrpc_error) -> bool {
    // SAFETY: the caller passes NULL or a live error.
    guard_value(false, || unsafe { look(error) }.is_some_and(|e| e.service))
}

/// Returns the text, for people. It is not a contract: test the status or the code.
///
/// `error`: NULL gives "no error". The text ends with a NUL and lives as long as the error. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_error_text(error: *const fastrpc_error) -> *const c_char {
    guard_value(status::text(FASTRPC_EINTERNAL).as_ptr(), || {
        // SAFETY: the caller passes NULL or a live error.
        let error = unsafe { look(error) };
        error.map_or(status::text(FASTRPC_OK), |e| &e.text).as_ptr()
    })
}

/// Frees an error.
///
/// `error`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_error_free(error: *mut fastrpc_error) {
    // SAFETY: the caller passes NULL or an error that is not used again.
    guard_value((), || drop(unsafe { take(error) }))
}

/// What a `fastrpc_error` points to.
pub struct Stored {
    status: fastrpc_status,
    code: i32,
    service: bool,
    text: CString,
}

/// Why an export fails. Becomes its status and, if asked for, its error object.
#[derive(Debug)]
pub(super) struct Failure {
    status: fastrpc_status,
    code: i32,
    /// A service chose the code.
    service: bool,
    text: String,
}

impl Failure {
    pub(super) fn new(status: fastrpc_status, text: impl Into<String>) -> Failure {
        Failure { status, code: status, service: false, text: text.into() }
    }

    pub(super) fn invalid(text: impl Into<String>) -> Failure {
        Failure::new(FASTRPC_EINVAL, text)
    }

    pub(super) fn with_code(mut self, code: i32) -> Failure {
        self.code = code;
        self
    }

    pub(super) fn status(&self) -> fastrpc_status {
        self.status
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// An error object owned by the caller, never NULL.
    pub(super) fn into_object(self) -> *mut fastrpc_error {
        // A C string ends at the first NUL, so nothing behind one could be read anyway.
        let mut text = self.text.into_bytes();
        if let Some(end) = text.iter().position(|&b| b == 0) {
            text.truncate(end);
        }
        give(Stored {
            status: self.status,
            code: self.code,
            service: self.service,
            text: CString::new(text).unwrap_or_default(),
        })
    }
}

impl From<io::Error> for Failure {
    fn from(e: io::Error) -> Failure {
        let status = match (e.kind(), e.raw_os_error()) {
            (io::ErrorKind::TimedOut, _) => FASTRPC_ETIMEDOUT,
            (_, Some(libc::ECANCELED)) => FASTRPC_ECANCELED,
            (_, Some(libc::EBADF)) => FASTRPC_ECLOSED,
            (io::ErrorKind::OutOfMemory, _) => FASTRPC_ENOMEM,
            (io::ErrorKind::InvalidInput, _) => FASTRPC_EINVAL,
            (io::ErrorKind::AlreadyExists | io::ErrorKind::ResourceBusy, None) => FASTRPC_ESTATE,
            (io::ErrorKind::WouldBlock, _) => FASTRPC_EAGAIN,
            _ => FASTRPC_EIO,
        };
        let code = os_error(&e).unwrap_or(status);
        Failure::new(status, e.to_string()).with_code(code)
    }
}

/// The system's number of an error, or of the one that is the cause of its text.
fn os_error(e: &io::Error) -> Option<i32> {
    let cause = || e.get_ref()?.source()?.downcast_ref::<io::Error>()?.raw_os_error();
    e.raw_os_error().or_else(cause)
}

impl From<sync::Error> for Failure {
    fn from(e: sync::Error) -> Failure {
        let status = match e {
            e if e.is_timeout() => FASTRPC_ETIMEDOUT,
            e if e.is_canceled() => FASTRPC_ECANCELED,
            e if e.is_closed() => FASTRPC_ECLOSED,
            e if e.would_block() => FASTRPC_EAGAIN,
            _ => FASTRPC_EFORKED,
        };
        Failure::new(status, e.to_string())
    }
}

impl From<rpc::Error> for Failure {
    fn from(e: rpc::Error) -> Failure {
        let status = match &e {
            e if e.is_remote() => FASTRPC_EREMOTE,
            e if e.is_timeout() => FASTRPC_ETIMEDOUT,
            e if e.is_connect() => FASTRPC_ECONNECT,
            e if e.is_closed() => FASTRPC_ECLOSED,
            e if e.is_overcrowded() => FASTRPC_ELIMIT,
            e if e.is_canceled() => FASTRPC_ECANCELED,
            e if e.code() == rpc::Code::EINTERNAL => FASTRPC_EINTERNAL,
            _ => FASTRPC_EINVAL,
        };
        let failure = Failure::new(status, e.text()).with_code(e.code().number());
        Failure { service: e.is_service_error(), ..failure }
    }
}

/// Where a call's error object goes: the caller's `fastrpc_error **`, which may be NULL.
#[derive(Clone, Copy)]
pub(super) struct ErrorOut(*mut *mut fastrpc_error);

impl ErrorOut {
    /// For exports that have no error parameter.
    pub(super) const NONE: ErrorOut = ErrorOut(ptr::null_mut());

    /// # Safety
    /// `out` is NULL or valid for writes until the export returns.
    pub(super) unsafe fn new(out: *mut *mut fastrpc_error) -> ErrorOut {
        ErrorOut(out)
    }

    /// Stores `failure` (or NULL) and returns its status.
    pub(super) fn store(self, result: Result<(), Failure>) -> fastrpc_status {
        let status = result.as_ref().map_or_else(Failure::status, |()| FASTRPC_OK);
        if !self.0.is_null() {
            let object = result.map_or_else(Failure::into_object, |()| ptr::null_mut());
            // SAFETY: by the contract of `new`.
            unsafe { self.0.write(object) };
        }
        status
    }
}
