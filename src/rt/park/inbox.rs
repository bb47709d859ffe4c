//! Messages to a worker from other threads, and waking it when it sleeps.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
#[cfg(feature = "hook")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex, OnceLock};

use super::wait::Parker;
#[cfg(feature = "hook")]
use crate::rt::fiber::context::Errno;
use crate::rt::fork::check_usable;
use crate::sys;

/// The part of a worker that other threads reach: its messages, and whether it must be woken.
pub(in crate::rt) struct Inbox {
    messages: Mutex<Vec<Message>>,
    /// Whether there are messages: saves the lock.
    pending: AtomicBool,
    /// Whether the worker blocks or is about to, and must be woken by its eventfd.
    sleeping: AtomicBool,
    wake_fd: OwnedFd,
    /// Address buckets that coroutines of this worker wait in, as a bit set.
    #[cfg(feature = "hook")]
    awaited_buckets: AtomicU64,
    /// Those of them that were notified.
    #[cfg(feature = "hook")]
    notified_buckets: AtomicU64,
}

impl Inbox {
    pub(in crate::rt) fn new(wake_fd: OwnedFd) -> Inbox {
        Inbox {
            messages: Mutex::new(Vec::new()),
            pending: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            wake_fd,
            #[cfg(feature = "hook")]
            awaited_buckets: AtomicU64::new(0),
            #[cfg(feature = "hook")]
            notified_buckets: AtomicU64::new(0),
        }
    }

    /// Wakes the worker if it sleeps. What it is to see must be written before.
    fn wake(&self) {
        // Pairs with the fence of `may_sleep`: either the worker sees the write, or we see
        // `sleeping`.
        fence(Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::Relaxed) {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight bytes from a live array. Fails only with EAGAIN, when the worker was
            // woken already.
            unsafe { sys::c::write(self.wake_fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    pub(in crate::rt) fn wake_fd(&self) -> &OwnedFd {
        &self.wake_fd
    }

    /// Moves the messages to `into`. Called by the worker.
    pub(in crate::rt) fn take(&self, into: &mut Vec<Message>) {
        if self.pending.load(Ordering::Acquire) {
            let mut messages = self.messages.lock().unwrap();
            self.pending.store(false, Ordering::Relaxed);
            into.append(&mut messages);
        }
    }

    /// Announces that the worker is about to block; false if a message or an address notification has
    /// arrived. Called by the worker.
    pub(in crate::rt) fn may_sleep(&self) -> bool {
        self.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.pending.load(Ordering::Relaxed) && !self.is_notified()
    }

    /// Ends what [`may_sleep`](Inbox::may_sleep) announced.
    pub(in crate::rt) fn woke_up(&self) {
        self.sleeping.store(false, Ordering::Relaxed);
    }

    #[inline]
    pub(in crate::rt) fn is_notified(&self) -> bool {
        #[cfg(feature = "hook")]
        let is_notified = self.notified_buckets.load(Ordering::Relaxed) != 0;
        #[cfg(not(feature = "hook"))]
        let is_notified = false;
        is_notified
    }
}

#[cfg(feature = "hook")]
impl Inbox {
    /// Returns the notified buckets and clears them. Called by the worker.
    pub(in crate::rt) fn take_notified(&self) -> u64 {
        self.notified_buckets.swap(0, Ordering::SeqCst)
    }

    /// Notifies the worker of changes in these address buckets, if it awaits any of them. May be
    /// called by any thread and by signal handlers.
    pub(in crate::rt) fn notify_buckets(&self, buckets: u64) {
        let buckets = self.awaited_buckets.load(Ordering::Relaxed) & buckets;
        if buckets != 0 {
            let errno = Errno::save();
            self.notified_buckets.fetch_or(buckets, Ordering::SeqCst);
            self.wake();
            errno.restore();
        }
    }

    pub(in crate::rt) fn await_buckets(&self, buckets: u64) {
        self.awaited_buckets.fetch_or(buckets, Ordering::Relaxed);
    }

    pub(in crate::rt) fn unawait_buckets(&self, buckets: u64) {
        self.awaited_buckets.fetch_and(!buckets, Ordering::Relaxed);
    }
}

/// A message to a worker from any thread.
pub(in crate::rt) enum Message {
    /// Enqueue the coroutine, whose wait has ended.
    Resume(Arc<Parker>),
    /// Call this function in the reactor.
    Run(Box<dyn FnOnce() + Send>),
}

/// Sends `message` to worker `index`, which must exist, and wakes it if it sleeps.
pub(in crate::rt) fn send(index: usize, message: Message) {
    let inbox = of(index);
    inbox.messages.lock().unwrap().push(message);
    inbox.pending.store(true, Ordering::Release);
    inbox.wake();
}

/// Returns the inbox of worker `index`, which must exist.
pub(in crate::rt) fn of(index: usize) -> &'static Inbox {
    &all().expect("the runtime has started")[index]
}

/// Returns the inboxes of all workers; `None` until the runtime starts.
pub(in crate::rt) fn all() -> Option<&'static [Inbox]> {
    INBOXES.get().map(|inboxes| &**inboxes)
}

/// Sets the inboxes of all workers, once, when the runtime starts.
pub(in crate::rt) fn set_all(inboxes: Box<[Inbox]>) {
    INBOXES.set(inboxes).ok().expect("started once, under a lock");
}

/// Calls `f` in the reactor of worker `index`, which must exist. `f` must not wait.
///
/// # Errors
/// In a forked child.
pub(crate) fn post(index: usize, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    check_usable()?;
    send(index, Message::Run(Box::new(f)));
    Ok(())
}

static INBOXES: OnceLock<Box<[Inbox]>> = OnceLock::new();
