//! Callbacks: the types of functions, and of what frees their data.
//!
//! A callback is a triple (function, user data, drop). `UserData` owns the last two from the
//! first line of an export on, so that `drop` runs exactly once on every path: after the last call
//! of the function has ended, or when the export fails.

#![expect(unreachable_pub, reason = "what cxx generates")]

use std::ffi::c_void;
use std::ptr;

/// A callback: `user` is the pointer given with it.
pub type fastrpc_function = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

/// Frees a callback's user data. May be NULL. Runs exactly once, on any thread: after the last call
/// of the function has ended, or before the function that was given the callback fails.
pub type fastrpc_drop = Option<unsafe extern "C-unwind" fn(user: *mut c_void)>;

#[cxx::bridge(namespace = "fastrpc::ffi")]
mod door {
    unsafe extern "C++" {
        include!("fastrpc/cpp/callback.h");

        /// Calls `thunk(context)` and turns whatever it throws into an error.
        unsafe fn run_callback(thunk: usize, context: *mut u8) -> Result<()>;
    }
}

/// Runs `call`, which does nothing but call a function of the user. Fails with the text of the
/// exception that left it.
pub(super) fn call_out(call: impl FnOnce()) -> Result<(), String> {
    let mut slot = Some(call);
    let thunk = thunk_of(&slot) as usize;
    // SAFETY: `thunk` is `thunk::<F>` of the very type of `slot`, which outlives the call.
    unsafe { door::run_callback(thunk, ptr::from_mut(&mut slot).cast()) }
        .map_err(|exception| exception.what().to_owned())
}

/// [`call_out`] for callbacks that somebody may wait for: logs the exception too.
pub(super) fn call_out_logged(what: &str, call: impl FnOnce()) -> Result<(), String> {
    call_out(call).inspect_err(|text| log::error!("an exception left {what}: {text}"))
}

/// [`call_out`] for callbacks that nobody waits for: logs the exception.
pub(super) fn call_out_detached(what: &str, call: impl FnOnce()) {
    let _ = call_out_logged(what, call);
}

/// User data and the function that frees it.
pub(super) struct UserData {
    data: *mut c_void,
    drop: fastrpc_drop,
}

impl UserData {
    /// Takes the user data of a callback over.
    pub(super) fn new(data: *mut c_void, drop: fastrpc_drop) -> UserData {
        UserData { data, drop }
    }

    /// The pointer, for the length of a call.
    pub(super) fn get(&self) -> *mut c_void {
        self.data
    }

    /// Leaves the data alone: it is the user's again.
    pub(super) fn forget(mut self) {
        self.drop = None;
    }
}

impl Drop for UserData {
    fn drop(&mut self) {
        if let Some(free) = self.drop {
            let data = self.data;
            // SAFETY: the user gave `free` for this very data, and this is the only call.
            call_out_detached("a drop callback", || unsafe { free(data) });
        }
    }
}

// SAFETY: the header says that callbacks and drop may run on any thread, one at a time unless
// said otherwise; the user made the data fit for it.
unsafe impl Send for UserData {}
// SAFETY: as above; Rust itself never looks behind the pointer.
unsafe impl Sync for UserData {}

type Thunk = unsafe extern "C-unwind" fn(*mut u8);

fn thunk_of<F: FnOnce()>(_: &Option<F>) -> Thunk {
    thunk::<F>
}

unsafe extern "C-unwind" fn thunk<F: FnOnce()>(slot: *mut u8) {
    // SAFETY: `call_out` passes a pointer to its own `Option<F>`.
    let slot = unsafe { &mut *slot.cast::<Option<F>>() };
    if let Some(call) = slot.take() {
        call();
    }
}
