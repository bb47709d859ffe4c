//! RPC calls on the server: how they are answered.

use std::ffi::{c_char, c_void};
use std::ptr;

use crate::rpc::{Code, ReplyOptions};

use super::arg::{self, Options};
use super::call::fastrpc_call;
use super::error::{ErrorOut, fastrpc_error};
use super::guard::{guard, guard_value};
use super::message::{FASTRPC_COMPRESS_NONE, compress, fastrpc_fill_function, message};
use super::shared_call::CallHandle;
use super::status::*;

/// What a response says beside its message. See fastrpc_call_reply_with().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_reply_options {
    /// sizeof(fastrpc_reply_options).
    pub size: usize,
    /// Writes the message: `body` is ignored then, and `body_size` tells its size. Default NULL. It
    /// runs before fastrpc_call_reply_with() returns, or not at all.
    pub fill: fastrpc_fill_function,
    /// Passed to `fill`.
    pub fill_user: *mut c_void,
    /// Bytes sent beside the message, not compressed. Default none.
    pub attachment: *const u8,
    /// Bytes of the attachment. Default 0.
    pub attachment_size: usize,
    /// A FASTRPC_COMPRESS_ number. Default FASTRPC_COMPRESS_NONE.
    pub compress: i32,
    /// Must be 0.
    pub reserved: i32,
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_reply_options_init(
    options: *mut fastrpc_reply_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Answers a call with a response message.
///
/// `call`: consumed. `body`, `size`: the message. Fails with FASTRPC_EINVAL. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_reply(
    call: *mut fastrpc_call,
    body: *const u8,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let handle = unsafe { CallHandle::take(call) }?;
        // SAFETY: the caller passes `size` readable bytes.
        let body = unsafe { arg::bytes(body, size) }?;
        handle.into_call()?.reply(body);
        Ok(())
    })
}

/// Answers a call with a response message, and with an attachment, compressed, or written by a
/// function.
///
/// `call`: consumed. `body`, `body_size`: the message. `options`: NULL for the defaults. Fails with
/// FASTRPC_EINVAL, FASTRPC_EEXCEPTION (an exception left `fill`), FASTRPC_ENOMEM; the call is then
/// answered with FASTRPC_CODE_EINTERNAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_reply_with(
    call: *mut fastrpc_call,
    body: *const u8,
    body_size: usize,
    options: *const fastrpc_reply_options,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let handle = unsafe { CallHandle::take(call) }?;
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller set bytes and a size that belong together.
        let attachment = unsafe { arg::bytes(options.attachment, options.attachment_size) }?;
        let compress = compress(options.compress)?;
        // SAFETY: the caller passes readable bytes, or a function that fits its data.
        let body = unsafe { message(options.fill, options.fill_user, body, body_size) };
        let call = handle.into_call()?;
        match body {
            Ok(body) => {
                let options = ReplyOptions::new().attachment(attachment).compress(compress);
                call.reply_with(body.bytes(), &options);
            }
            Err(failure) => {
                call.fail(Code::EINTERNAL, failure.text());
                return Err(failure);
            }
        }
        Ok(())
    })
}

/// Answers a call with an error.
///
/// `call`: consumed. `code`: a number of the service's own, or a FASTRPC_CODE_ number; 0 becomes
/// FASTRPC_CODE_EINTERNAL. `text`, `size`: for people. Fails with FASTRPC_EINVAL. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_fail(
    call: *mut fastrpc_call,
    code: i32,
    text: *const c_char,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let handle = unsafe { CallHandle::take(call) }?;
        // SAFETY: the caller passes `size` readable bytes.
        let text = unsafe { arg::bytes(text.cast(), size) }?;
        handle.into_call()?.fail(code, &String::from_utf8_lossy(text));
        Ok(())
    })
}

/// Abandons a call: it is answered with FASTRPC_CODE_EINTERNAL, at once or, inside the handler,
/// when that returns.
///
/// `call`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_free(call: *mut fastrpc_call) {
    // SAFETY: the caller passes NULL or a call it owns and gives up.
    guard_value((), || drop(unsafe { CallHandle::take(call) }))
}

// SAFETY: repr(C), `size` first, integers, raw pointers and an optional function.
unsafe impl Options for fastrpc_reply_options {}

impl Default for fastrpc_reply_options {
    fn default() -> Self {
        fastrpc_reply_options {
            size: size_of::<Self>(),
            fill: None,
            fill_user: ptr::null_mut(),
            attachment: ptr::null(),
            attachment_size: 0,
            compress: FASTRPC_COMPRESS_NONE,
            reserved: 0,
        }
    }
}

const _: () = assert!(size_of::<fastrpc_reply_options>() == 5 * size_of::<usize>() + 8);
