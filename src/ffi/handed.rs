//! A call and its handler: who answers when the handler throws.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::rpc::{Call, code};

use super::call::fastrpc_call;
use super::callback::{UserData, call_out};
use super::error::Failure;
use super::own::{give_shared, look, take_shared};
use super::status::*;

/// What a `fastrpc_call` points to: the call, shared by its handle and by the frame that runs the
/// handler.
///
/// The frame has a say because of C++: when an exception leaves the handler, the handle is freed
/// while the stack unwinds, before anybody knows the exception's text. So a free inside the
/// handler leaves the call to the frame.
pub(super) struct Handed {
    /// Touched by the owner of the handle while `HANDLE` is set, then by the frame while `FRAME`
    /// is set; whoever clears the last of the two bits drops it.
    call: UnsafeCell<Option<Call>>,
    state: AtomicU8,
}

// SAFETY: see `call`: one side at a time, and the bits hand it over with acquire and release.
unsafe impl Sync for Handed {}

const HANDLE: u8 = 1;
const FRAME: u8 = 2;

impl Handed {
    /// Runs a handler: `function(user, call)`.
    pub(super) fn run(
        call: Call,
        function: unsafe extern "C-unwind" fn(*mut c_void, *mut fastrpc_call),
        user: &UserData,
    ) {
        let state = AtomicU8::new(HANDLE | FRAME);
        let handed = Arc::new(Handed { call: UnsafeCell::new(Some(call)), state });
        let handle = give_shared(handed.clone());
        // SAFETY: the user gave this function for this data; the handle is fresh.
        let outcome = call_out(|| unsafe { function(user.get(), handle) });
        let released = handed.state.fetch_and(!FRAME, Ordering::AcqRel) & HANDLE == 0;
        match outcome {
            Ok(()) if released => drop(handed.take_call()),
            Ok(()) => {}
            Err(exception) => {
                if !released {
                    // SAFETY: the header: by throwing, the handler gave the handle up.
                    drop(unsafe { take_shared(handle) });
                }
                let call = handed.take_call();
                log_exception(call.as_ref(), &exception);
                if let Some(call) = call {
                    call.fail(code::EINTERNAL, &exception);
                }
            }
        }
    }

    /// For the side whose turn it is.
    fn take_call(&self) -> Option<Call> {
        // SAFETY: see `call`.
        unsafe { &mut *self.call.get() }.take()
    }
}

fn log_exception(call: Option<&Call>, exception: &str) {
    match call {
        Some(c) => log::error!("an exception left {}.{}: {exception}", c.service(), c.method()),
        None => log::error!("an exception left a handler after its answer: {exception}"),
    }
}

/// The handle, on its way out: dropping it is fastrpc_call_free().
pub(super) struct Held(Arc<Handed>);

impl Held {
    /// # Safety
    /// `call` is NULL or a handle that is not used again.
    pub(super) unsafe fn take(call: *mut fastrpc_call) -> Result<Held, Failure> {
        // SAFETY: the same contract.
        unsafe { take_shared(call) }.map(Held).ok_or_else(|| Failure::invalid("the call is NULL"))
    }

    pub(super) fn into_call(self) -> Result<Call, Failure> {
        self.0.take_call().ok_or_else(|| Failure::new(FASTRPC_ESTATE, "the call is answered"))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.0.state.fetch_and(!HANDLE, Ordering::AcqRel) & FRAME == 0 {
            drop(self.0.take_call());
        }
    }
}

/// # Safety
/// `call` is NULL or a handle whose owner does not give it up during `'a`.
pub(super) unsafe fn get<'a>(call: *const fastrpc_call) -> Result<&'a Call, Failure> {
    // SAFETY: the same contract.
    let handed = unsafe { look(call) }.ok_or_else(|| Failure::invalid("the call is NULL"))?;
    // SAFETY: see `Handed::call`: the owner of the handle is calling.
    let call = unsafe { &*handed.call.get() };
    call.as_ref().ok_or_else(|| Failure::new(FASTRPC_ESTATE, "the call is answered"))
}
