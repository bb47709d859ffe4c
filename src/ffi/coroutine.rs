//! Coroutines.

use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use crate::rt::{self, JoinHandle};
use crate::sync::WaitGroup;

use super::arg::{self, FOREVER, Options, deadline, is_try};
use super::callback::{UserData, call_out, fastrpc_drop, fastrpc_function};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// A coroutine that can be joined and canceled. Free it with fastrpc_coroutine_free(). Thread-safe.
pub struct fastrpc_coroutine {
    _private: [u8; 0],
}

impl Opaque for fastrpc_coroutine {
    type Rust = Spawned;
    type Ownership = OwnedBox;
}

/// How a coroutine is made. See fastrpc_spawn().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_spawn_options {
    /// sizeof(fastrpc_spawn_options).
    pub size: usize,
    /// A name for log records and messages; copied. Default none.
    pub name: *const c_char,
    /// Bytes of the name. Default 0.
    pub name_size: usize,
    /// Bytes of stack. Default 0: as the runtime's options say.
    pub stack_size: usize,
    /// The worker it lives on, from 0. Default -1: that of the spawning coroutine; those of plain
    /// threads go to the workers in turn.
    pub worker: i64,
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_spawn_options_init(
    options: *mut fastrpc_spawn_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Runs a function in a new coroutine.
///
/// `options`: NULL for the defaults. `function`, `user`, `drop`: runs once. `out`: receives the
/// coroutine; free it with fastrpc_coroutine_free(); NULL if nobody will join it. Fails with
/// FASTRPC_ENOMEM, FASTRPC_EINVAL. An exception that leaves the function is logged and makes
/// fastrpc_coroutine_join() fail. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_spawn(
    options: *const fastrpc_spawn_options,
    function: fastrpc_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    out: *mut *mut fastrpc_coroutine,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller set a name of that size.
        let builder = unsafe { options.builder() }?;
        let body = Body::new(function, user);
        let end = body.end.clone();
        let handle = builder.spawn(move || body.run())?;
        if !out.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(out) }?.store(give(Spawned {
                id: handle.id(),
                end,
                handle: Mutex::new(Some(handle)),
            }));
        }
        Ok(())
    })
}

/// Waits until a coroutine has ended. Its coroutine-local data is freed by then.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_EAGAIN (`timeout` is 0 and it runs),
/// FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED (the waiting coroutine was canceled), FASTRPC_EEXCEPTION
/// (an exception left its function), FASTRPC_ENOMEM (it could not be started on its worker).
/// Several may wait, also again after the end. The handle must still be freed. Any thread; may
/// suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_coroutine_join(
    coroutine: *const fastrpc_coroutine,
    timeout: i64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live coroutine.
        unsafe { need(coroutine) }?.join(timeout)
    })
}

/// Cancels a coroutine: the wait it is in, and each one it begins, fails with FASTRPC_ECANCELED.
///
/// Nothing is unwound: it ends when its function returns. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_coroutine_cancel(
    coroutine: *const fastrpc_coroutine,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live coroutine.
        unsafe { need(coroutine) }?.cancel();
        Ok(())
    })
}

/// Returns whether a coroutine has ended.
///
/// `coroutine`: NULL gives true. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_coroutine_is_finished(
    coroutine: *const fastrpc_coroutine,
) -> bool {
    // SAFETY: the caller passes NULL or a live coroutine.
    guard_value(true, || unsafe { look(coroutine) }.is_none_or(Spawned::is_finished))
}

/// Returns the number of a coroutine: never 0, and never used again in this process.
///
/// `coroutine`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_coroutine_id(coroutine: *const fastrpc_coroutine) -> u64 {
    // SAFETY: the caller passes NULL or a live coroutine.
    guard_value(0, || unsafe { look(coroutine) }.map_or(0, |c| c.id))
}

/// Frees the handle of a coroutine. A coroutine that has not ended runs on.
///
/// `coroutine`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_coroutine_free(coroutine: *mut fastrpc_coroutine) {
    // SAFETY: the caller passes NULL or a coroutine that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(coroutine) }))
}

/// Lets the other coroutines of this worker run or, in a plain thread, other threads.
///
/// Any thread; may suspend.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_yield() -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        rt::yield_now();
        Ok(())
    })
}

/// Suspends the calling coroutine, or blocks the calling thread, for a time.
///
/// `duration`: nanoseconds; below 0 for ever. Fails with FASTRPC_ECANCELED. Any thread; may
/// suspend.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_sleep(duration: i64) -> fastrpc_status {
    let duration = arg::duration(duration).unwrap_or(FOREVER);
    guard(ErrorOut::NONE, || Ok(rt::sleep(duration)?))
}

