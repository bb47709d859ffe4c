//! The runtime and its worker threads.

use crate::rt;

use super::arg::{self, Options};
use super::error::{ErrorOut, fastrpc_error};
use super::guard::{guard, guard_value};
use super::status::*;

/// How the runtime is set up. See fastrpc_runtime_configure().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_runtime_options {
    /// sizeof(fastrpc_runtime_options).
    pub size: usize,
    /// Worker threads. Coroutines of one worker never run in parallel. Default 1; if the program
    /// never configures the runtime, the environment variable FASTRPC_WORKERS decides.
    pub workers: usize,
    /// Bytes of stack of a coroutine that sets no size of its own: virtual memory, committed as it
    /// is touched. Default 256 KiB.
    pub stack_size: usize,
    /// Whether coroutines begin with their hooks enabled, see fastrpc_hook_enable(). Default 0; the
    /// environment variable FASTRPC_HOOK=1 means 1.
    pub hook: i32,
    /// Whether to detect and log when a coroutine waits while it holds a pthread mutex or
    /// reader-writer lock, and to suspend it where such a lock would deadlock. Default 1; the
    /// environment variable FASTRPC_LOCK_CHECK=0 means 0.
    pub lock_check: i32,
    /// Whether pthread locks and condition variables suspend coroutines that have their hooks
    /// enabled. Default 0; the environment variable FASTRPC_HOOK_LOCKS=1 means 1.
    pub hook_locks: i32,
    /// Must be 0.
    pub reserved: i32,
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_runtime_options_init(
    options: *mut fastrpc_runtime_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Configures the runtime, before its first use starts it.
///
/// `options`: NULL for the defaults. Fails with FASTRPC_ESTATE (the runtime has started),
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_runtime_configure(
    options: *const fastrpc_runtime_options,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        let wanted = rt::Options::default().workers(options.workers);
        let wanted = wanted.stack_size(options.stack_size).hook(options.hook != 0);
        let wanted = wanted.lock_check(options.lock_check != 0);
        rt::configure(wanted.hook_locks(options.hook_locks != 0))?;
        Ok(())
    })
}

/// Returns the number of worker threads, started or not.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_worker_count() -> usize {
    guard_value(0, rt::worker_count)
}

/// Returns the number of the calling worker thread, from 0, or -1 in any other thread.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_worker_index() -> i64 {
    guard_value(-1, || rt::worker_index().map_or(-1, |index| index as i64))
}

// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_runtime_options {}

impl Default for fastrpc_runtime_options {
    fn default() -> Self {
        let defaults = rt::Options::default();
        fastrpc_runtime_options {
            size: size_of::<Self>(),
            workers: defaults.workers,
            stack_size: defaults.stack_size,
            hook: defaults.hook.into(),
            lock_check: defaults.lock_check.into(),
            hook_locks: defaults.hook_locks.into(),
            reserved: 0,
        }
    }
}

const _: () = assert!(size_of::<fastrpc_runtime_options>() == 3 * size_of::<usize>() + 16);
