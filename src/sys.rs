//! The one way this crate calls libc: `syscall!(name(args))?` turns -1 into the `io::Error` of
//! errno.

/// Calls a libc function that answers -1 and sets errno when it fails.
///
/// The caller vouches for the arguments: the macro holds the `unsafe` so that each call site
/// states its own reason beside it.
macro_rules! syscall {
    ($name:ident($($arg:expr),* $(,)?)) => {{
        // SAFETY: see the comment at the call site.
        let result = unsafe { libc::$name($($arg),*) };
        if result == -1 { Err(std::io::Error::last_os_error()) } else { Ok(result) }
    }};
}

pub(crate) use syscall;
