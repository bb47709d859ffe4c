//! Which signals a thread takes.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::{Builder, JoinHandle};

use super::syscall;

/// While it lives, the calling thread gets no signals.
pub(crate) struct HeldSignals(libc::sigset_t);

impl HeldSignals {
    /// None at all.
    pub(crate) fn all() -> io::Result<HeldSignals> {
        HeldSignals::all_but(&[])
    }

    fn all_but(taken: &[libc::c_int]) -> io::Result<HeldSignals> {
        let mut held = MaybeUninit::uninit();
        // `held` is writable, here and below.
        syscall!(sigfillset(held.as_mut_ptr()))?;
        for signal in taken {
            syscall!(sigdelset(held.as_mut_ptr(), *signal))?;
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: `held` was filled, `before` is writable.
        let error =
            unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, held.as_ptr(), before.as_mut_ptr()) };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: the call that succeeded has set it.
        Ok(HeldSignals(unsafe { before.assume_init() }))
    }
}

impl Drop for HeldSignals {
    fn drop(&mut self) {
        // SAFETY: a mask that came from the same call.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Starts a thread on which no handler of the program ever runs, but for faults of its own.
pub(crate) fn spawn_without_signals<T: Send + 'static>(
    builder: Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // A thread begins with the mask of who starts it.
    let _held = HeldSignals::all_but(&FAULTS)?;
    builder.spawn(body)
}

/// What a thread does to itself. Blocked, it would end the process past the program's handler.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
