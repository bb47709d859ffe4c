//! The call that a handler and its frame share: who answers when the handler throws.

use std::cell::UnsafeCell;
use std::ffi::c_void;
use std::sync::Arc;

use crate::rpc::{Call, Code};

use super::call::fastrpc_call;
use super::callback::{UserData, call_out};
use super::error::Failure;
use super::own::{give_shared, look, take_shared};
use super::status::*;

/// What a `fastrpc_call` points to: the call, shared by its handle and by the frame that runs the
/// handler. The last of the two drops it.
///
/// The frame has a say because of C++: when an exception leaves the handler, the handle is freed
/// while the stack unwinds, before anybody knows the exception's text. So a free inside the
/// handler leaves the call to the frame.
pub(super) struct SharedCall {
    /// Touched by the owner of the handle alone, and by the frame once the handle is gone.
    call: UnsafeCell<Option<Call>>,
}

// SAFETY: see `call`: one side at a time, and the count of the `Arc` hands it over.
unsafe impl Sync for SharedCall {}

impl SharedCall {
    /// Runs a handler: `function(user, call)`.
    pub(super) fn run(
        call: Call,
        function: unsafe extern "C-unwind" fn(*mut c_void, *mut fastrpc_call),
        user: &UserData,
    ) {
        let mut shared = Arc::new(SharedCall { call: UnsafeCell::new(Some(call)) });
        let handle = give_shared(shared.clone());
        // SAFETY: the user gave this function for this data; the handle is fresh.
        let outcome = call_out(|| unsafe { function(user.get(), handle) });
        let Err(exception) = outcome else { return };
        if Arc::get_mut(&mut shared).is_none() {
            // SAFETY: the header: by throwing, the handler gave up the handle.
            drop(unsafe { take_shared(handle) });
        }
        let call = Arc::into_inner(shared).and_then(|shared| shared.call.into_inner());
        log_exception(call.as_ref(), &exception);
        if let Some(call) = call {
            call.fail(Code::EINTERNAL, &exception);
        }
    }
}

fn log_exception(call: Option<&Call>, exception: &str) {
    match call {
        Some(c) => log::error!("an exception left {}.{}: {exception}", c.service(), c.method()),
        None => log::error!("an exception left a handler after its answer: {exception}"),
    }
}

/// The handle, on its way out: dropping it is fastrpc_call_free().
pub(super) struct CallHandle(Arc<SharedCall>);

impl CallHandle {
    /// # Safety
    /// `call` is NULL or a handle that is not used again.
    pub(super) unsafe fn take(call: *mut fastrpc_call) -> Result<CallHandle, Failure> {
        // SAFETY: the same contract.
        unsafe { take_shared(call) }
            .map(CallHandle)
            .ok_or_else(|| Failure::invalid("the call is NULL"))
    }

    pub(super) fn into_call(self) -> Result<Call, Failure> {
        // SAFETY: see `SharedCall::call`: this is the handle.
        let call = unsafe { &mut *self.0.call.get() }.take();
        call.ok_or_else(|| Failure::new(FASTRPC_ESTATE, "the call is answered already"))
    }
}

/// # Safety
/// `call` is NULL or a handle whose owner does not give it up during `'a`.
pub(super) unsafe fn get<'a>(call: *const fastrpc_call) -> Result<&'a Call, Failure> {
    // SAFETY: the same contract.
    let shared = unsafe { look(call) }.ok_or_else(|| Failure::invalid("the call is NULL"))?;
    // SAFETY: see `SharedCall::call`: the owner of the handle is calling.
    let call = unsafe { &*shared.call.get() };
    call.as_ref().ok_or_else(|| Failure::new(FASTRPC_ESTATE, "the call is answered already"))
}
