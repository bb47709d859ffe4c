//! Calls that have no flag for "do not block".

use super::errno;

use libc::c_int;

/// Calls `f` with `fd` non-blocking, and leaves the flags and errno as they should be. Nothing
/// suspends meanwhile, so that no other coroutine of this worker sees it. True if the program
/// itself had made the fd non-blocking: then what `f` says is the answer.
pub(super) fn without_blocking<R>(fd: c_int, f: impl FnOnce() -> R) -> (R, bool) {
    // SAFETY: asks for the flags of any number.
    let flags = unsafe { libc::fcntl(fd, libc::F_GETFL) };
    if flags == -1 || flags & libc::O_NONBLOCK != 0 {
        return (f(), true);
    }
    set(fd, flags | libc::O_NONBLOCK);
    let result = f();
    errno::kept(|| set(fd, flags));
    (result, false)
}

fn set(fd: c_int, flags: c_int) {
    // SAFETY: flags that the fd had, with or without O_NONBLOCK, which every file takes.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}
