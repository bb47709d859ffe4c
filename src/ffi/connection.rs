//! Connections of a server: pushes, and their end.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::rpc::{Call, Connection};

use super::arg;
use super::call::fastrpc_call;
use super::callback::{UserData, call_out_detached, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, OwnedBox, give, look, need, take};
use super::server::fastrpc_server;
use super::shared_call::get;
use super::status::*;

/// A connection of a server, to push messages to or to close. It may be kept after the connection
/// has ended. Free it with fastrpc_connection_free(). Thread-safe.
pub struct fastrpc_connection {
    _private: [u8; 0],
}

impl Opaque for fastrpc_connection {
    type Rust = Connection;
    type Ownership = OwnedBox;
}

/// Learns that the connection of this number has ended.
pub type fastrpc_closed_function =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, connection: u64)>;

/// Returns the connection a call came on: a handle of its own; free it with
/// fastrpc_connection_free().
///
/// `call`: NULL gives NULL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_connection(
    call: *const fastrpc_call,
) -> *mut fastrpc_connection {
    guard_value(ptr::null_mut(), || {
        // SAFETY: the caller passes NULL or a call it owns.
        unsafe { get(call) }.map_or(ptr::null_mut(), |call| give(call.connection()))
    })
}

/// Returns the number of the connection a call came on. Each server counts its connections from 1
/// and never uses a number again.
///
/// `call`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_connection_id(call: *const fastrpc_call) -> u64 {
    // SAFETY: the caller passes NULL or a call it owns.
    guard_value(0, || unsafe { get(call) }.map_or(0, Call::connection_id))
}

/// Returns the number of a connection. See fastrpc_call_connection_id().
///
/// `connection`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_id(connection: *const fastrpc_connection) -> u64 {
    // SAFETY: the caller passes NULL or a live connection.
    guard_value(0, || unsafe { look(connection) }.map_or(0, Connection::id))
}

/// Returns whether messages can still be sent, as far as is known.
///
/// `connection`: NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_is_open(connection: *const fastrpc_connection) -> bool {
    // SAFETY: the caller passes NULL or a live connection.
    guard_value(false, || unsafe { look(connection) }.is_some_and(Connection::is_open))
}

/// Sends a message that answers no call. Success means that it is queued to be sent.
///
/// `name`: the message's type, such as "example.News". `body`: the message. Fails with
/// FASTRPC_ECLOSED (the connection is gone), FASTRPC_ELIMIT (too much waits for the peer to read
/// it), FASTRPC_EINVAL (also: the peer takes no pushes). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_push(
    connection: *const fastrpc_connection,
    name: *const c_char,
    name_size: usize,
    body: *const u8,
    body_size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live connection.
        let connection = unsafe { need(connection) }?;
        // SAFETY: the caller passes readable bytes.
        let name = unsafe { arg::text(name, name_size) }?;
        // SAFETY: the caller passes readable bytes.
        let body = unsafe { arg::bytes(body, body_size) }?;
        Ok(connection.push(name, body)?)
    })
}

/// Sends bytes as they are: whole frames of the peer's protocol, which must not be HTTP.
///
/// As fastrpc_connection_push().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_push_raw(
    connection: *const fastrpc_connection,
    bytes: *const u8,
    size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live connection.
        let connection = unsafe { need(connection) }?;
        // SAFETY: the caller passes readable bytes.
        Ok(connection.push_raw(unsafe { arg::bytes(bytes, size) }?)?)
    })
}

/// Closes a connection, once what was answered and pushed on it before has been sent.
///
/// Calls that are still in flight are canceled, and late answers to them are discarded; but an HTTP
/// request is answered first. The function of fastrpc_server_on_close() is called when the client
/// has closed its side too, or a second later. Fails with FASTRPC_ECLOSED (the connection is gone).
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_close(
    connection: *const fastrpc_connection,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live connection.
        Ok(unsafe { need(connection) }?.close()?)
    })
}

/// Frees the handle of a connection, which stays open.
///
/// `connection`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_connection_free(connection: *mut fastrpc_connection) {
    // SAFETY: the caller passes NULL or a handle that is not used again.
    guard_value((), || drop(unsafe { take(connection) }))
}

/// Sends a message to the connection of a number. See fastrpc_connection_push().
///
/// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_push(
    server: *const fastrpc_server,
    connection: u64,
    name: *const c_char,
    name_size: usize,
    body: *const u8,
    body_size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        // SAFETY: the caller passes readable bytes.
        let name = unsafe { arg::text(name, name_size) }?;
        // SAFETY: the caller passes readable bytes.
        let body = unsafe { arg::bytes(body, body_size) }?;
        Ok(server.push(connection, name, body)?)
    })
}

/// Sends bytes as they are to the connection of a number. See fastrpc_connection_push_raw().
///
/// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_push_raw(
    server: *const fastrpc_server,
    connection: u64,
    bytes: *const u8,
    size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        // SAFETY: the caller passes readable bytes.
        Ok(server.push_raw(connection, unsafe { arg::bytes(bytes, size) }?)?)
    })
}

/// Closes the connection of a number. See fastrpc_connection_close().
///
/// `connection`: a number that is no connection's gives FASTRPC_ECLOSED. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_close_connection(
    server: *const fastrpc_server,
    connection: u64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        Ok(unsafe { need(server) }?.close_connection(connection)?)
    })
}

/// Sets the function that is called once for each connection that has ended. Replaces the one
/// before.
///
/// It runs in a coroutine as soon as the peer has closed its side, whatever calls are still in
/// flight, or when the connection broke or was closed. `function`, `user`, `drop`: called until the
/// server is freed, on several workers at the same time; an exception that leaves it is logged.
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_on_close(
    server: *const fastrpc_server,
    function: fastrpc_closed_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live server.
        unsafe { need(server) }?.on_close(move |connection| {
            let user = user.get();
            // SAFETY: the user gave this function for this data.
            let call = || unsafe { function(user, connection) };
            call_out_detached("the handler of closed connections", call);
        });
        Ok(())
    })
}
