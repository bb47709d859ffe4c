//! One call, on the server's side.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_void};
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use crate::rpc::{Call, Compress, Reply, code};

use super::arg::{self, Options};
use super::callback::{UserData, call_out};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, SharedArc, give_shared, look, take_shared};
use super::status::*;

/// One call, as its handler gets it.
///
/// The handler owns it and hands it to fastrpc_call_reply(), fastrpc_call_reply_with() or
/// fastrpc_call_fail(), which consume it, or to fastrpc_call_free(), which answers with an error
/// (number 2001). That may happen after the handler has returned, and on any thread; one thread
/// uses it at a time. When the connection or the server has gone meanwhile, the answer is thrown
/// away; the call is consumed all the same. If an exception leaves the handler before, the call is
/// consumed too: it is answered with error 2001 and the exception's text.
pub struct fastrpc_call {
    _private: [u8; 0],
}

impl Opaque for fastrpc_call {
    type Rust = Handed;
    type Ownership = SharedArc;
}

/// Messages are sent as they are.
pub const FASTRPC_COMPRESS_NONE: i32 = 0;
/// Messages are compressed by snappy, in its block format.
pub const FASTRPC_COMPRESS_SNAPPY: i32 = 1;
/// Messages are compressed as a gzip stream.
pub const FASTRPC_COMPRESS_GZIP: i32 = 2;
/// Messages are compressed as a zlib stream.
pub const FASTRPC_COMPRESS_ZLIB: i32 = 3;

/// Writes a message: all `size` bytes of `buffer`. Must not suspend.
pub type fastrpc_fill_function =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, buffer: *mut u8, size: usize)>;

/// An answer. See fastrpc_call_reply_with().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_reply {
    /// sizeof(fastrpc_reply).
    pub size: usize,
    /// The response message. Ignored if `fill` is set.
    pub body: *const u8,
    /// Bytes of the message. Default 0.
    pub body_size: usize,
    /// Writes the message in place; default NULL. It runs before the call returns, or not at all.
    pub fill: fastrpc_fill_function,
    /// Passed to `fill`.
    pub fill_user: *mut c_void,
    /// Bytes sent beside the message.
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
/// `reply`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_reply_init(reply: *mut fastrpc_reply, size: usize) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(reply, size) })
}

/// The request message.
///
/// `size`: gets its bytes. The bytes live as long as the call. `call`: NULL gives NULL. Any thread;
/// never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_request(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a place for the size.
    unsafe { view(call, size, Call::request) }
}

/// The bytes sent beside the request.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_attachment(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const u8 {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a place for the size.
    unsafe { view(call, size, Call::attachment) }
}

/// The name of the service, not ended by a NUL.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_service(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a place for the size.
    unsafe { view(call, size, |call| call.service().as_bytes()) }.cast()
}

/// The name of the method, not ended by a NUL.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_method(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a place for the size.
    unsafe { view(call, size, |call| call.method().as_bytes()) }.cast()
}

/// The name the client gave the request, not ended by a NUL; of size 0 if it gave none.
///
/// As fastrpc_call_request().
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_request_id(
    call: *const fastrpc_call,
    size: *mut usize,
) -> *const c_char {
    // SAFETY: the caller passes NULL or a call it owns, and NULL or a place for the size.
    unsafe { view(call, size, |call| call.request_id().unwrap_or_default().as_bytes()) }.cast()
}

/// Copies the address of the client, such as "10.0.0.7:4711", and a NUL, into a buffer as far as it
/// fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_peer(
    call: *const fastrpc_call,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a call it owns.
        let peer = unsafe { get(call) }.map_or_else(|_| String::new(), |c| c.peer().to_string());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&peer, buffer, size) }
    })
}

/// The number the client gave the call for its logs, or 0.
///
/// `call`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_log_id(call: *const fastrpc_call) -> i64 {
    // SAFETY: the caller passes NULL or a call it owns.
    guard_value(0, || unsafe { get(call) }.map_or(0, Call::log_id))
}

/// How many nanoseconds the client will still wait, or -1 if it did not say.
///
/// `call`: NULL gives -1. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_time_left(call: *const fastrpc_call) -> i64 {
    guard_value(-1, || {
        // SAFETY: the caller passes NULL or a call it owns.
        let call = unsafe { get(call) };
        call.map_or(-1, |call| arg::nanoseconds(call.deadline().remaining()))
    })
}

/// Whether nobody waits for the answer any more.
///
/// `call`: NULL gives true. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_is_canceled(call: *const fastrpc_call) -> bool {
    // SAFETY: the caller passes NULL or a call it owns.
    guard_value(true, || unsafe { get(call) }.map_or(true, Call::is_canceled))
}

/// Answers with a response message.
///
/// `call`: consumed. `body`, `size`: the message. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_reply(
    call: *mut fastrpc_call,
    body: *const u8,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let held = unsafe { Held::take(call) }?;
        // SAFETY: the caller passes `size` readable bytes.
        let body = unsafe { arg::bytes(body, size) }?;
        held.into_call()?.reply(body);
        Ok(())
    })
}

/// Answers with a response message that is written in place, an attachment, a compression.
///
/// `call`: consumed. `reply`: the answer. Fails with FASTRPC_EINVAL, FASTRPC_EEXCEPTION (an
/// exception left `fill`); the call is answered with an error then. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_reply_with(
    call: *mut fastrpc_call,
    reply: *const fastrpc_reply,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a place for the error.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let held = unsafe { Held::take(call) }?;
        // SAFETY: the caller passes a reply with a right size field.
        let reply = unsafe { arg::options(reply) }?;
        // SAFETY: the caller set bytes and sizes that belong together.
        let attachment = unsafe { arg::bytes(reply.attachment, reply.attachment_size) }?;
        let compress = compress(reply.compress)?;
        // SAFETY: as above.
        let body = unsafe { message(reply.fill, reply.fill_user, reply.body, reply.body_size) };
        let call = held.into_call()?;
        match body {
            Ok(body) => call.reply_with(Reply { body: body.bytes(), attachment, compress }),
            Err(failure) => {
                call.fail(code::EINTERNAL, failure.text());
                return Err(failure);
            }
        }
        Ok(())
    })
}

