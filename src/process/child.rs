//! The child's side of a fork: setup, the user's function, exit.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys::signals::BlockedSignals;
use crate::sys::syscall;

/// Returns the index of this process among those of a [`Prefork`](super::Prefork), from 0; `None` in any
/// other process.
pub fn index() -> Option<usize> {
    usize::try_from(INDEX.load(Ordering::Relaxed)).ok()
}

/// Forks, with signals blocked in both processes until the returned guard is dropped. Returns the
/// child's pid, or in the child `None`.
pub(super) fn fork() -> io::Result<(Option<libc::pid_t>, BlockedSignals)> {
    // Both processes would write what is in the buffers.
    let _ = io::stdout().flush();
    // SAFETY: NULL means all stdio streams.
    unsafe { libc::fflush(ptr::null_mut()) };
    let held = BlockedSignals::all()?;
    // The child has only the calling thread, as the documentation of `Prefork::run` says.
    let child = syscall!(fork())?;
    Ok(((child != 0).then_some(child), held))
}

/// In the child: arranges for SIGKILL when `parent` dies, and stores the child's index.
pub(super) fn begin(index: usize, parent: u32) {
    INDEX.store(index as i32, Ordering::Relaxed);
    let kill = libc::SIGKILL as libc::c_ulong;
    // Plain integers.
    let tied = syscall!(prctl(libc::PR_SET_PDEATHSIG, kill, 0, 0, 0));
    if let Err(error) = tied {
        log::warn!("process {index} will not end with its parent: {error}");
    }
    if std::os::unix::process::parent_id() != parent {
        // The parent died before prctl.
        std::process::exit(1);
    }
}

/// In the child: runs `work` and exits.
pub(super) fn work_and_exit(index: usize, work: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        log::error!("process {index} panicked");
        PANICKED
    });
    std::process::exit(code)
}

static INDEX: AtomicI32 = AtomicI32::new(-1);

/// The exit status of Rust programs whose main function panics.
const PANICKED: i32 = 101;
