//! The calling coroutine: yield, sleep, its identity, whether it was canceled.

use std::io;
use std::time::{Duration, Instant};

use super::fiber::Fiber;
use super::park::wait::{WaitError, Waiter};
use super::time::Deadline;
use super::worker::Worker;

/// Yields to every other runnable coroutine of this worker. The worker polls its fds and timers
/// regularly, however long its coroutines keep yielding. In a plain thread, sched_yield(2).
pub fn yield_now() {
    match Worker::current() {
        Some(worker) if !worker.is_forked() => match worker.running() {
            Some(fiber) => worker.yield_now(fiber.coroutine()),
            None => std::thread::yield_now(),
        },
        _ => std::thread::yield_now(),
    }
}

/// Suspends the coroutine, or blocks the plain thread, for at least `duration`.
///
/// # Errors
/// `ECANCELED` when the coroutine is canceled; an error in a forked child.
pub fn sleep(duration: Duration) -> io::Result<()> {
    sleep_by(Deadline::after(duration))
}

/// Suspends the coroutine, or blocks the plain thread, until `instant`.
///
/// # Errors
/// As for [`sleep`].
pub fn sleep_until(instant: Instant) -> io::Result<()> {
    sleep_by(Deadline::at(instant))
}

fn sleep_by(deadline: Deadline) -> io::Result<()> {
    if deadline.has_passed() {
        // A loop of such sleeps must not starve the others.
        yield_now();
    }
    match Waiter::new().wait(deadline) {
        Ok(()) | Err(WaitError::TimedOut) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Whether the caller runs in a coroutine.
#[inline]
pub fn is_coroutine() -> bool {
    Worker::current().and_then(Worker::running).is_some()
}

/// Returns the index of the calling worker; `None` in a plain thread.
pub fn worker_index() -> Option<usize> {
    Worker::current().map(Worker::index)
}

/// Returns the calling coroutine; `None` in a plain thread.
pub fn current() -> Option<Current> {
    let fiber = Worker::current().and_then(Worker::running)?;
    let name = fiber.name.borrow().as_str().to_owned();
    Some(Current { id: fiber.id(), name, stack_size: fiber.stack().size() })
}

/// A description of the calling coroutine.
#[derive(Clone, Debug)]
pub struct Current {
    id: u64,
    name: String,
    stack_size: usize,
}

impl Current {
    /// Returns its id, unique in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Returns the name it was given, or that of its kind.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the size of its stack in bytes.
    pub fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// Returns the id of the running coroutine alone; 0 in a plain thread.
    pub(super) fn running_id() -> u64 {
        Worker::current().and_then(Worker::running).map_or(0, Fiber::id)
    }
}

/// Whether the calling coroutine was canceled, so that its waits fail. False in a plain thread.
pub fn is_canceled() -> bool {
    Worker::current().and_then(Worker::running).is_some_and(|fiber| fiber.parker().is_canceled())
}

/// Runs `f` with cancellation deferred: its waits do not fail, even if the coroutine is or gets
/// canceled. For cleanup and for what must not be left half done. Later waits fail again. A plain
/// thread cannot be canceled and only runs `f`.
pub fn uncancellable<T>(f: impl FnOnce() -> T) -> T {
    struct Shield(&'static Fiber);
    impl Drop for Shield {
        fn drop(&mut self) {
            self.0.parker().shield(false);
        }
    }
    let _shield = Worker::current().and_then(Worker::running).map(|fiber| {
        fiber.parker().shield(true);
        Shield(fiber)
    });
    f()
}

/// Returns to the kernel the stack memory that calls deeper than the present one have used: before a
/// long wait.
pub(crate) fn trim_stack() {
    if let Some(fiber) = Worker::current().and_then(Worker::running) {
        fiber.stack().give_back_unused();
    }
}
