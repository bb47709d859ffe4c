//! What a new process does before and after the user's function.

use std::io::{self, Write};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::atomic::{AtomicI32, Ordering};

use crate::sys::signals::BlockedSignals;
use crate::sys::syscall;

/// The number of this process among those of a [`Prefork`](super::Prefork), from 0; `None` in any
/// other process.
pub fn index() -> Option<usize> {
    usize::try_from(INDEX.load(Ordering::Relaxed)).ok()
}

/// Forks, with signals held back in both processes until `restore` is dropped. Gives the child's
/// number, or in the child `None`.
pub(super) fn fork() -> io::Result<(Option<libc::pid_t>, BlockedSignals)> {
    // What is in the buffers would be written by both.
    let _ = io::stdout().flush();
    // SAFETY: NULL stands for all streams of stdio.
    unsafe { libc::fflush(ptr::null_mut()) };
    let held = BlockedSignals::all()?;
    // The child goes on with the calling thread alone; the caller was told so.
    let child = syscall!(fork())?;
    Ok(((child != 0).then_some(child), held))
}

/// In the child: ties its life to that of `parent`, and tells it its number.
pub(super) fn begin(index: usize, parent: u32) {
    INDEX.store(index as i32, Ordering::Relaxed);
    let kill = libc::SIGKILL as libc::c_ulong;
    // Plain integers.
    let tied = syscall!(prctl(libc::PR_SET_PDEATHSIG, kill, 0, 0, 0));
    if let Err(error) = tied {
        log::warn!("process {index} will not end with its parent: {error}");
    }
    if std::os::unix::process::parent_id() != parent {
        // It died before it could be tied to.
        std::process::exit(1);
    }
}

/// In the child: runs `work` and ends the process.
pub(super) fn work_and_exit(index: usize, work: impl FnOnce() -> i32) -> ! {
    let code = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|_| {
        log::error!("process {index} panicked");
        PANICKED
    });
    std::process::exit(code)
}

static INDEX: AtomicI32 = AtomicI32::new(-1);

/// The status of Rust programs whose main function panics.
const PANICKED: i32 = 101;