/// Returns whether the caller is a coroutine.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_is_coroutine() -> bool {
    guard_value(false, rt::is_coroutine)
}

/// Returns the number of the calling coroutine, or 0 in a plain thread.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_current_id() -> u64 {
    guard_value(0, || rt::current().map_or(0, |current| current.id()))
}

/// Copies the name of the calling coroutine, and a NUL, into a buffer as far as it fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the name, not
/// counting the NUL; 0 if it has none, and in a plain thread. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_current_name(buffer: *mut c_char, size: usize) -> usize {
    guard_value(0, || {
        let current = rt::current();
        let name = current.as_ref().map_or("", |current| current.name());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(name, buffer, size) }
    })
}

/// What a `fastrpc_coroutine` points to.
pub struct Spawned {
    id: u64,
    end: Arc<End>,
    /// Until somebody has seen the end.
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// The end of a coroutine. Beside the `JoinHandle`, because any number may wait for it, again and
/// again, while others cancel.
struct End {
    running: WaitGroup,
    outcome: OnceLock<Result<(), String>>,
}

impl Spawned {
    fn join(&self, timeout: i64) -> Result<(), Failure> {
        if is_try(timeout) && self.end.running.count() != 0 {
            return Err(Failure::new(FASTRPC_EAGAIN, "the coroutine has not ended"));
        }
        self.end.running.wait_by(deadline(timeout))?;
        // Returns at once, but for the coroutine-local data that may still be on its way out.
        let last = self.lock().take().map(JoinHandle::join);
        match (self.end.outcome.get(), last) {
            (Some(Ok(())), _) => Ok(()),
            (Some(Err(exception)), _) => Err(Failure::new(FASTRPC_EEXCEPTION, exception)),
            (None, Some(Err(e))) => Err(Failure::new(FASTRPC_ENOMEM, e.to_string())),
            (None, _) => Err(Failure::new(FASTRPC_ENOMEM, "the coroutine could not be started")),
        }
    }

    fn cancel(&self) {
        if let Some(handle) = &*self.lock() {
            handle.cancel();
        }
    }

    fn is_finished(&self) -> bool {
        self.end.running.count() == 0
    }

    fn lock(&self) -> MutexGuard<'_, Option<JoinHandle<()>>> {
        self.handle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What runs in the coroutine. If it is dropped without having run, it has ended as well.
struct Body {
    function: unsafe extern "C-unwind" fn(*mut c_void),
    user: Option<UserData>,
    end: Arc<End>,
}

impl Body {
    fn new(function: unsafe extern "C-unwind" fn(*mut c_void), user: UserData) -> Body {
        let end = Arc::new(End { running: WaitGroup::new(), outcome: OnceLock::new() });
        end.running.add(1);
        Body { function, user: Some(user), end }
    }

    fn run(mut self) {
        let (function, user) = (self.function, self.user.take());
        let data = user.as_ref().map_or(ptr::null_mut(), UserData::get);
        // SAFETY: the user gave this function for this data, which `user` keeps alive.
        let outcome = call_out(|| unsafe { function(data) }).inspect_err(|exception| {
            let current = rt::current();
            let (name, id) = current.as_ref().map_or(("", 0), |c| (c.name(), c.id()));
            log::error!("an exception left coroutine '{name}' ({id}): {exception}");
        });
        drop(user);
        let _ = self.end.outcome.set(outcome);
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        drop(self.user.take());
        self.end.running.done();
    }
}

impl fastrpc_spawn_options {
    /// # Safety
    /// `name` is NULL or has `name_size` readable bytes.
    unsafe fn builder(&self) -> Result<rt::Builder, Failure> {
        let mut builder = rt::Builder::new();
        // SAFETY: by the caller's contract.
        let name = unsafe { arg::text(self.name, self.name_size) }?;
        if !name.is_empty() {
            builder = builder.name(name);
        }
        if self.stack_size != 0 {
            builder = builder.stack_size(self.stack_size);
        }
        Ok(match arg::worker(self.worker)? {
            Some(worker) => builder.worker(worker),
            None => builder,
        })
    }
}

// SAFETY: repr(C), `size` first, integers and a raw pointer.
unsafe impl Options for fastrpc_spawn_options {}

impl Default for fastrpc_spawn_options {
    fn default() -> Self {
        let (size, worker) = (size_of::<Self>(), -1);
        fastrpc_spawn_options { size, name: ptr::null(), name_size: 0, stack_size: 0, worker }
    }
}

const _: () = assert!(size_of::<fastrpc_spawn_options>() == 4 * size_of::<usize>() + 8);
