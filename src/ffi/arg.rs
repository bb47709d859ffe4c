//! Plain arguments from C: bytes, text, options, times.

use std::ffi::{c_char, c_int};
use std::os::fd::{FromRawFd, OwnedFd};
use std::ptr;
use std::slice;
use std::str;
use std::time::Duration;

use crate::rt::Deadline;

use super::error::Failure;

/// The bytes at `(pointer, size)`; `pointer` is ignored when `size` is 0.
///
/// # Safety
/// Unless `size` is 0 or `pointer` is NULL, `size` bytes are readable and do not change in `'a`.
pub(super) unsafe fn bytes<'a>(pointer: *const u8, size: usize) -> Result<&'a [u8], Failure> {
    if size == 0 {
        return Ok(&[]);
    }
    if pointer.is_null() || size > isize::MAX as usize {
        return Err(Failure::invalid("bytes: the pointer is NULL, or the size is impossible"));
    }
    // SAFETY: not NULL, in range, and readable by the caller's contract.
    Ok(unsafe { slice::from_raw_parts(pointer, size) })
}

/// The UTF-8 text at `(pointer, size)`.
///
/// # Safety
/// As [`bytes`].
pub(super) unsafe fn text<'a>(pointer: *const c_char, size: usize) -> Result<&'a str, Failure> {
    // SAFETY: the same contract.
    let bytes = unsafe { bytes(pointer.cast(), size) }?;
    str::from_utf8(bytes).map_err(|_| Failure::invalid("text is not UTF-8"))
}

/// Copies `text` and a NUL as far as they fit. Returns the size of the text. What is cut off
/// is cut between characters.
///
/// # Safety
/// `buffer` has `size` writable bytes, or `size` is 0.
pub(super) unsafe fn copy_text(text: &str, buffer: *mut c_char, size: usize) -> usize {
    if size > 0 && !buffer.is_null() {
        let fits = cut(text, size - 1);
        // SAFETY: `fits` is less than `size`, and the buffer is C's own.
        unsafe { buffer.cast::<u8>().copy_from_nonoverlapping(text.as_ptr(), fits) };
        // SAFETY: as above.
        unsafe { buffer.add(fits).write(0) };
    }
    text.len()
}

/// Returns a pointer to `bytes`, NULL if there are none, and stores their size.
///
/// # Safety
/// `size` is NULL or a writable pointer.
pub(super) unsafe fn view(bytes: &[u8], size: *mut usize) -> *const u8 {
    if !size.is_null() {
        // SAFETY: the same contract.
        unsafe { size.write(bytes.len()) };
    }
    if bytes.is_empty() { ptr::null() } else { bytes.as_ptr() }
}

/// A struct of options, which starts with its size so that it can grow.
///
/// # Safety
/// `repr(C)`, the first field is `size: usize`, and every bit pattern is a valid value.
pub(super) unsafe trait Options: Copy + Default {}

/// The caller's options: what its (older, shorter) struct lacks has the default. NULL gives the
/// defaults. A longer struct is accepted as long as the library knows all that was set in it.
///
/// # Safety
/// `options` is NULL or points to a struct whose first field holds its readable size.
pub(super) unsafe fn options<T: Options>(options: *const T) -> Result<T, Failure> {
    let mut result = T::default();
    if options.is_null() {
        return Ok(result);
    }
    // SAFETY: by the caller's contract at least the first field is there.
    let given = unsafe { options.cast::<usize>().read() };
    // SAFETY: by the caller's contract `given` bytes are readable.
    let source = unsafe { bytes(options.cast(), given) }?;
    if given < size_of::<usize>() || source.iter().skip(size_of::<T>()).any(|&b| b != 0) {
        return Err(Failure::invalid("options: the size field is wrong; use the _init function"));
    }
    let known = given.min(size_of::<T>());
    // SAFETY: `known` bytes are readable there and writable here; any bits are valid in a T.
    unsafe { (&raw mut result).cast::<u8>().copy_from_nonoverlapping(source.as_ptr(), known) };
    Ok(result)
}

