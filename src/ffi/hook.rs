//! Hooks: blocking calls of libc that suspend their coroutine.

use std::ffi::c_char;

use super::arg;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::status::*;

/// Enables the hooks of the calling coroutine: from now on blocking calls of libc, its own and
/// those of libraries that it uses, suspend the coroutine instead of blocking its worker.
///
/// Holds until the coroutine ends or disables them. Coroutines that it spawns begin with the
/// default of the process. Fails with FASTRPC_ESTATE (in a plain thread; the library was built
/// without hooks); the error's text says what to do. In a coroutine; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_hook_enable(error: *mut *mut fastrpc_error) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || switch(true))
}

/// Disables the hooks of the calling coroutine.
///
/// Fails with FASTRPC_ESTATE as fastrpc_hook_enable() does. In a coroutine; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_hook_disable(error: *mut *mut fastrpc_error) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || switch(false))
}

/// Returns whether blocking calls of libc suspend the caller: false in a plain thread.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_is_enabled() -> bool {
    #[cfg(feature = "hook")]
    let enabled = guard_value(false, crate::hook::is_enabled);
    #[cfg(not(feature = "hook"))]
    let enabled = guard_value(false, || false);
    enabled
}

/// Writes which functions of libc are hooked in this process, and which loaded objects bypass the
/// hooks, as a text for people.
///
/// `buffer`, `size`: receives the text and a NUL, as far as they fit. Returns the bytes of the
/// whole text, not counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_hook_report(buffer: *mut c_char, size: usize) -> usize {
    guard_value(0, || {
        #[cfg(feature = "hook")]
        let text = crate::hook::report();
        #[cfg(not(feature = "hook"))]
        let text = "fastrpc was built without hooks\n".to_owned();
        // SAFETY: the caller passes a buffer of `size` bytes.
        unsafe { arg::copy_text(&text, buffer, size) }
    })
}

/// Returns how many waits have begun so far while their coroutine held a pthread mutex or
/// reader-writer lock.
///
/// Each blocks others from the lock for as long as it lasts. Each pair of places, of a lock and of
/// a wait, is logged once as a warning. 0 unless fastrpc_runtime_options.lock_check is on. Any
/// thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_waits_with_locks() -> u64 {
    #[cfg(feature = "hook")]
    let count = guard_value(0, crate::hook::waits_with_locks);
    #[cfg(not(feature = "hook"))]
    let count = guard_value(0, || 0);
    count
}

/// Returns how many times so far a coroutine locked what another coroutine of the same worker held
/// in a wait, and was suspended where it would have blocked for ever.
///
/// Each pair of places is logged once as an error. 0 unless fastrpc_runtime_options.lock_check is
/// on. Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_deadlocks_averted() -> u64 {
    #[cfg(feature = "hook")]
    let count = guard_value(0, crate::hook::deadlocks_averted);
    #[cfg(not(feature = "hook"))]
    let count = guard_value(0, || 0);
    count
}

#[cfg(feature = "hook")]
fn switch(on: bool) -> Result<(), Failure> {
    let switched = if on { crate::hook::enable() } else { crate::hook::disable() };
    switched.map_err(|error| Failure::new(FASTRPC_ESTATE, error.to_string()))
}

#[cfg(not(feature = "hook"))]
fn switch(_on: bool) -> Result<(), Failure> {
    Err(Failure::new(
        FASTRPC_ESTATE,
        "this library was built without hooks: build it with -DFASTRPC_HOOKS=ON, its default",
    ))
}
