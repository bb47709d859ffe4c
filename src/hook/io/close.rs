//! Ends of fds: whoever waits on one wakes with `EBADF`. In the kernel a blocked thread would go on
//! to wait, and a number that was used again would be taken for the old file.
//!
//! Not hooked: shutdown(2), which the kernel reports to those who wait.

use libc::c_int;

use crate::hook::errno;
use crate::rt;
use crate::sys::real;

/// close(2), from any thread.
#[unsafe(no_mangle)]
extern "C" fn close(fd: c_int) -> c_int {
    closing(fd, || {
        // SAFETY: takes any number.
        unsafe { real::close(fd) }
    })
}

/// The name within glibc.
#[unsafe(no_mangle)]
extern "C" fn __close(fd: c_int) -> c_int {
    close(fd)
}

/// dup2(2), from any thread.
#[unsafe(no_mangle)]
extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    // SAFETY: takes any numbers.
    let real = || unsafe { real::dup2(old, new) };
    if closes(old, new) { closing(new, real) } else { real() }
}

/// dup3(2), from any thread.
#[unsafe(no_mangle)]
extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    // SAFETY: takes any numbers.
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

/// Somebody may have come to wait between the look at the waiters and the close.
#[inline]
fn recheck(fd: c_int) {
    if rt::has_waiters(fd) && rt::is_own_process() {
        errno::kept(|| rt::recheck_closed(fd));
    }
}

/// Whether a dup2 of `old` to `new` will close what `new` is.
fn closes(old: c_int, new: c_int) -> bool {
    // SAFETY: asks for the flags of any number.
    old != new && rt::has_waiters(new) && unsafe { libc::fcntl(old, libc::F_GETFD) } != -1
}
