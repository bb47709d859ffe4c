//! Thread pools, for what blocks or computes for long.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::pool::{self, JobError, ThreadPool};

use super::arg::{self, FOREVER, Options, deadline};
use super::callback::{
    UserData, call_out, call_out_detached, call_out_logged, fastrpc_drop, fastrpc_function,
};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, need, take};
use super::status::*;

/// Threads with ordinary stacks that run functions ("jobs"), for what must not block a worker. A
/// job that waits in a function of this library, or in fastrpc_blocking(), lets another run
/// meanwhile. Free it with fastrpc_pool_free(). Thread-safe.
pub struct fastrpc_pool {
    _private: [u8; 0],
}

impl Opaque for fastrpc_pool {
    type Rust = ThreadPool;
    type Ownership = OwnedBox;
}

/// How a pool is made. See fastrpc_pool_new().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_pool_options {
    /// sizeof(fastrpc_pool_options).
    pub size: usize,
    /// Jobs that run at the same time; that many threads stay when there is nothing to do. Default:
    /// the number of processors.
    pub threads: usize,
    /// Further threads that may run jobs while others wait. Default 128.
    pub extra_threads: usize,
    /// Jobs that may be queued. Default 10000.
    pub queue_size: usize,
    /// Bytes of stack of a thread: virtual memory, committed as it is touched. Default 8 MiB.
    pub stack_size: usize,
    /// Nanoseconds without work before a thread beyond `threads` ends; below 0 never.
    /// Default 10 s.
    pub idle_timeout: i64,
    /// What the names of the threads begin with; copied. Default "pool".
    pub name: *const c_char,
    /// Bytes of the name. Default 0: the default name.
    pub name_size: usize,
}

/// Counters of a pool. See fastrpc_pool_stats_get().
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fastrpc_pool_stats {
    /// sizeof(fastrpc_pool_stats), set by the caller.
    pub size: usize,
    /// Threads alive.
    pub threads: u64,
    /// Threads whose job runs.
    pub running: u64,
    /// Threads whose job waits.
    pub blocked: u64,
    /// Threads without a job.
    pub idle: u64,
    /// The most threads ever alive at the same time.
    pub peak_threads: u64,
    /// Jobs that have not begun.
    pub waiting: u64,
    /// Jobs that have ended.
    pub finished: u64,
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_options_init(
    options: *mut fastrpc_pool_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Creates a pool. Its threads start when they are needed.
///
/// `options`: NULL for the defaults. `out`: receives the pool; free it with fastrpc_pool_free().
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_new(
    options: *const fastrpc_pool_options,
    out: *mut *mut fastrpc_pool,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller set a name of that size.
        let options = unsafe { options.to_rust() }?;
        out.store(give(ThreadPool::with_options(options)?));
        Ok(())
    })
}

/// Runs a function on a thread of the pool and waits until it has ended. In a job of the same pool
/// it is called right there.
///
/// `function`, `user`, `drop`: runs at most once. `timeout`: nanoseconds. Below 0, the function has
/// ended or will never begin when this returns, also in a canceled coroutine: it may use what is
/// the caller's. Otherwise a function that has begun goes on after FASTRPC_ETIMEDOUT or
/// FASTRPC_ECANCELED, and `drop` runs at its end. Fails with these two, FASTRPC_EEXCEPTION (an
/// exception left it, which is logged too), FASTRPC_ECLOSED (shut down), FASTRPC_ENOMEM (no thread
/// could be started). Waits for room while too many jobs are queued. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_run(
    pool: *const fastrpc_pool,
    function: fastrpc_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    timeout: i64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live pool.
        let pool = unsafe { need(pool) }?;
        let job = move || {
            // SAFETY: the user gave this function for this data.
            call_out_logged("a job of a thread pool", || unsafe { function(user.get()) })
        };
        let ended = if timeout < 0 { pool.run(job) } else { pool.run_by(deadline(timeout), job) };
        ended?.map_err(|exception| Failure::new(FASTRPC_EEXCEPTION, exception))
    })
}

/// Queues a function to run on a thread of the pool. Nobody waits for it.
///
/// `function`, `user`, `drop`: runs once. Fails with FASTRPC_ELIMIT (too many jobs are queued),
/// FASTRPC_ECLOSED (shut down), FASTRPC_ENOMEM (no thread could be started). An exception that
/// leaves the function is logged. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_post(
    pool: *const fastrpc_pool,
    function: fastrpc_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live pool.
        unsafe { need(pool) }?.post(move || {
            // SAFETY: the user gave this function for this data.
            call_out_detached("a job of a thread pool", || unsafe { function(user.get()) });
        })?;
        Ok(())
    })
}

