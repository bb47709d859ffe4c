//! Wait and wake: the one primitive behind every wait of a coroutine or a plain thread.
//!
//! Each coroutine and each thread has one [`Parker`]. A wait is an *epoch* of it: the waiter opens
//! the epoch, hands out wakers for it, and waits. Exactly one of {a wake, the deadline, a
//! cancellation} ends an epoch, decided by one compare-and-swap, and a waker learns whether it was
//! the one. Waking an epoch that is over does nothing, so wakers may be kept and used late.

use std::cell::{Cell, OnceCell};
use std::io;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::inbox::{self, Message};
use super::observer::Blocking;
use super::thread::ThreadParker;
use crate::rt::fiber::engine::Coroutine;
use crate::rt::fork;
use crate::rt::time::Deadline;
use crate::rt::worker::Worker;

/// One wait of the calling coroutine or thread. At most one is open at a time.
pub(crate) struct Waiter {
    parker: *const Parker,
    epoch: u64,
    _not_send: PhantomData<*const ()>,
}

impl Waiter {
    /// Opens a wait.
    #[inline]
    pub(crate) fn new() -> Waiter {
        let parker = Parker::current();
        // SAFETY: the parker of the running coroutine or thread lives while that runs.
        let state = unsafe { &(*parker).state };
        let old = state.load(Ordering::Relaxed);
        debug_assert_ne!(old & PHASE, WAITING, "a wait is already open here");
        let epoch = (old & !PHASE) + EPOCH;
        state.store(epoch | WAITING, Ordering::Relaxed);
        Waiter { parker, epoch, _not_send: PhantomData }
    }

    /// Returns a handle that can end this wait from any thread, now or later.
    #[inline]
    pub(crate) fn waker(&self) -> Waker {
        // SAFETY: `parker` came from an `Arc` that its coroutine or thread holds while it runs.
        unsafe { Arc::increment_strong_count(self.parker) };
        // SAFETY: the count was raised for this new owner.
        Waker { parker: unsafe { Arc::from_raw(self.parker) }, epoch: self.epoch }
    }

    /// Suspends the caller until a waker of this wait is used, the deadline passes, or the
    /// coroutine is canceled.
    #[inline]
    pub(crate) fn wait(self, deadline: Deadline) -> Result<(), WaitError> {
        // SAFETY: as in `new`.
        let parker = unsafe { &*self.parker };
        match &parker.kind {
            ParkerKind::Fiber(fiber) => self.wait_as_fiber(parker, fiber, deadline),
            ParkerKind::Thread(thread) => self.wait_as_thread(parker, thread, deadline),
        }
    }

    fn wait_as_fiber(
        &self,
        parker: &Parker,
        fiber: &FiberParker,
        deadline: Deadline,
    ) -> Result<(), WaitError> {
        let worker = Worker::current().expect("a coroutine runs on a worker");
        if worker.is_forked() {
            return Err(WaitError::Forked);
        }
        if fiber.is_cancellable() && fiber.canceled.get() && parker.finish(self.epoch, CANCELED) {
            return Err(WaitError::Canceled);
        }
        let timer = match deadline {
            Deadline::NEVER => None,
            _ if parker.phase() == WAITING => {
                if deadline.has_passed() && parker.finish(self.epoch, TIMED_OUT) {
                    return Err(WaitError::TimedOut);
                }
                Some(worker.add_wake_timer(deadline, self.parker, self.epoch))
            }
            _ => None,
        };
        while parker.phase() == WAITING {
            fiber.parked.set(true);
            worker.switch_away();
        }
        if let Some(timer) = timer {
            worker.cancel_timer(timer);
        }
        parker.outcome()
    }

    fn wait_as_thread(
        &self,
        parker: &Parker,
        thread: &ThreadParker,
        deadline: Deadline,
    ) -> Result<(), WaitError> {
        if fork::is_forked() {
            return Err(WaitError::Forked);
        }
        let blocks = parker.phase() == WAITING && !deadline.has_passed();
        let _blocking = blocks.then(Blocking::begin);
        loop {
            if parker.phase() != WAITING {
                return parker.outcome();
            }
            let left = deadline.remaining();
            if left != Some(Duration::ZERO) {
                thread.sleep_if(|| parker.phase() == WAITING, left);
            } else if parker.finish(self.epoch, TIMED_OUT) {
                return Err(WaitError::TimedOut);
            }
        }
    }
}

