//! Timers.

use std::ffi::c_void;

use crate::rt::Timer;

use super::arg;
use super::callback::{UserData, call_out_detached, fastrpc_drop, fastrpc_function};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, take};
use super::status::*;

/// A function that will run once. Free it with fastrpc_timer_free(). Thread-safe.
pub struct fastrpc_timer {
    _private: [u8; 0],
}

impl Opaque for fastrpc_timer {
    type Rust = Timer;
    type Ownership = OwnedBox;
}

/// Runs a function in a new coroutine once a time has passed, never earlier.
///
/// `delay`: nanoseconds from now, at least 0. `function`, `user`, `drop`: runs at most once. `out`:
/// receives the timer; free it with fastrpc_timer_free(); NULL if nobody will cancel it. Fails with
/// FASTRPC_EINVAL, FASTRPC_ENOMEM. An exception that leaves the function is logged. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_timer_after(
    delay: i64,
    function: fastrpc_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    out: *mut *mut fastrpc_timer,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        let delay = arg::duration(delay).ok_or_else(|| Failure::invalid("the delay is below 0"))?;
        let timer = Timer::after(delay, move || {
            // SAFETY: the user gave this function for this data.
            call_out_detached("a timer", || unsafe { function(user.get()) });
        })?;
        if !out.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(out) }?.store(give(timer));
        }
        Ok(())
    })
}

/// Cancels a timer. Returns true if its function will not run because of this call; its `drop` has
/// run then.
///
/// Does not wait for a function that already runs. `timer`: NULL gives false; must still be freed.
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_timer_cancel(timer: *const fastrpc_timer) -> bool {
    // SAFETY: the caller passes NULL or a live timer.
    guard_value(false, || unsafe { look(timer) }.is_some_and(Timer::cancel))
}

/// Frees the handle of a timer, which stays armed if it was not canceled.
///
/// `timer`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_timer_free(timer: *mut fastrpc_timer) {
    // SAFETY: the caller passes NULL or a timer that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(timer) }))
}
