//! The runtime: coroutines with stacks of their own that stay on one worker thread for life.
//!
//! Coroutines are spawned by [`spawn`] and [`Builder`] and joined by [`JoinHandle`]. They wait for time
//! ([`sleep`], [`Timer`], [`Deadline`]) and for fds ([`wait_fd`], [`poll_fds`]), and have local storage
//! ([`Key`]). The process has one runtime, which starts at its first use with one worker thread;
//! [`configure`] changes that beforehand.
//!
//! A coroutine never leaves the worker on which it was spawned, so that errno, `thread_local!`, the owner
//! of a mutex and thread-bound libraries are right without further care. Coroutines of one worker never
//! run in parallel and switch only in calls that wait. All that waits may be called by plain threads as
//! well, which block. Cancellation and timeouts are errors of the call that waited; nothing is unwound.
//!
//! # Locks over waits
//!
//! Do not hold a `std::sync::Mutex` (nor an `RwLock`, nor a `RefCell` borrow) over a call that waits:
//! another coroutine of the worker that locks it blocks the whole worker, and so also the one that
//! would unlock it. The worker then hangs for good. Drop the guard before the call, or take the locks
//! of [`sync`](crate::sync), which suspend the coroutine alone.
//!
//! ```
//! use fastrpc::{rt, sync::Mutex};
//! use std::sync::Arc;
//! use std::time::Duration;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let counter = Arc::new(Mutex::new(0));
//! let add = |counter: Arc<Mutex<i32>>| {
//!     move || {
//!         let mut count = counter.lock().unwrap(); // not std's: the next line waits
//!         rt::sleep(Duration::from_millis(1)).unwrap();
//!         *count += 1;
//!     }
//! };
//! let (one, other) = (rt::spawn(add(counter.clone()))?, rt::spawn(add(counter.clone()))?);
//! one.join()?;
//! other.join()?;
//! assert_eq!(*counter.lock()?, 2);
//! # Ok(())
//! # }
//! ```

// What it may call: slab, sys, wheel.
//
// `may` and `generator` are named in `fiber/engine` alone.
//
// What it must never do: let a coroutine be resumed by another thread than its own. Every wake goes
// through `Waker`, which posts to the inbox of the home worker when it is called elsewhere.

#[doc(hidden)]
pub mod bench;
mod current;
mod fiber;
mod fork;
#[cfg(feature = "hook")]
mod hooked;
mod io;
#[cfg(feature = "hook")]
mod lock_check;
mod park;
mod pinned;
mod reactor;
mod signal;
mod start;
mod task;
mod time;
mod timer;
mod worker;

pub use self::current::{
    Current, current, is_canceled, is_coroutine, sleep, sleep_until, uncancellable, worker_index,
    yield_now,
};
pub use self::fiber::local::Key;
pub use self::fork::check_usable;
pub use self::io::rawfd::{Interest, notify_close, poll_fds, wait_fd};
pub use self::start::{Options, configure, has_started, worker_count};
pub use self::task::{Builder, JoinError, JoinHandle, spawn};
pub use self::time::Deadline;
pub use self::timer::Timer;

pub(crate) use self::current::trim_stack;
#[cfg(feature = "hook")]
pub(crate) use self::hooked::{can_suspend, is_hooked, is_own_process, set_hooked};
#[cfg(feature = "hook")]
pub(crate) use self::io::rawfd::{has_waiters, recheck_closed, wait_unready};
pub(crate) use self::io::source::Source;
#[cfg(feature = "hook")]
pub(crate) use self::lock_check::{HeldAs, Holder, Site, deadlocks, waits_with_locks};
#[cfg(feature = "hook")]
pub(crate) use self::park::addr_wait::{
    Attempt, BUCKETS as ADDRESS_BUCKETS, bucket as address_bucket, notify_address, wait_address,
};
pub(crate) use self::park::inbox::post;
pub(crate) use self::park::observer::{BlockObserver, Blocking, observe_blocking};
pub(crate) use self::park::wait::{WaitError, Waiter, Waker};
pub(crate) use self::pinned::Pinned;
pub(crate) use self::signal::SignalWatch;
pub(crate) use self::start::{ensure, pick_worker};
pub(crate) use self::task::{Detached, panic_text, spawn_detached};
#[cfg(feature = "hook")]
pub(crate) use self::time::{millis_until, now_ns};