/// An abandoned wait: its wakers return false from now on.
impl Drop for Waiter {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: as in `new`.
        let parker = unsafe { &*self.parker };
        if parker.phase() == WAITING {
            parker.finish(self.epoch, IDLE);
        }
    }
}

/// Ends one wait of a coroutine or thread. Harmless once that wait has ended.
#[derive(Clone)]
pub(crate) struct Waker {
    parker: Arc<Parker>,
    epoch: u64,
}

impl Waker {
    /// Ends the wait and returns whether this very call did; false if it was over already, by another
    /// wake, its deadline, a cancellation, or because it was abandoned.
    #[inline]
    pub(crate) fn wake(&self) -> bool {
        let won = self.parker.finish(self.epoch, WOKEN);
        if won {
            self.parker.resume();
        }
        won
    }

    /// Whether the wait is still open: a hint for removing dead wakers from a queue.
    pub(crate) fn is_waiting(&self) -> bool {
        self.parker.state.load(Ordering::Relaxed) == self.epoch | WAITING
    }
}

/// Why a wait ended without a wake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WaitError {
    /// The deadline passed first.
    TimedOut,
    /// The coroutine was canceled.
    Canceled,
    /// This process is a fork of the one that started the runtime: nothing would ever wake it.
    Forked,
}

impl From<WaitError> for io::Error {
    fn from(error: WaitError) -> Self {
        io::Error::from_raw_os_error(match error {
            WaitError::TimedOut => libc::ETIMEDOUT,
            WaitError::Canceled => libc::ECANCELED,
            WaitError::Forked => return fork::forked_error(),
        })
    }
}

/// The parker of a coroutine or a plain thread.
pub(crate) struct Parker {
    /// The epoch in the upper bits, its phase in the lowest three.
    state: AtomicU64,
    kind: ParkerKind,
}

enum ParkerKind {
    Fiber(FiberParker),
    Thread(ThreadParker),
}

/// The part of a fiber that its wakers need.
struct FiberParker {
    home: usize,
    coroutine: Coroutine,
    /// Suspended in the engine and not yet queued again. Home worker only.
    parked: Cell<bool>,
    /// Every wait fails with `Canceled`. Home worker only.
    canceled: Cell<bool>,
    /// The id of the coroutine that it runs, or ran last. Home worker only.
    job: Cell<u64>,
    /// The number of open `uncancellable` sections. Home worker only.
    shields: Cell<u32>,
}

impl FiberParker {
    #[inline]
    fn is_cancellable(&self) -> bool {
        self.shields.get() == 0
    }
}

// SAFETY: the cells of `FiberParker` are touched only on the home worker's thread: `resume` checks for
// it, and the others run inside the coroutine itself.
unsafe impl Send for Parker {}
// SAFETY: as for `Send`.
unsafe impl Sync for Parker {}

impl Parker {
    pub(in crate::rt) fn for_fiber(home: usize, coroutine: Coroutine) -> Arc<Parker> {
        Arc::new(Parker {
            state: AtomicU64::new(IDLE),
            kind: ParkerKind::Fiber(FiberParker {
                home,
                coroutine,
                parked: Cell::new(false),
                canceled: Cell::new(false),
                job: Cell::new(0),
                shields: Cell::new(0),
            }),
        })
    }

    fn for_thread() -> Arc<Parker> {
        Arc::new(Parker {
            state: AtomicU64::new(IDLE),
            kind: ParkerKind::Thread(ThreadParker::new()),
        })
    }

    /// Returns the parker of the running coroutine, or of the thread outside of one.
    #[inline]
    fn current() -> *const Parker {
        match Worker::current().and_then(Worker::running) {
            Some(fiber) => Arc::as_ptr(fiber.parker()),
            None => THREAD.try_with(Arc::as_ptr).unwrap_or_else(|_| {
                LATE.with(|late| Arc::as_ptr(late.get_or_init(Parker::for_thread)))
            }),
        }
    }

    /// Returns the engine's coroutine behind this parker.
    #[inline]
    pub(in crate::rt) fn coroutine(&self) -> Coroutine {
        self.fiber().coroutine
    }

