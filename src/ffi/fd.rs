//! Waiting for file descriptors.

use std::ffi::{c_int, c_short};
use std::slice;

use crate::rt::{self, Interest};

use super::arg::deadline;
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::guard;
use super::own::Out;
use super::status::*;

/// Wait until there is something to read, to accept, or the end.
pub const FASTRPC_READABLE: i32 = 1;
/// Wait until there is room to write, or a connect has ended.
pub const FASTRPC_WRITABLE: i32 = 2;

/// One of several file descriptors to wait for. It has the layout and the bits of struct pollfd of
/// poll(2), so that an array of those may be passed.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_pollfd {
    /// The file descriptor; one below 0 is skipped.
    pub fd: c_int,
    /// POLLIN, POLLOUT and so on, of poll(2).
    pub events: c_short,
    /// The bits that hold, set by the function.
    pub revents: c_short,
}

/// Waits until a file descriptor is ready. Any number of waiters may wait for one.
///
/// `fd`: stays the caller's; blocking or not. `events`: FASTRPC_READABLE, FASTRPC_WRITABLE or both
/// (either ends the wait). `timeout`: nanoseconds. `ready`: receives the POLL bits of poll(2) that
/// hold; may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_ECLOSED (not open,
/// or fastrpc_notify_close() was called), FASTRPC_EIO. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_wait_fd(
    fd: c_int,
    events: i32,
    timeout: i64,
    ready: *mut i32,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let interest = match events {
            FASTRPC_READABLE => Interest::Read,
            FASTRPC_WRITABLE => Interest::Write,
            FASTRPC_READABLE_OR_WRITABLE => Interest::Both,
            _ => {
                return Err(Failure::invalid(
                    "events must be FASTRPC_READABLE, FASTRPC_WRITABLE or both",
                ));
            }
        };
        let bits = rt::wait_fd(fd, interest, deadline(timeout))?;
        if !ready.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(ready) }?.store(bits.into());
        }
        Ok(())
    })
}

/// Waits until one of several file descriptors is ready: poll(2) for coroutines.
///
/// `fds`, `count`: an array; `revents` are set. `timeout`: nanoseconds. `ready`: receives how many
/// are ready; may be NULL. Fails with FASTRPC_ETIMEDOUT, FASTRPC_ECANCELED, FASTRPC_EIO. Any
/// thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_poll_fds(
    fds: *mut fastrpc_pollfd,
    count: usize,
    timeout: i64,
    ready: *mut usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        if count > MAX_FDS || (fds.is_null() && count != 0) {
            return Err(Failure::invalid("fds: the pointer is NULL, or the count is impossible"));
        }
        let fds: &mut [libc::pollfd] = match count {
            0 => &mut [],
            // SAFETY: not NULL, and by the caller's contract `count` structs that nobody else uses
            // meanwhile; the layout is asserted below.
            _ => unsafe { slice::from_raw_parts_mut(fds.cast(), count) },
        };
        let found = rt::poll_fds(fds, deadline(timeout))?;
        if !ready.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(ready) }?.store(found);
        }
        match found {
            0 => Err(Failure::new(FASTRPC_ETIMEDOUT, "no file descriptor was ready in time")),
            _ => Ok(()),
        }
    })
}

/// Wakes all that wait for a file descriptor with FASTRPC_ECLOSED.
///
/// Call it before close(2). Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_notify_close(fd: c_int) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        rt::notify_close(fd);
        Ok(())
    })
}

const FASTRPC_READABLE_OR_WRITABLE: i32 = FASTRPC_READABLE | FASTRPC_WRITABLE;
const MAX_FDS: usize = 1 << 24;

const _: () = {
    use std::mem::offset_of;
    assert!(size_of::<fastrpc_pollfd>() == size_of::<libc::pollfd>());
    assert!(align_of::<fastrpc_pollfd>() == align_of::<libc::pollfd>());
    assert!(offset_of!(fastrpc_pollfd, fd) == offset_of!(libc::pollfd, fd));
    assert!(offset_of!(fastrpc_pollfd, events) == offset_of!(libc::pollfd, events));
    assert!(offset_of!(fastrpc_pollfd, revents) == offset_of!(libc::pollfd, revents));
};