/// Refuses further jobs, and waits until all that were accepted have ended and the threads are
/// gone. When the time has passed, jobs that have not begun are dropped.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_ETIMEDOUT (a job runs on), FASTRPC_ECANCELED,
/// FASTRPC_EBUSY (called in a job of this pool, which would wait for itself: nothing is done). May
/// be called again. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_shutdown(
    pool: *const fastrpc_pool,
    timeout: i64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live pool.
        unsafe { need(pool) }?.shutdown(deadline(timeout))?;
        Ok(())
    })
}

/// Reads the counters of a pool.
///
/// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_stats_get(
    pool: *const fastrpc_pool,
    stats: *mut fastrpc_pool_stats,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live pool.
        let now = unsafe { need(pool) }?.stats().into();
        // SAFETY: the caller passes NULL or a struct with a right size field.
        unsafe { arg::fill_struct(stats, &now) }
    })
}

/// Shuts a pool down, without a timeout, and frees it.
///
/// Does not wait when called in a job of this pool, nor after a fastrpc_pool_shutdown() that timed
/// out: the threads then end by themselves. `pool`: NULL does nothing. Any thread; may suspend,
/// also in a canceled coroutine.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_pool_free(pool: *mut fastrpc_pool) {
    // SAFETY: the caller passes NULL or a pool that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(pool) }))
}

/// Calls a function that is about to block in a way that this library does not see, on the calling
/// thread. In a job of a pool another job may run meanwhile; a coroutine blocks its worker.
///
/// `function`, `user`: called once, before this returns. Fails with FASTRPC_EEXCEPTION (an
/// exception left it). Any thread; suspends if the function does.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_blocking(
    function: fastrpc_function,
    user: *mut c_void,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the user gave this function for this data.
        pool::blocking(|| call_out(|| unsafe { function(user) }))
            .map_err(|exception| Failure::new(FASTRPC_EEXCEPTION, exception))
    })
}

impl From<JobError> for Failure {
    fn from(e: JobError) -> Failure {
        let status = match &e {
            e if e.is_timeout() => FASTRPC_ETIMEDOUT,
            e if e.is_canceled() || e.is_withdrawn() => FASTRPC_ECANCELED,
            e if e.is_shut_down() => FASTRPC_ECLOSED,
            e if e.is_full() => FASTRPC_ELIMIT,
            e if e.is_own_job() => FASTRPC_EBUSY,
            e if e.is_not_started() => FASTRPC_ENOMEM,
            e if e.is_forked() => FASTRPC_EFORKED,
            _ => FASTRPC_EINTERNAL,
        };
        Failure::new(status, e.to_string())
    }
}

impl From<pool::Stats> for fastrpc_pool_stats {
    fn from(stats: pool::Stats) -> Self {
        fastrpc_pool_stats {
            size: size_of::<Self>(),
            threads: stats.threads as u64,
            running: stats.running as u64,
            blocked: stats.blocked as u64,
            idle: stats.idle as u64,
            peak_threads: stats.peak_threads as u64,
            waiting: stats.waiting as u64,
            finished: stats.finished,
        }
    }
}

impl fastrpc_pool_options {
    /// # Safety
    /// `name` is NULL or has `name_size` readable bytes.
    unsafe fn to_rust(self) -> Result<pool::Options, Failure> {
        let mut options = pool::Options::default();
        // SAFETY: by the caller's contract.
        let name = unsafe { arg::text(self.name, self.name_size) }?;
        if !name.is_empty() {
            options.name = name.to_owned();
        }
        options.threads = self.threads;
        options.extra_threads = self.extra_threads;
        options.queue_size = self.queue_size;
        options.stack_size = self.stack_size;
        options.idle_timeout = arg::duration(self.idle_timeout).unwrap_or(FOREVER);
        Ok(options)
    }
}

// SAFETY: repr(C), `size` first, integers and a raw pointer.
unsafe impl Options for fastrpc_pool_options {}
// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_pool_stats {}

impl Default for fastrpc_pool_options {
    fn default() -> Self {
        let defaults = pool::Options::default();
        fastrpc_pool_options {
            size: size_of::<Self>(),
            threads: defaults.threads,
            extra_threads: defaults.extra_threads,
            queue_size: defaults.queue_size,
            stack_size: defaults.stack_size,
            idle_timeout: arg::nanoseconds(Some(defaults.idle_timeout)),
            name: ptr::null(),
            name_size: 0,
        }
    }
}

const _: () = assert!(size_of::<fastrpc_pool_options>() == 7 * size_of::<usize>() + 8);
const _: () = assert!(size_of::<fastrpc_pool_stats>() == size_of::<usize>() + 7 * 8);
