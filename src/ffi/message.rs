//! Messages: their compression, and functions that write them.

use std::cell::RefCell;
use std::ffi::c_void;

use crate::rpc::Compress;

use super::arg;
use super::callback::call_out_logged;
use super::error::Failure;
use super::status::*;

/// Messages are sent as they are.
pub const FASTRPC_COMPRESS_NONE: i32 = 0;
/// Messages are compressed by snappy, in its block format.
pub const FASTRPC_COMPRESS_SNAPPY: i32 = 1;
/// Messages are compressed as a gzip stream.
pub const FASTRPC_COMPRESS_GZIP: i32 = 2;
/// Messages are compressed as a zlib stream.
pub const FASTRPC_COMPRESS_ZLIB: i32 = 3;

/// Writes a message: all `size` bytes of `buffer`, which are 0 and from which the library copies or
/// compresses the message into the frame. Must not suspend.
pub type fastrpc_fill_function =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, buffer: *mut u8, size: usize)>;

/// A message to send: the caller's bytes, or those that its function wrote.
pub(super) enum Message<'a> {
    Given(&'a [u8]),
    Filled(Scratch),
}

impl Message<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        match self {
            Message::Given(bytes) => bytes,
            Message::Filled(scratch) => &scratch.0,
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
    let mut scratch = Scratch::take();
    let buffer = &mut scratch.0;
    if buffer.try_reserve_exact(size).is_err() {
        return Err(Failure::new(FASTRPC_ENOMEM, "no memory for a message of this size"));
    }
    buffer.resize(size, 0);
    let outcome = call_out_logged("the function that fills a message", || {
        // SAFETY: the user gave this function for this data; the buffer has `size` bytes.
        unsafe { fill(user, buffer.as_mut_ptr(), size) }
    });
    outcome.map_err(|exception| Failure::new(FASTRPC_EEXCEPTION, exception))?;
    Ok(Message::Filled(scratch))
}

/// A buffer that the thread reuses.
pub(super) struct Scratch(Vec<u8>);

impl Scratch {
    fn take() -> Scratch {
        Scratch(SCRATCH.try_with(|kept| kept.borrow_mut().pop()).ok().flatten().unwrap_or_default())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffer = std::mem::take(&mut self.0);
        if buffer.capacity() > MAX_KEPT_CAPACITY {
            return;
        }
        buffer.clear();
        // At the end of a thread its pool may be gone.
        let _ = SCRATCH.try_with(|kept| {
            let mut kept = kept.borrow_mut();
            if kept.len() < MAX_KEPT {
                kept.push(buffer);
            }
        });
    }
}

thread_local! {
    static SCRATCH: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const MAX_KEPT_CAPACITY: usize = 16 << 10;
const MAX_KEPT: usize = 16;

/// The way of compression that C means by `number`.
pub(super) fn compress(number: i32) -> Result<Compress, Failure> {
    let found = COMPRESS.iter().find(|(known, _)| *known == number);
    found.map(|(_, compress)| *compress).ok_or_else(|| {
        Failure::invalid("the compression must be one of the FASTRPC_COMPRESS_ numbers")
    })
}

/// The other way round.
pub(super) fn number_of(compress: Compress) -> i32 {
    let found = COMPRESS.iter().find(|(_, known)| *known == compress);
    found.map_or(FASTRPC_COMPRESS_NONE, |(number, _)| *number)
}

const COMPRESS: [(i32, Compress); 4] = [
    (FASTRPC_COMPRESS_NONE, Compress::None),
    (FASTRPC_COMPRESS_SNAPPY, Compress::Snappy),
    (FASTRPC_COMPRESS_GZIP, Compress::Gzip),
    (FASTRPC_COMPRESS_ZLIB, Compress::Zlib),
];
