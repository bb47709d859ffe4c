//! Blocking signals in a thread.

use std::io;
use std::mem::MaybeUninit;
use std::ptr;
use std::thread::{Builder, JoinHandle};

use super::syscall;

/// Blocks signals in the calling thread until it is dropped.
pub(crate) struct BlockedSignals(libc::sigset_t);

impl BlockedSignals {
    /// Blocks all signals.
    pub(crate) fn all() -> io::Result<BlockedSignals> {
        BlockedSignals::all_but(&[])
    }

    fn all_but(allowed: &[libc::c_int]) -> io::Result<BlockedSignals> {
        let mut blocked = MaybeUninit::uninit();
        // `blocked` is writable, here and below.
        syscall!(sigfillset(blocked.as_mut_ptr()))?;
        for signal in allowed {
            syscall!(sigdelset(blocked.as_mut_ptr(), *signal))?;
        }
        let mut previous = MaybeUninit::uninit();
        // SAFETY: `blocked` was filled, `previous` is writable.
        let error = unsafe {
            libc::pthread_sigmask(libc::SIG_BLOCK, blocked.as_ptr(), previous.as_mut_ptr())
        };
        if error != 0 {
            return Err(io::Error::from_raw_os_error(error));
        }
        // SAFETY: set by the call, which succeeded.
        Ok(BlockedSignals(unsafe { previous.assume_init() }))
    }
}

impl Drop for BlockedSignals {
    fn drop(&mut self) {
        // SAFETY: a mask returned by the same function.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, ptr::null_mut()) };
    }
}

/// Starts a thread on which no signal handler of the program runs, except for its own faults.
pub(crate) fn spawn_without_signals<T: Send + 'static>(
    builder: Builder,
    body: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    // A thread inherits the mask of its creator.
    let _blocked = BlockedSignals::all_but(&FAULTS)?;
    builder.spawn(body)
}

/// Signals that a thread raises by a fault. While blocked, they would kill the process without calling
/// the program's handler.
const FAULTS: [libc::c_int; 6] =
    [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