    /// Resets the parker for the next job of its fiber. Home worker only.
    #[inline]
    pub(in crate::rt) fn begin_job(&self, job: u64) {
        let fiber = self.fiber();
        fiber.job.set(job);
        fiber.canceled.set(false);
    }

    #[inline]
    pub(in crate::rt) fn job(&self) -> u64 {
        self.fiber().job.get()
    }

    /// Fails every wait of job `job` from now on, if the fiber still runs it. Home worker only.
    pub(in crate::rt) fn cancel(&self, job: u64) {
        if self.job() == job {
            self.fiber().canceled.set(true);
            self.cancel_wait();
        }
    }

    #[inline]
    pub(in crate::rt) fn is_canceled(&self) -> bool {
        self.fiber().canceled.get()
    }

    /// Opens a section in which cancellation ends no wait, or closes it. Home worker only.
    pub(in crate::rt) fn shield(&self, open: bool) {
        let shields = &self.fiber().shields;
        shields.set(if open { shields.get() + 1 } else { shields.get() - 1 });
    }

    /// Marks the coroutine as about to park outside of any wait.
    #[inline]
    pub(in crate::rt) fn set_parked(&self) {
        self.fiber().parked.set(true);
    }

    #[inline]
    fn fiber(&self) -> &FiberParker {
        match &self.kind {
            ParkerKind::Fiber(fiber) => fiber,
            ParkerKind::Thread(_) => unreachable!("called for coroutines only"),
        }
    }

    #[inline]
    fn phase(&self) -> u64 {
        self.state.load(Ordering::Acquire) & PHASE
    }

    fn outcome(&self) -> Result<(), WaitError> {
        match self.phase() {
            TIMED_OUT => Err(WaitError::TimedOut),
            CANCELED => Err(WaitError::Canceled),
            _ => Ok(()),
        }
    }

    /// Moves `epoch` from waiting to `phase` and returns whether this call did.
    #[inline]
    fn finish(&self, epoch: u64, phase: u64) -> bool {
        self.state
            .compare_exchange(epoch | WAITING, epoch | phase, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Ends the wait of `epoch`, whose deadline has passed. Home worker only.
    pub(in crate::rt) fn time_out(&self, epoch: u64) {
        if self.finish(epoch, TIMED_OUT) {
            self.resume_home();
        }
    }

    /// Cancels the open wait, if there is one and it is cancellable. Home worker only.
    fn cancel_wait(&self) {
        if !self.fiber().is_cancellable() {
            return;
        }
        let state = self.state.load(Ordering::Relaxed);
        if state & PHASE == WAITING && self.finish(state & !PHASE, CANCELED) {
            self.resume_home();
        }
    }

    /// Lets the waiter continue, whose wait is over.
    #[inline]
    fn resume(self: &Arc<Self>) {
        match &self.kind {
            ParkerKind::Thread(thread) => thread.wake(),
            ParkerKind::Fiber(fiber) => match Worker::current() {
                Some(worker) if worker.index() == fiber.home => self.resume_on(worker),
                _ => inbox::send(fiber.home, Message::Resume(self.clone())),
            },
        }
    }

    /// Lets the waiter continue. Home worker only.
    #[inline]
    pub(in crate::rt) fn resume_home(&self) {
        let worker = Worker::current().expect("called on the home worker");
        self.resume_on(worker);
    }

    #[inline]
    fn resume_on(&self, worker: &Worker) {
        let fiber = self.fiber();
        debug_assert_eq!(worker.index(), fiber.home);
        // If it is not parked yet, it checks its state before it parks.
        if fiber.parked.replace(false) {
            worker.enqueue(fiber.coroutine);
        }
    }
}

thread_local! {
    static THREAD: Arc<Parker> = Parker::for_thread();
    /// For a thread whose `THREAD` is destroyed; never destroyed itself. An exiting thread may still
    /// wait, for example in destructors of static objects.
    static LATE: ManuallyDrop<OnceCell<Arc<Parker>>> =
        const { ManuallyDrop::new(OnceCell::new()) };
}

const PHASE: u64 = 7;
const EPOCH: u64 = 8;
const IDLE: u64 = 0;
const WAITING: u64 = 1;
const WOKEN: u64 = 2;
const TIMED_OUT: u64 = 3;
const CANCELED: u64 = 4;
