//! A worker: one thread with its run queue, reactor, timers and fiber pool.
//!
//! Everything but [`Remote`] is touched only on the worker's own thread. Other threads go through
//! [`send`]: a message in the inbox, and an eventfd write if the worker sleeps.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
#[cfg(feature = "hook")]
use std::sync::atomic::AtomicU64;
use std::sync::atomic::{AtomicBool, Ordering, fence};
use std::sync::{Arc, Mutex};

use super::fiber::context::{Errno, ThreadContext};
use super::fiber::engine::{self, Coroutine};
use super::fiber::{Fiber, FiberPool};
use super::io::poller::Poller;
use super::io::rawfd::RawFds;
#[cfg(feature = "hook")]
use super::lock_check::HeldLocks;
#[cfg(feature = "hook")]
use super::park::addr_wait::AddressWaits;
use super::park::wait::Parker;
use super::start;
use super::time::{self, Deadline};
use super::timer::TimerEvent;
use crate::sys;
use crate::wheel::{TimerId, Wheel};

pub(crate) struct Worker {
    index: usize,
    remote: &'static Remote,
    /// The run queue.
    ready: RefCell<VecDeque<Coroutine>>,
    /// Switches since the fds were last polled, and the coarse clock at that time.
    switches: Cell<u32>,
    polled_at: Cell<u64>,
    running: Cell<*const Fiber>,
    timers: RefCell<Wheel<TimerEvent>>,
    pub(super) fibers: FiberPool,
    pub(super) poller: Poller,
    pub(super) raw_fds: RawFds,
    #[cfg(feature = "hook")]
    pub(super) address_waits: AddressWaits,
    #[cfg(feature = "hook")]
    pub(super) held: HeldLocks,
    thread_context: ThreadContext,
}

impl Worker {
    /// Returns the worker of the calling thread.
    #[inline]
    pub(crate) fn current() -> Option<&'static Worker> {
        let worker = CURRENT.get();
        // SAFETY: set once per worker thread, to a worker that is never freed.
        unsafe { worker.as_ref() }
    }

    /// Makes the calling thread worker `index`. The reactor calls this first.
    pub(super) fn adopt_thread(index: usize) -> io::Result<&'static Worker> {
        let remote = remote(index);
        let poller = Poller::new(&remote.wake_fd)?;
        let worker = Box::leak(Box::new(Worker {
            index,
            remote,
            ready: RefCell::default(),
            switches: Cell::new(0),
            polled_at: Cell::new(0),
            running: Cell::new(std::ptr::null()),
            timers: RefCell::new(Wheel::new(time::now_ns())),
            fibers: FiberPool::new(),
            raw_fds: RawFds::new(&poller)?,
            #[cfg(feature = "hook")]
            address_waits: AddressWaits::new(remote),
            #[cfg(feature = "hook")]
            held: HeldLocks::new(start::lock_options()),
            poller,
            thread_context: ThreadContext::of_this_thread(),
        }));
        CURRENT.set(worker);
        Ok(worker)
    }

    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Returns the running fiber; `None` while the reactor runs.
    #[inline]
    pub(super) fn running(&self) -> Option<&'static Fiber> {
        // SAFETY: the running coroutine sets it to its own fiber, which lives while it runs.
        unsafe { self.running.get().as_ref() }
    }

    pub(super) fn is_forked(&self) -> bool {
        is_forked()
    }

    /// Appends a suspended coroutine to the run queue.
    #[inline]
    pub(super) fn enqueue(&self, coroutine: Coroutine) {
        self.ready.borrow_mut().push_back(coroutine);
    }

    /// Suspends the running coroutine until it is [enqueued](Self::enqueue). Saves and restores what
    /// belongs to the coroutine rather than the thread.
    #[inline]
    pub(super) fn switch_away(&self) {
        let fiber = self.running.get();
        let errno = Errno::save();
        #[cfg(feature = "hook")]
        if let Some(fiber) = self.running()
            && fiber.held.get() != 0
        {
            self.held.note_wait(fiber);
        }
        let context = self.thread_context.save();
        engine::suspend();
        self.running.set(fiber);
        self.thread_context.restore(context);
        errno.restore();
    }

    /// Lets every runnable coroutine run, and polls the fds if that is due.
    #[inline]
    pub(super) fn yield_now(&self, coroutine: Coroutine) {
        if self.is_ready_empty() && !self.count_switch() {
            return;
        }
        self.enqueue(coroutine);
        self.switch_away();
    }

    /// Called by a coroutine when it begins a job: nothing is saved yet.
    #[inline]
    pub(super) fn started(&self, fiber: *const Fiber) {
        self.running.set(fiber);
        self.thread_context.reset();
    }

    /// Runs runnable coroutines until there are none or it is time to poll the fds and timers.
    pub(super) fn run_ready(&self) {
        self.switches.set(0);
        self.polled_at.set(time::coarse_ns());
        loop {
            let mut next = self.ready.borrow_mut().pop_front();
            if next.is_none() && self.serve_notified_addresses() {
                next = self.ready.borrow_mut().pop_front();
            }
            let Some(coroutine) = next else { break };
            // SAFETY: a coroutine is in the queue of its own worker at most once, suspended or about
            // to be, and the reactor runs now, so no coroutine does.
            unsafe { coroutine.resume() };
            if self.count_switch() {
                break;
            }
        }
        self.running.set(std::ptr::null());
    }

    /// Counts a switch and returns whether the fds and timers are due to be polled.
    #[inline]
    fn count_switch(&self) -> bool {
        let switches = self.switches.get() + 1;
        self.switches.set(switches);
        switches >= SWITCHES_PER_POLL || time::coarse_ns() != self.polled_at.get()
    }

    #[inline]
    pub(super) fn is_ready_empty(&self) -> bool {
        self.ready.borrow().is_empty()
    }

    // ---- timers ----

    pub(super) fn add_timer(&self, deadline: Deadline, event: TimerEvent) -> TimerId {
        self.timers.borrow_mut().insert(deadline.ns(), event)
    }

    #[inline]
    pub(super) fn add_wake_timer(
        &self,
        deadline: Deadline,
        parker: *const Parker,
        epoch: u64,
    ) -> TimerId {
        self.add_timer(deadline, TimerEvent::Wake { parker, epoch })
    }

    #[inline]
    pub(super) fn cancel_timer(&self, id: TimerId) -> Option<TimerEvent> {
        self.timers.borrow_mut().cancel(id)
    }

    pub(super) fn next_timer(&self) -> Deadline {
        self.timers.borrow_mut().next_deadline().map_or(Deadline::NEVER, Deadline::from_ns)
    }

    /// Moves the events that are due to `fired`.
    pub(super) fn expire_timers(&self, fired: &mut Vec<TimerEvent>) {
        let mut timers = self.timers.borrow_mut();
        if !timers.is_empty() {
            timers.expire(time::now_ns(), fired);
        }
    }

    // ---- the inbox ----

    pub(super) fn take_inbox(&self, into: &mut Vec<Message>) {
        if self.remote.pending.load(Ordering::Acquire) {
            let mut inbox = self.remote.inbox.lock().unwrap();
            self.remote.pending.store(false, Ordering::Relaxed);
            into.append(&mut inbox);
        }
    }

    /// Announces that this worker is about to block; false if a message or an address notification
    /// has arrived.
    pub(super) fn may_sleep(&self) -> bool {
        self.remote.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.remote.pending.load(Ordering::Relaxed) && !self.remote.is_notified()
    }

    pub(super) fn woke_up(&self) {
        self.remote.sleeping.store(false, Ordering::Relaxed);
    }

    /// Lets coroutines whose addresses were notified check them; returns whether any was notified.
    pub(super) fn serve_notified_addresses(&self) -> bool {
        #[cfg(feature = "hook")]
        if self.remote.is_notified() {
            let notified = self.remote.notified_buckets.swap(0, Ordering::SeqCst);
            self.address_waits.serve(notified);
            return true;
        }
        false
    }
}

