//! The one way in which this crate calls libc: `syscall!(name(args))?` turns -1 into the `io::Error` of
//! errno. With it, what libc and the dynamic linker do not tell: layouts, loaded objects, valgrind.

// What it may call: nothing.
//
// With the feature `hook` this crate defines some of libc's names itself. What is called through `c` is
// always the real function: our own I/O never passes through our hooks.

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

/// libc itself: without the feature `hook` none of its names are redefined.
#[cfg(not(feature = "hook"))]
pub(crate) mod c {
    pub(crate) use libc::*;
}
#[cfg(feature = "hook")]
pub(crate) use real::c;

/// Calls a libc function that returns -1 and sets errno when it fails.
///
/// The caller vouches for the arguments, and says why in a comment at the call; the `unsafe` is in the
/// macro.
macro_rules! syscall {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: see the comment at the call site.
        let result = unsafe { $crate::sys::c::$name($($arg),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}

pub(crate) use syscall;
