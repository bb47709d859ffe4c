//! Switching the hooks on and off, per coroutine.

use std::io;
use std::marker::PhantomData;

use crate::rt;

/// Turns the hooks of the calling coroutine on, until it ends or turns them off. A coroutine that it
/// spawns begins with the default of the process, not with this.
///
/// # Errors
/// In a plain thread, whose blocking calls always block. To have hooks on in every coroutine from the
/// start, set [`rt::Options::hook`] instead.
pub fn enable() -> io::Result<()> {
    set(true).map(drop)
}

/// Turns the hooks of the calling coroutine off.
///
/// # Errors
/// In a plain thread, as [`enable`].
pub fn disable() -> io::Result<()> {
    set(false).map(drop)
}

/// Whether blocking libc calls suspend the caller. False in a plain thread.
pub fn is_enabled() -> bool {
    rt::is_hooked()
}

/// Keeps the hooks of the calling coroutine on, or off, until it is dropped; then they are as before.
/// In a plain thread it does nothing.
///
/// ```
/// use fastrpc::hook::{self, Guard};
///
/// let coroutine = fastrpc::rt::spawn(|| {
///     let _hooked = Guard::enabled();
///     // Another coroutine of this worker may run meanwhile.
///     std::thread::sleep(std::time::Duration::from_millis(1));
///     hook::is_enabled()
/// });
/// assert!(coroutine.unwrap().join().unwrap());
/// assert!(!hook::is_enabled());
/// ```
#[derive(Debug)]
#[must_use = "dropping it restores the previous setting"]
pub struct Guard {
    previous: Option<bool>,
    /// It belongs to the coroutine that made it.
    _not_send: PhantomData<*const ()>,
}

impl Guard {
    /// Turns the hooks on.
    pub fn enabled() -> Guard {
        Guard { previous: rt::set_hooked(true), _not_send: PhantomData }
    }

    /// Turns the hooks off.
    pub fn disabled() -> Guard {
        Guard { previous: rt::set_hooked(false), _not_send: PhantomData }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(previous) = self.previous {
            rt::set_hooked(previous);
        }
    }
}

fn set(on: bool) -> io::Result<bool> {
    rt::set_hooked(on).ok_or_else(|| io::Error::new(io::ErrorKind::PermissionDenied, PLAIN_THREAD))
}

/// Whether the calling hook has to do more than to call libc's function.
#[inline]
pub(super) fn is_on() -> bool {
    rt::is_hooked()
}

/// True in Rust, C and C++.
const PLAIN_THREAD: &str = "a plain thread has no hooks: call this in a coroutine, or have hooks on in \
    every coroutine by the runtime option `hook` or FASTRPC_HOOK=1 in the environment";