/// The part of a worker that other threads reach.
pub(super) struct Remote {
    inbox: Mutex<Vec<Message>>,
    /// Whether the inbox is not empty: saves the lock.
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

impl Remote {
    pub(super) fn new(wake_fd: OwnedFd) -> Remote {
        Remote {
            inbox: Mutex::new(Vec::new()),
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

    #[inline]
    fn is_notified(&self) -> bool {
        #[cfg(feature = "hook")]
        let is_notified = self.notified_buckets.load(Ordering::Relaxed) != 0;
        #[cfg(not(feature = "hook"))]
        let is_notified = false;
        is_notified
    }
}

#[cfg(feature = "hook")]
impl Remote {
    /// Notifies the worker of changes in these address buckets, if it awaits any of them. May be
    /// called by any thread and by signal handlers.
    pub(super) fn notify_buckets(&self, buckets: u64) {
        let buckets = self.awaited_buckets.load(Ordering::Relaxed) & buckets;
        if buckets != 0 {
            let errno = Errno::save();
            self.notified_buckets.fetch_or(buckets, Ordering::SeqCst);
            self.wake();
            errno.restore();
        }
    }

    pub(super) fn await_buckets(&self, buckets: u64) {
        self.awaited_buckets.fetch_or(buckets, Ordering::Relaxed);
    }

    pub(super) fn unawait_buckets(&self, buckets: u64) {
        self.awaited_buckets.fetch_and(!buckets, Ordering::Relaxed);
    }
}

/// A message to a worker from any thread.
pub(super) enum Message {
    /// Enqueue the coroutine, whose wait has ended.
    Resume(Arc<Parker>),
    /// Call this function in the reactor.
    Run(Box<dyn FnOnce() + Send>),
}

/// Sends `message` to worker `index`, which must exist, and wakes it if it sleeps.
pub(super) fn send(index: usize, message: Message) {
    let remote = remote(index);
    remote.inbox.lock().unwrap().push(message);
    remote.pending.store(true, Ordering::Release);
    remote.wake();
}

fn remote(index: usize) -> &'static Remote {
    &start::workers().expect("the runtime has started")[index]
}

/// Whether this process is a fork of the one in which the runtime was started.
pub(super) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Called in a child right after the fork.
pub(super) fn set_forked() {
    FORKED.store(true, Ordering::Relaxed);
}

/// Checks that the runtime can be used in this process.
///
/// # Errors
/// In a process that was forked from one in which the runtime had started.
pub fn check_usable() -> io::Result<()> {
    if is_forked() { Err(forked_error()) } else { Ok(()) }
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

pub(super) fn forked_error() -> io::Error {
    io::Error::other(ForkedError)
}

/// The error of every call into the runtime in a forked child.
#[derive(Debug)]
pub(crate) struct ForkedError;

impl std::fmt::Display for ForkedError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the fastrpc runtime was started before this process was forked and does not run in \
             the child: fork before the first use",
        )
    }
}

impl std::error::Error for ForkedError {}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(std::ptr::null()) };
}

static FORKED: AtomicBool = AtomicBool::new(false);

/// Switches that a busy worker makes between two polls of its fds and timers.
const SWITCHES_PER_POLL: u32 = 61;
