//! A worker: one thread, its run queue, its reactor, its timers, its pool of coroutines.
//!
//! Everything here but [`Shared`] is touched on the worker's own thread alone. Whoever is
//! elsewhere goes through [`send`]: a message in the inbox, and an eventfd write if the worker
//! sleeps.

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
    shared: &'static Shared,
    /// The coroutines that can run, in turn.
    ready: RefCell<VecDeque<Coroutine>>,
    /// Switches since the fds were last looked at, and the coarse clock at that time.
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
    /// The worker whose thread this is.
    #[inline]
    pub(crate) fn current() -> Option<&'static Worker> {
        let worker = CURRENT.get();
        // SAFETY: set once per worker thread, to a worker that is never freed.
        unsafe { worker.as_ref() }
    }

    /// Makes the calling thread worker `index`. Its reactor calls this first.
    pub(super) fn adopt_thread(index: usize) -> io::Result<&'static Worker> {
        let shared = shared(index);
        let poller = Poller::new(&shared.wake_fd)?;
        let worker = Box::leak(Box::new(Worker {
            index,
            shared,
            ready: RefCell::default(),
            switches: Cell::new(0),
            polled_at: Cell::new(0),
            running: Cell::new(std::ptr::null()),
            timers: RefCell::new(Wheel::new(time::now_ns())),
            fibers: FiberPool::new(),
            raw_fds: RawFds::new(&poller)?,
            #[cfg(feature = "hook")]
            address_waits: AddressWaits::new(shared),
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

    /// The coroutine that runs; none while the reactor does.
    #[inline]
    pub(super) fn running(&self) -> Option<&'static Fiber> {
        // SAFETY: set by the running coroutine to its own fiber, which outlives its running.
        unsafe { self.running.get().as_ref() }
    }

    pub(super) fn is_forked(&self) -> bool {
        is_forked()
    }

    /// Puts a suspended coroutine at the end of the run queue.
    #[inline]
    pub(super) fn enqueue(&self, coroutine: Coroutine) {
        self.ready.borrow_mut().push_back(coroutine);
    }

    /// Suspends the running coroutine, which somebody will [`enqueue`](Self::enqueue), with all
    /// that belongs to it and not to the thread put aside.
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

    /// Lets every coroutine that is ready run, and the fds be looked at if that is due.
    #[inline]
    pub(super) fn yield_now(&self, coroutine: Coroutine) {
        if self.is_ready_empty() && !self.count_switch() {
            return;
        }
        self.enqueue(coroutine);
        self.switch_away();
    }

    /// The coroutine's first moment: nothing put aside yet.
    #[inline]
    pub(super) fn started(&self, fiber: *const Fiber) {
        self.running.set(fiber);
        self.thread_context.reset();
    }

    /// Runs what can run, until nothing can or it is time to look at the fds and timers again.
    pub(super) fn run_ready(&self) {
        self.switches.set(0);
        self.polled_at.set(time::coarse_ns());
        loop {
            let mut next = self.ready.borrow_mut().pop_front();
            if next.is_none() && self.serve_notes() {
                next = self.ready.borrow_mut().pop_front();
            }
            let Some(coroutine) = next else { break };
            // SAFETY: what is in the queue was put there once, suspended or about to be, and is
            // on its own worker, which is not in it now.
            unsafe { coroutine.resume() };
            if self.count_switch() {
                break;
            }
        }
        self.running.set(std::ptr::null());
    }

    /// Counts a switch; true if the fds and timers should be looked at by now.
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

    /// Moves what is due into `fired`.
    pub(super) fn expire_timers(&self, fired: &mut Vec<TimerEvent>) {
        let mut timers = self.timers.borrow_mut();
        if !timers.is_empty() {
            timers.expire(time::now_ns(), fired);
        }
    }

    // ---- the inbox ----

    pub(super) fn take_inbox(&self, into: &mut Vec<Message>) {
        if self.shared.pending.load(Ordering::Acquire) {
            let mut inbox = self.shared.inbox.lock().unwrap();
            self.shared.pending.store(false, Ordering::Relaxed);
            into.append(&mut inbox);
        }
    }

    /// Announces that this worker is about to block; false if a message or a note came meanwhile.
    pub(super) fn may_sleep(&self) -> bool {
        self.shared.sleeping.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        !self.shared.pending.load(Ordering::Relaxed) && !self.shared.is_noted()
    }

    pub(super) fn woke_up(&self) {
        self.shared.sleeping.store(false, Ordering::Relaxed);
    }

    /// Lets the coroutines look whose addresses were notified; false if there was no note.
    pub(super) fn serve_notes(&self) -> bool {
        #[cfg(feature = "hook")]
        if self.shared.is_noted() {
            self.address_waits.serve(self.shared.noted.swap(0, Ordering::SeqCst));
            return true;
        }
        false
    }
}

/// What other threads see of a worker.
pub(super) struct Shared {
    inbox: Mutex<Vec<Message>>,
    /// Whether the inbox holds anything: spares the lock.
    pending: AtomicBool,
    /// Whether the worker blocks, or is about to, and must be woken by its eventfd.
    sleeping: AtomicBool,
    wake_fd: OwnedFd,
    /// The buckets of addresses for which coroutines wait here, and those that were notified.
    #[cfg(feature = "hook")]
    awaited: AtomicU64,
    #[cfg(feature = "hook")]
    noted: AtomicU64,
}

impl Shared {
    pub(super) fn new(wake_fd: OwnedFd) -> Shared {
        Shared {
            inbox: Mutex::new(Vec::new()),
            pending: AtomicBool::new(false),
            sleeping: AtomicBool::new(false),
            wake_fd,
            #[cfg(feature = "hook")]
            awaited: AtomicU64::new(0),
            #[cfg(feature = "hook")]
            noted: AtomicU64::new(0),
        }
    }

    /// Wakes the worker if it sleeps. What it shall see was written before.
    fn wake(&self) {
        // Pairs with the fence of `may_sleep`: either the worker sees what there is, or we see
        // `sleeping`.
        fence(Ordering::SeqCst);
        if self.sleeping.swap(false, Ordering::Relaxed) {
            let one = 1u64.to_ne_bytes();
            // SAFETY: eight bytes from a live array. It can only fail with EAGAIN, when the worker
            // has long been woken.
            unsafe { sys::c::write(self.wake_fd.as_raw_fd(), one.as_ptr().cast(), one.len()) };
        }
    }

    #[inline]
    fn is_noted(&self) -> bool {
        #[cfg(feature = "hook")]
        let noted = self.noted.load(Ordering::Relaxed) != 0;
        #[cfg(not(feature = "hook"))]
        let noted = false;
        noted
    }
}

#[cfg(feature = "hook")]
impl Shared {
    /// Tells the worker of changes in these buckets, if it waits for any. From anywhere, also from
    /// signal handlers.
    pub(super) fn note(&self, buckets: u64) {
        let buckets = self.awaited.load(Ordering::Relaxed) & buckets;
        if buckets != 0 {
            let errno = Errno::save();
            self.noted.fetch_or(buckets, Ordering::SeqCst);
            self.wake();
            errno.restore();
        }
    }

    pub(super) fn expect_notes(&self, buckets: u64) {
        self.awaited.fetch_or(buckets, Ordering::Relaxed);
    }

    pub(super) fn expect_no_notes(&self, buckets: u64) {
        self.awaited.fetch_and(!buckets, Ordering::Relaxed);
    }
}

/// What can be asked of a worker from anywhere.
pub(super) enum Message {
    /// The coroutine's wait is over: queue it.
    Resume(Arc<Parker>),
    /// Call this in the reactor.
    Run(Box<dyn FnOnce() + Send>),
}

/// Leaves `message` for worker `index`, which must exist, and wakes it if it sleeps.
pub(super) fn send(index: usize, message: Message) {
    let shared = shared(index);
    shared.inbox.lock().unwrap().push(message);
    shared.pending.store(true, Ordering::Release);
    shared.wake();
}

fn shared(index: usize) -> &'static Shared {
    &start::workers().expect("the runtime has started")[index]
}

/// Whether this process is a fork of the one in which the runtime was started.
pub(super) fn is_forked() -> bool {
    FORKED.load(Ordering::Relaxed)
}

/// Called in the child right after a fork.
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

/// Calls `f` soon in the reactor of worker `index`, which must exist. `f` must not wait.
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

/// How many switches a busy worker makes before it looks at its fds and timers again.
const SWITCHES_PER_POLL: u32 = 61;
