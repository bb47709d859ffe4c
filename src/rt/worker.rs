//! A worker: one thread with its run queue, reactor, timers and fiber pool.
//!
//! All of it is touched only on the worker's own thread. Other threads go through the worker's
//! [`Inbox`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;

use super::fiber::context::{Errno, ThreadContext};
use super::fiber::engine::{self, Coroutine};
use super::fiber::{Fiber, FiberPool};
use super::fork;
use super::io::poller::Poller;
use super::io::rawfd::RawFds;
#[cfg(feature = "hook")]
use super::lock_check::HeldLocks;
#[cfg(feature = "hook")]
use super::park::addr_wait::AddressWaits;
use super::park::inbox::{self, Inbox};
use super::park::wait::Parker;
#[cfg(feature = "hook")]
use super::start;
use super::time::{self, Deadline};
use super::timer::TimerEvent;
use crate::wheel::{TimerId, Wheel};

pub(crate) struct Worker {
    index: usize,
    inbox: &'static Inbox,
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
        let inbox = inbox::of(index);
        let poller = Poller::new(inbox.wake_fd())?;
        let worker = Box::leak(Box::new(Worker {
            index,
            inbox,
            ready: RefCell::default(),
            switches: Cell::new(0),
            polled_at: Cell::new(0),
            running: Cell::new(std::ptr::null()),
            timers: RefCell::new(Wheel::new(time::now_ns())),
            fibers: FiberPool::new(),
            raw_fds: RawFds::new(&poller)?,
            #[cfg(feature = "hook")]
            address_waits: AddressWaits::new(inbox),
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
        fork::is_forked()
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

    #[inline]
    pub(super) fn inbox(&self) -> &'static Inbox {
        self.inbox
    }

    /// Lets coroutines whose addresses were notified check them; returns whether any was notified.
    pub(super) fn serve_notified_addresses(&self) -> bool {
        #[cfg(feature = "hook")]
        if self.inbox.is_notified() {
            self.address_waits.serve(self.inbox.take_notified());
            return true;
        }
        false
    }
}

thread_local! {
    static CURRENT: Cell<*const Worker> = const { Cell::new(std::ptr::null()) };
}

/// Switches that a busy worker makes between two polls of its fds and timers.
const SWITCHES_PER_POLL: u32 = 61;