/// Fills the caller's options with the defaults, as far as its struct of `size` bytes reaches.
///
/// # Safety
/// `options` is NULL (nothing happens) or `size` bytes are writable there.
pub(super) unsafe fn init_options<T: Options>(options: *mut T, size: usize) {
    if options.is_null() || size < size_of::<usize>() {
        return;
    }
    let defaults = T::default();
    let known = size.min(size_of::<T>());
    // SAFETY: by the caller's contract `size` bytes are writable.
    unsafe { options.cast::<u8>().write_bytes(0, size) };
    // SAFETY: `known` is at most both sizes.
    unsafe { options.cast::<u8>().copy_from_nonoverlapping((&raw const defaults).cast(), known) };
    // SAFETY: the first field, and `size` is at least its size.
    unsafe { options.cast::<usize>().write(size) };
}

/// Copies `value`, all but its size, into the caller's struct as far as that reaches.
///
/// # Safety
/// `out` is NULL (an error) or points to a struct whose first field holds its writable size.
pub(super) unsafe fn fill_struct<T: Options>(out: *mut T, value: &T) -> Result<(), Failure> {
    if out.is_null() {
        return Err(Failure::invalid("the result pointer is NULL"));
    }
    // SAFETY: by the caller's contract at least the first field is there.
    let size = unsafe { out.cast::<usize>().read() };
    if size < size_of::<usize>() {
        return Err(Failure::invalid("the size field is not set: set it to the struct's sizeof"));
    }
    // SAFETY: by the caller's contract `size` bytes are writable.
    unsafe {
        out.cast::<u8>()
            .copy_from_nonoverlapping(ptr::from_ref(value).cast(), size.min(size_of::<T>()))
    };
    // SAFETY: the first field.
    unsafe { out.cast::<usize>().write(size) };
    Ok(())
}

/// A listening socket, taken over from the caller, who keeps it if it is not one.
///
/// # Safety
/// Nobody else owns or closes `fd` after this succeeds.
pub(super) unsafe fn listener(fd: c_int) -> Result<OwnedFd, Failure> {
    let mut listens: c_int = 0;
    let mut size = size_of::<c_int>() as libc::socklen_t;
    let (level, name) = (libc::SOL_SOCKET, libc::SO_ACCEPTCONN);
    // SAFETY: getsockopt(2) writes at most `size` bytes to `listens`, whatever `fd` is.
    let asked =
        unsafe { libc::getsockopt(fd, level, name, (&raw mut listens).cast(), &raw mut size) };
    if asked != 0 || listens == 0 {
        return Err(Failure::invalid("the file descriptor is not open, or not a listening socket"));
    }
    // SAFETY: it is open, as the call above has shown, and ours by the caller's contract.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The end of a timeout in nanoseconds that begins now; below 0 it never ends.
pub(super) fn deadline(timeout: i64) -> Deadline {
    duration(timeout).map_or(Deadline::NEVER, Deadline::after)
}

/// A duration that has no end.
pub(super) const FOREVER: Duration = Duration::MAX;

/// A timeout as a duration; below 0 there is none.
pub(super) fn duration(timeout: i64) -> Option<Duration> {
    u64::try_from(timeout).ok().map(Duration::from_nanos)
}

/// The other way round.
pub(super) fn nanoseconds(duration: Option<Duration>) -> i64 {
    duration.map_or(-1, |d| i64::try_from(d.as_nanos()).unwrap_or(i64::MAX))
}

/// The number of a worker; -1 for none in particular.
pub(super) fn worker(number: i64) -> Result<Option<usize>, Failure> {
    match (number, usize::try_from(number)) {
        (-1, _) => Ok(None),
        (_, Ok(index)) => Ok(Some(index)),
        _ => Err(Failure::invalid("the worker must be a number from 0, or -1 for any")),
    }
}

/// Whether a timeout means: do not wait.
pub(super) fn is_try(timeout: i64) -> bool {
    timeout == 0
}

/// The largest size up to `limit` at which `text` may be cut.
fn cut(text: &str, limit: usize) -> usize {
    (0..=limit.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}
