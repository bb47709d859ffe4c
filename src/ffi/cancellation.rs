//! Cancellation of calls.

use std::ffi::c_void;

use crate::rpc::Cancellation;

use super::error::ErrorOut;
use super::guard::{guard, guard_value};
use super::own::{InPlace, Opaque, look, need};
use super::status::*;

/// A means for any thread to end a call: see `cancellation` of fastrpc_call_options.
///
/// The caller's memory, all zero at first (`fastrpc_cancellation c = {0}`), never copied or moved.
/// One call at a time uses it. It must live until that call has ended, and may then go although a
/// fastrpc_cancellation_cancel() that ended the call has not returned. After an asynchronous call,
/// fastrpc_cancellation_reset() frees what that has left in it.
#[repr(C)]
pub struct fastrpc_cancellation {
    /// The library's.
    state: *mut c_void,
}

impl Opaque for fastrpc_cancellation {
    type Rust = Cancellation;
    type Ownership = InPlace;
}

/// Ends the call with FASTRPC_ECANCELED, unless it has ended; one that begins later fails with it
/// at once, until fastrpc_cancellation_reset(). The server is not told.
///
/// Fails with FASTRPC_EINVAL. Any thread, several times; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_cancellation_cancel(
    cancellation: *mut fastrpc_cancellation,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a cancellation that its call still has, if any.
        unsafe { need(cancellation) }?.cancel();
        Ok(())
    })
}

/// Returns whether fastrpc_cancellation_cancel() was called since the last reset.
///
/// `cancellation`: NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_cancellation_is_canceled(
    cancellation: *const fastrpc_cancellation,
) -> bool {
    // SAFETY: the caller passes NULL or a live cancellation.
    guard_value(false, || unsafe { look(cancellation) }.is_some_and(Cancellation::is_canceled))
}

/// Resets it to all zero, for another call or before its memory goes.
///
/// `cancellation`: NULL does nothing; must not be called during a call. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_cancellation_reset(cancellation: *mut fastrpc_cancellation) {
    // SAFETY: the caller passes NULL or a live cancellation.
    guard_value((), || unsafe { look(cancellation) }.map_or((), Cancellation::reset))
}

const _: () = assert!(
    size_of::<fastrpc_cancellation>() == size_of::<Cancellation>()
        && align_of::<fastrpc_cancellation>() == align_of::<Cancellation>()
);