/// Answers with an error.
///
/// `call`: consumed. `code`: the service's own number, or one of the protocol's; 0 becomes 2001.
/// `text`, `size`: for people. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_fail(
    call: *mut fastrpc_call,
    code: i32,
    text: *const c_char,
    size: usize,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a call it owns and gives up.
        let held = unsafe { Held::take(call) }?;
        // SAFETY: the caller passes `size` readable bytes.
        let text = unsafe { arg::bytes(text.cast(), size) }?;
        held.into_call()?.fail(code, &String::from_utf8_lossy(text));
        Ok(())
    })
}

/// Gives a call up: it is answered with error 2001, at once or, inside the handler, when that
/// returns.
///
/// `call`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_call_free(call: *mut fastrpc_call) {
    // SAFETY: the caller passes NULL or a call it owns and gives up.
    guard_value((), || drop(unsafe { Held::take(call) }))
}

/// What a `fastrpc_call` points to: the call, shared by its handle and by the frame that runs the
/// handler.
///
/// The frame has a say because of C++: when an exception leaves the handler, the handle is freed
/// while the stack unwinds, before anybody knows the exception's text. So a free inside the
/// handler leaves the call to the frame.
pub struct Handed {
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
struct Held(Arc<Handed>);

impl Held {
    /// # Safety
    /// `call` is NULL or a handle that is not used again.
    unsafe fn take(call: *mut fastrpc_call) -> Result<Held, Failure> {
        // SAFETY: the same contract.
        unsafe { take_shared(call) }.map(Held).ok_or_else(|| Failure::invalid("the call is NULL"))
    }

    fn into_call(self) -> Result<Call, Failure> {
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
unsafe fn get<'a>(call: *const fastrpc_call) -> Result<&'a Call, Failure> {
    // SAFETY: the same contract.
    let handed = unsafe { look(call) }.ok_or_else(|| Failure::invalid("the call is NULL"))?;
    // SAFETY: see `Handed::call`: the owner of the handle is calling.
    let call = unsafe { &*handed.call.get() };
    call.as_ref().ok_or_else(|| Failure::new(FASTRPC_ESTATE, "the call is answered"))
}

/// # Safety
/// `call` as in [`get`]; `size` is NULL or a place for a number.
unsafe fn view(
    call: *const fastrpc_call,
    size: *mut usize,
    part: impl FnOnce(&Call) -> &[u8],
) -> *const u8 {
    guard_value(ptr::null(), || {
        // SAFETY: the same contract.
        let bytes = unsafe { get(call) }.map_or(&[][..], part);
        if !size.is_null() {
            // SAFETY: the same contract.
            unsafe { size.write(bytes.len()) };
        }
        if bytes.is_empty() { ptr::null() } else { bytes.as_ptr() }
    })
}

/// A message to send: the caller's bytes, or what its function writes.
pub(super) enum Message<'a> {
    Given(&'a [u8]),
    Filled(Vec<u8>),
}

impl Message<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Message::Given(bytes) => bytes,
            Message::Filled(bytes) => bytes,
        }
    }
}

/// # Safety
/// `fill` fits `user`; without it, `body` has `size` readable bytes during `'a`.
pub(super) unsafe fn message<'a>(
    fill: fastrpc_fill_function,
    user: *mut c_void,
    body: *const u8,
    size: usize,
) -> Result<Message<'a>, Failure> {
    let Some(fill) = fill else {
        // SAFETY: the same contract.
        return Ok(Message::Given(unsafe { arg::bytes(body, size) }?));
    };
    let mut buffer = Vec::new();
    if buffer.try_reserve_exact(size).is_err() {
        return Err(Failure::new(FASTRPC_ENOMEM, "no memory for a message of this size"));
    }
    buffer.resize(size, 0);
    // SAFETY: the user gave this function for this data; the buffer has `size` bytes.
    let outcome = call_out(|| unsafe { fill(user, buffer.as_mut_ptr(), size) });
    outcome.map_err(|exception| Failure::new(FASTRPC_EEXCEPTION, exception))?;
    Ok(Message::Filled(buffer))
}

pub(super) fn compress(number: i32) -> Result<Compress, Failure> {
    match number {
        FASTRPC_COMPRESS_NONE => Ok(Compress::None),
        FASTRPC_COMPRESS_SNAPPY => Ok(Compress::Snappy),
        FASTRPC_COMPRESS_GZIP => Ok(Compress::Gzip),
        FASTRPC_COMPRESS_ZLIB => Ok(Compress::Zlib),
        _ => Err(Failure::invalid("no such compression")),
    }
}

// SAFETY: repr(C), `size` first, integers, raw pointers and an optional function.
unsafe impl Options for fastrpc_reply {}

impl Default for fastrpc_reply {
    fn default() -> Self {
        fastrpc_reply {
            size: size_of::<Self>(),
            body: ptr::null(),
            body_size: 0,
            fill: None,
            fill_user: ptr::null_mut(),
            attachment: ptr::null(),
            attachment_size: 0,
            compress: FASTRPC_COMPRESS_NONE,
            reserved: 0,
        }
    }
}

const _: () = assert!(size_of::<fastrpc_reply>() == 7 * size_of::<usize>() + 8);
