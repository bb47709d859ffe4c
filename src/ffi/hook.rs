//! Hooks: blocking calls of libc that suspend their coroutine.

use std::ffi::c_char;

use super::arg;
use super::error::{ErrorOut, Failure};
use super::guard::{guard, guard_value};
use super::status::*;

/// Turns the hooks of the calling coroutine on: from now on blocking calls of libc, its own and
/// those of libraries that it uses, suspend the coroutine instead of blocking its worker.
///
/// Until the coroutine ends or turns them off; coroutines that it starts begin with the default of
/// the process. Fails with FASTRPC_ESTATE in a plain thread, and in a library that was built without
/// hooks. Never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_enable() -> fastrpc_status {
    guard(ErrorOut::NONE, || switch(true))
}

/// Turns the hooks of the calling coroutine off.
///
/// Fails with FASTRPC_ESTATE as fastrpc_hook_enable() does. Never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_disable() -> fastrpc_status {
    guard(ErrorOut::NONE, || switch(false))
}

/// Whether blocking calls of libc suspend the caller: false in a plain thread.
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

/// Which of libc's functions are hooked in this process, and which loaded objects call libc's own
/// past the hooks, as a text for people.
///
/// `buffer`, `size`: gets the text, cut off to `size` with its terminating NUL. Gives the length of
/// the whole text. Any thread; never suspends.
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

/// How many waits have begun so far while their coroutine held a lock of pthreads.
///
/// Each keeps others from the mutex for as long as it lasts; each pair of places, of a lock and of a
/// wait, is logged once as a warning. 0 unless fastrpc_runtime_options.lock_check is on. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_hook_waits_with_locks() -> u64 {
    #[cfg(feature = "hook")]
    let count = guard_value(0, crate::hook::waits_with_locks);
    #[cfg(not(feature = "hook"))]
    let count = guard_value(0, || 0);
    count
}

/// How often so far a coroutine wanted a lock of pthreads that another coroutine of the same worker
/// held in a wait, and was suspended where it would have blocked for ever.
///
/// Each pair of places is logged once as an error. 0 unless fastrpc_runtime_options.lock_check is on.
/// Any thread; never suspends.
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
    switched.map_err(|_| Failure::new(FASTRPC_ESTATE, "a plain thread has no hooks"))
}

#[cfg(not(feature = "hook"))]
fn switch(_on: bool) -> Result<(), Failure> {
    Err(Failure::new(FASTRPC_ESTATE, "this library was built without hooks"))
}
