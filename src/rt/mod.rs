//! The runtime: coroutines with real stacks that never leave their worker thread.
//!
//! **What it offers.** Coroutines ([`spawn`], [`Builder`], [`JoinHandle`]), time ([`sleep`],
//! [`Timer`], [`Deadline`]), waits on fds ([`wait_fd`], [`poll_fds`]) and coroutine-local storage
//! ([`Key`]). The process has one runtime, which starts by its first use with one worker thread;
//! [`configure`] changes that beforehand.
//!
//! **What holds.** A coroutine is born on a worker and stays there, so that errno,
//! `thread_local!`, the owner of a mutex and thread-bound libraries are right without further
//! care. Coroutines of one worker never run in parallel and switch only in calls that wait. All
//! that waits may be called by plain threads as well, which block. Cancellation and time-outs are
//! errors of the call that waited; nothing is unwound.
//!
//! **What it may call.** The timer wheel, libc, and `may` and its `generator`, which are named in `engine` alone.
//!
//! **What it must never do.** Let a coroutine be resumed by another thread than its own: every
//! wake goes through [`Waker`], which takes the inbox of the home worker when it is called
//! elsewhere.

#[cfg(feature = "hook")]
mod address;
#[doc(hidden)]
pub mod bench;
mod blocking;
mod engine;
mod fiber;
mod float;
#[cfg(feature = "hook")]
mod held;
#[cfg(feature = "hook")]
mod held_report;
#[cfg(feature = "hook")]
mod hooked;
mod local;
mod pinned;
mod poller;
mod rawfd;
mod reactor;
mod signal;
mod sleeper;
mod source;
mod stack;
mod start;
mod task;
mod time;
mod timer;
mod wait;
mod worker;

use std::io;
use std::time::{Duration, Instant};

pub use self::local::Key;
#[cfg(feature = "hook")]
pub(crate) use self::rawfd::wait_unready;
pub use self::rawfd::{Interest, notify_close, poll_fds, wait_fd};
pub use self::start::{Options, configure, has_started, worker_count};
pub use self::task::{Builder, JoinError, JoinHandle, spawn};
pub use self::time::Deadline;
pub use self::timer::Timer;

#[cfg(feature = "hook")]
pub(crate) use self::address::{
    BUCKETS as ADDRESS_BUCKETS, Look, bucket as address_bucket, notify_address, wait_address,
};
pub(crate) use self::blocking::{BlockObserver, Blocking, observe_blocking};
#[cfg(feature = "hook")]
pub(crate) use self::held::{HeldAs, Holder, Site, deadlocks, waits_with_locks};
#[cfg(feature = "hook")]
pub(crate) use self::hooked::{can_suspend, is_hooked, is_own_process, set_hooked};
pub(crate) use self::pinned::Pinned;
#[cfg(feature = "hook")]
pub(crate) use self::rawfd::{has_waiters, recheck_closed};
pub(crate) use self::signal::SignalWatch;
pub(crate) use self::source::Source;
pub(crate) use self::start::{ensure, pick_worker};
pub(crate) use self::task::{Detached, panic_text, spawn_detached};
#[cfg(feature = "hook")]
pub(crate) use self::time::{millis_until, now_ns};
pub(crate) use self::wait::{WaitError, Waiter, Waker};

use self::fiber::Fiber;
use self::worker::{Message, Worker};

/// Lets every other coroutine of this worker that can run do so first; the worker also looks at
/// its fds and timers regularly, however long the others keep yielding. In a plain thread, what
/// sched_yield(2) does.
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
/// `ECANCELED` when the coroutine is cancelled, and an error in a forked child.
pub fn sleep(duration: Duration) -> io::Result<()> {
    sleep_by(Deadline::after(duration))
}

/// The same until `instant`.
///
/// # Errors
/// As for [`sleep`].
pub fn sleep_until(instant: Instant) -> io::Result<()> {
    sleep_by(Deadline::at(instant))
}

fn sleep_by(deadline: Deadline) -> io::Result<()> {
    if deadline.has_passed() {
        // A loop of such sleeps must not keep the others from running.
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

/// The index of the calling worker; `None` in a plain thread.
pub fn worker_index() -> Option<usize> {
    Worker::current().map(Worker::index)
}

/// The calling coroutine; `None` in a plain thread.
pub fn current() -> Option<Current> {
    let fiber = Worker::current().and_then(Worker::running)?;
    let name = fiber.name.borrow().as_str().to_owned();
    Some(Current { id: fiber.id(), name, stack_size: fiber.stack().size() })
}

/// What is known of the calling coroutine.
#[derive(Clone, Debug)]
pub struct Current {
    id: u64,
    name: String,
    stack_size: usize,
}

impl Current {
    /// Its number, unique in this process.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The name it was given, or that of its kind.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The size of its stack in bytes.
    pub fn stack_size(&self) -> usize {
        self.stack_size
    }

    /// The number of the running coroutine, without the rest; 0 in a plain thread.
    fn running_id() -> u64 {
        Worker::current().and_then(Worker::running).map_or(0, Fiber::id)
    }
}

/// Whether the calling coroutine was cancelled: its waits fail. False in a plain thread.
pub fn is_canceled() -> bool {
    Worker::current().and_then(Worker::running).is_some_and(|fiber| fiber.parker().is_cancelled())
}

/// Runs `f` with cancellation put off: its waits are waits, even of a coroutine that is or gets
/// cancelled. For cleaning up and for what must not be left half done. Later waits fail again. In
/// a plain thread, which cannot be cancelled, it just runs `f`.
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

/// Gives back the memory that deeper calls than the present one have used of the coroutine's
/// stack: for a long wait.
pub(crate) fn trim_stack() {
    if let Some(fiber) = Worker::current().and_then(Worker::running) {
        fiber.stack().give_back_unused();
    }
}

/// Checks that the runtime can be used in this process.
///
/// # Errors
/// In a process that was forked from one in which the runtime had started.
pub fn check_usable() -> io::Result<()> {
    if worker::is_forked() { Err(worker::forked_error()) } else { Ok(()) }
}

/// Calls `f` soon in the reactor of worker `index`, which must exist. `f` must not wait.
///
/// # Errors
/// In a forked child.
pub(crate) fn post(index: usize, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    check_usable()?;
    worker::send(index, Message::Run(Box::new(f)));
    Ok(())
}
