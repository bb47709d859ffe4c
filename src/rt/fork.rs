//! Forked children: the runtime does not run in them, and calls into it fail.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether this process is a fork of the one in which the runtime was started.
pub(super) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Called in a child right after the fork.
pub(super) fn set_forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Checks that the runtime can be used in this process.
///
/// # Errors
/// In a process that was forked from one in which the runtime had started.
pub fn check_usable() -> io::Result<()> {
    if is_forked() { Err(forked_error()) } else { Ok(()) }
}

pub(super) fn forked_error() -> io::Error {
    io::Error::other(ForkedError)
}

/// The error of every call into the runtime in a forked child.
#[derive(Debug)]
pub(crate) struct ForkedError;

impl std::fmt::Display for ForkedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the fastrpc runtime was started before this process was forked and does not run in \
             the child: fork before the first use",
        )
    }
}

impl std::error::Error for ForkedError {}

static FORKED: AtomicBool = AtomicBool::new(false);
