//! Events of a client: pushes, and lost connections.

use std::ffi::{c_char, c_void};

use super::callback::{UserData, call_out_detached, fastrpc_drop};
use super::client::fastrpc_client;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::guard;
use super::own::need;
use super::status::*;

/// Receives a message that the server pushed: the name of its type, without a NUL, and its bytes,
/// both valid until the function returns.
pub type fastrpc_push_function = Option<
    unsafe extern "C-unwind" fn(
        user: *mut c_void,
        name: *const c_char,
        name_size: usize,
        body: *const u8,
        body_size: usize,
    ),
>;

/// Learns that the connection was lost. It owns `error`, which says why.
pub type fastrpc_lost_function =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, error: *mut fastrpc_error)>;

/// Sets the function that receives each message that the server pushes. Replaces the one before. A
/// server that speaks baidu_std learns with the next call that the client takes pushes.
///
/// It runs in a coroutine, for one message after the other, in the order in which they came.
/// `function`, `user`, `drop`: called until the client is closed; an exception that leaves it is
/// logged. Messages beyond the client's bounds are dropped. Fails with FASTRPC_EINVAL. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_on_push(
    client: *const fastrpc_client,
    function: fastrpc_push_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.on_push(move |name, body| {
            let user = user.get();
            let (text, bytes) = (name.as_ptr().cast(), body.as_ptr());
            // SAFETY: the user gave this function for this data.
            let call = || unsafe { function(user, text, name.len(), bytes, body.len()) };
            call_out_detached("the handler of pushes", call);
        });
        Ok(())
    })
}

/// Sets the function that is called each time an established connection is lost. Replaces the one
/// before.
///
/// It runs in a coroutine, after the calls in flight have failed, and in turn with the function of
/// fastrpc_client_on_push(). Closing the client is no loss. `function`, `user`, `drop`: called
/// until the client is closed; an exception that leaves it is logged. Fails with FASTRPC_EINVAL.
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_on_close(
    client: *const fastrpc_client,
    function: fastrpc_lost_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.on_close(move |why| {
            let user = user.get();
            let error = Failure::from(why.clone()).into_object();
            // SAFETY: the user gave this function for this data; it owns the error.
            let call = || unsafe { function(user, error) };
            call_out_detached("the handler of lost connections", call);
        });
        Ok(())
    })
}
