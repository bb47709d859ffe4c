//! The one way this crate calls libc: `syscall!(name(args))?` turns -1 into the `io::Error` of
//! errno.
//!
//! With the feature `hook` this crate defines some of libc's names itself. What it calls through
//! [`c`] is always the real function: its own I/O never passes through its hooks.

#[cfg(feature = "hook")]
pub(crate) mod loaded_objects;
#[cfg(feature = "hook")]
pub(crate) mod pthread_layout;
#[cfg(feature = "hook")]
mod raw;
#[cfg(feature = "hook")]
mod raw_lock;
#[cfg(feature = "hook")]
mod raw_rwlock;
#[cfg(feature = "hook")]
pub(crate) mod real;
pub(crate) mod signals;
#[cfg(feature = "hook")]
pub(crate) mod valgrind;

/// libc, with nothing of it replaced by hooks.
#[cfg(not(feature = "hook"))]
pub(crate) mod c {
    pub(crate) use libc::*;
}
#[cfg(feature = "hook")]
pub(crate) use real::c;

/// Calls a libc function that answers -1 and sets errno when it fails.
///
/// The caller vouches for the arguments: the macro holds the `unsafe` so that each call site
/// states its own reason beside it.
macro_rules! syscall {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: see the comment at the call site.
        let result = unsafe { $crate::sys::c::$name($($arg),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}

pub(crate) use syscall;
