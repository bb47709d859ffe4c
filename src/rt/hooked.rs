//! Whether blocking libc calls suspend the calling coroutine, for `crate::hook`.

use super::fork;
use super::start;
use super::worker::Worker;

/// Whether the caller runs in a coroutine with hooks on. Costs one thread-local read elsewhere.
#[inline]
pub(crate) fn is_hooked() -> bool {
    let Some(fiber) = Worker::current().and_then(Worker::running) else { return false };
    // A signal handler on its own stack interrupted the coroutine, and must not suspend it.
    let marker = 0u8;
    fiber.hooked.get() && fiber.stack().contains(&raw const marker as usize) && !fork::is_forked()
}

/// Turns the calling coroutine's hooks on or off and returns the previous setting; `None` in a plain
/// thread.
pub(crate) fn set_hooked(on: bool) -> Option<bool> {
    let fiber = Worker::current().and_then(Worker::running)?;
    Some(fiber.hooked.replace(on))
}

/// Whether the caller may suspend: not in a child of vfork(2), which runs on its parent's stack and
/// in its memory.
pub(crate) fn can_suspend() -> bool {
    is_hooked() && is_own_process()
}

/// Whether this is the process in which the runtime was started, not a child of it.
pub(crate) fn is_own_process() -> bool {
    start::is_own_process()
}
