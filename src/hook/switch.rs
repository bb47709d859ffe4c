//! The switch of each coroutine.

use std::io;
use std::marker::PhantomData;

use crate::rt;

/// Turns the hooks of the calling coroutine on, until it ends or turns them off. A coroutine that
/// it starts begins with the default of the process, not with this.
///
/// # Errors
/// `EPERM` in a plain thread, whose blocking calls block.
pub fn enable() -> io::Result<()> {
    set(true).map(drop)
}

/// Turns the hooks of the calling coroutine off.
///
/// # Errors
/// `EPERM` in a plain thread.
pub fn disable() -> io::Result<()> {
    set(false).map(drop)
}

/// Whether blocking calls of libc suspend the caller. False in a plain thread.
pub fn is_enabled() -> bool {
    rt::is_hooked()
}

/// Hooks on, or off, until it is dropped; then as before. In a plain thread it does nothing.
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
#[must_use = "the hooks are as before when it is dropped"]
pub struct Guard {
    before: Option<bool>,
    /// It belongs to the coroutine that made it.
    _not_send: PhantomData<*const ()>,
}

impl Guard {
    /// Turns the hooks on.
    pub fn enabled() -> Guard {
        Guard { before: rt::set_hooked(true), _not_send: PhantomData }
    }

    /// Turns the hooks off.
    pub fn disabled() -> Guard {
        Guard { before: rt::set_hooked(false), _not_send: PhantomData }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        if let Some(before) = self.before {
            rt::set_hooked(before);
        }
    }
}

fn set(on: bool) -> io::Result<bool> {
    rt::set_hooked(on).ok_or_else(|| io::Error::from_raw_os_error(libc::EPERM))
}

/// Whether the hooked function that asks has to do more than to call libc's.
#[inline]
pub(super) fn is_on() -> bool {
    rt::is_hooked()
}
