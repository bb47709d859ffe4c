//! close(2), dup2(2), dup3(2): the end of an fd wakes its waiters with `EBADF`. In the kernel a blocked
//! thread waits on, and a waiter would take the next file of that number for the old one.
//
// Not hooked: shutdown(2), which the kernel reports to waiters itself.

use libc::c_int;

use crate::hook::errno;
use crate::rt;
use crate::sys::real;

/// close(2), from any thread. Unsafe as in the declaration that the standard library has of it, with
/// which later compilers compare it; any number is allowed.
#[unsafe(no_mangle)]
unsafe extern "C" fn close(fd: c_int) -> c_int {
    closing(fd, || {
        // SAFETY: any number is allowed.
        unsafe { real::close(fd) }
    })
}

/// close(2) under glibc's internal name.
#[unsafe(no_mangle)]
extern "C" fn __close(fd: c_int) -> c_int {
    // SAFETY: any number is allowed.
    unsafe { close(fd) }
}

/// dup2(2), from any thread.
#[unsafe(no_mangle)]
extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    // SAFETY: any numbers are allowed.
    let real = || unsafe { real::dup2(old, new) };
    if closes(old, new) { closing(new, real) } else { real() }
}

/// dup3(2), from any thread.
#[unsafe(no_mangle)]
extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    // SAFETY: any numbers are allowed.
    let real = || unsafe { real::dup3(old, new, flags) };
    if closes(old, new) { closing(new, real) } else { real() }
}

#[inline]
fn closing(fd: c_int, real: impl FnOnce() -> c_int) -> c_int {
    if !rt::has_waiters(fd) || !rt::is_own_process() {
        let result = real();
        recheck(fd);
        return result;
    }
    rt::notify_close(fd);
    let result = real();
    recheck(fd);
    result
}

/// Wakes a waiter that has registered between the check for waiters and the close.
#[inline]
fn recheck(fd: c_int) {
    if rt::has_waiters(fd) && rt::is_own_process() {
        errno::kept(|| rt::recheck_closed(fd));
    }
}

/// Whether dup2(2) will close a file for which somebody waits.
fn closes(old: c_int, new: c_int) -> bool {
    // SAFETY: any number may be asked about.
    old != new && rt::has_waiters(new) && unsafe { libc::fcntl(old, libc::F_GETFD) } != -1
}
