//! The lock check: pthread mutexes and reader-writer locks that coroutines hold while they wait.
//!
//! A coroutine that waits while it holds a mutex blocks others for as long: another coroutine of the
//! same worker forever, because it blocks the only thread on which the holder could continue and
//! unlock. `crate::hook` reports locks and unlocks here; a wait checks one counter. Nothing here
//! allocates, except where a wait with a mutex is recorded.

mod report;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use self::report::Incidents;
use crate::rt::fiber::Fiber;
use crate::rt::fork;
use crate::rt::task;
use crate::rt::worker::Worker;
use crate::sys::valgrind;

/// The calling coroutine as a holder of locks.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    worker: &'static Worker,
    fiber: &'static Fiber,
}

impl Holder {
    /// Returns the caller; `None` in a plain thread and where locks are not tracked.
    #[inline]
    pub(crate) fn current() -> Option<Holder> {
        let worker = Worker::current()?;
        let fiber = worker.running()?;
        // A signal handler on a stack of its own is not the coroutine.
        let marker = 0u8;
        let is_tracked = worker.held.is_tracked
            && fiber.stack().contains(&raw const marker as usize)
            && !fork::is_forked();
        is_tracked.then_some(Holder { worker, fiber })
    }

    /// Records that it has locked the mutex at `address`.
    #[inline]
    pub(crate) fn push(self, address: usize, held_as: HeldAs, site: Site) {
        let held = &self.worker.held;
        let count = held.count.get();
        if let Some(entry) = held.locks.get(count) {
            let traced = site.0[0] == held.traced.get() && self.trace();
            let fiber = self.fiber;
            let lock =
                Lock { fiber, address, held_as, site, traced, waited: false, incident: None };
            entry.set(lock);
            held.count.set(count + 1);
            self.fiber.held.set(self.fiber.held.get() + 1);
        }
    }

    /// Captures the stack of the lock being recorded, unless the mutex was handed over by another
    /// coroutine, whose stack this is.
    #[cold]
    fn trace(self) -> bool {
        let held = &self.worker.held;
        if !self.worker.running().is_some_and(|running| std::ptr::eq(running, self.fiber)) {
            return false;
        }
        let call = held.traced.replace(usize::MAX);
        held.incidents.try_borrow_mut().map(|mut incidents| incidents.trace(call)).is_ok()
    }

    /// Records that it has unlocked the mutex at `address`, and lets this worker's waiters try at
    /// once: otherwise it could lock again before they ever do.
    #[inline]
    pub(crate) fn pop(self, address: usize) {
        let held = &self.worker.held;
        let mine = |lock: &Lock| lock.address == address && std::ptr::eq(lock.fiber, self.fiber);
        // Locks are mostly unlocked in reverse order. Another coroutine of the worker may unlock what
        // this one has locked.
        let found = held.find(mine).or_else(|| held.find(|lock| lock.address == address));
        if let Some(index) = found {
            held.remove(index);
        }
        self.worker.address_waits.serve_address(address);
    }

    /// Records that another coroutine no longer holds the mutex at `address`.
    #[cold]
    pub(crate) fn pop_of_other(self, address: usize) {
        let held = &self.worker.held;
        let theirs = |lock: &Lock| lock.address == address && !std::ptr::eq(lock.fiber, self.fiber);
        if let Some(index) = held.find(theirs) {
            held.remove(index);
        }
    }

    /// Whether a lock that has to wait suspends it.
    #[inline]
    pub(crate) fn suspends(self) -> bool {
        self.worker.held.suspend && self.fiber.hooked.get()
    }

    /// Returns the call that locked the mutex at `address`, if this coroutine holds it.
    pub(crate) fn site_of(self, address: usize) -> Option<Site> {
        let held = &self.worker.held;
        let mine = |lock: &Lock| lock.address == address && std::ptr::eq(lock.fiber, self.fiber);
        held.find(mine).map(|index| held.locks[index].get().site)
    }

    /// Whether another coroutine of this worker holds the mutex, and so cannot unlock it while this one
    /// runs.
    #[inline]
    pub(crate) fn is_held_by_other(self, address: usize) -> bool {
        let held = &self.worker.held;
        held.count.get() != self.fiber.held.get() && held.other(self.fiber, address).is_some()
    }

    /// Reports a deadlock: it locks the mutex, which another coroutine of this worker holds in a wait.
    #[cold]
    pub(crate) fn report_deadlock(self, address: usize) {
        let held = &self.worker.held;
        // Where locks suspend, no wait is recorded. A holder that has not run since it was handed the
        // mutex is no deadlock.
        if let Some(lock) = held.other(self.fiber, address).filter(|lock| lock.waited) {
            DEADLOCKS.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut incidents) = held.incidents.try_borrow_mut() {
                incidents.deadlock(self.fiber, &lock);
                held.unreported.set(true);
            }
        }
    }

    /// Returns the call site for the return address `address` and `frame`, the caller's frame pointer
    /// if its code keeps one.
    #[inline]
    pub(crate) fn site(self, address: usize, frame: usize) -> Site {
        let mut site = Site([address, 0, 0, 0]);
        if !self.worker.held.walks {
            return site;
        }
        let mut frame = frame;
        for level in &mut site.0[1..] {
            // Without frame pointers this may be any value. It is followed only to two words of this
            // stack above the frames in use, which are readable whatever they mean.
            let marker = 0u8;
            let inside = self.fiber.stack().contains(frame.saturating_add(15));
            if !inside || !frame.is_multiple_of(8) || frame <= &raw const marker as usize {
                break;
            }
            // SAFETY: two words of the running coroutine's stack.
            let [next, address] = unsafe { (frame as *const [usize; 2]).read() };
            *level = address;
            if next <= frame {
                break;
            }
            frame = next;
        }
        site
    }
}

/// Returns the number of waits so far whose coroutine held a pthread lock.
pub(crate) fn waits_with_locks() -> u64 {
    WAITS.load(Ordering::Relaxed)
}

/// Returns the number of attempts so far to lock a mutex that another coroutine of the same worker held
/// in a wait.
pub(crate) fn deadlocks() -> u64 {
    DEADLOCKS.load(Ordering::Relaxed)
}

/// The pthread locks that the coroutines of one worker hold. Home worker only.
pub(in crate::rt) struct HeldLocks {
    /// Whether locks are recorded at all.
    is_tracked: bool,
    /// Whether waits with locks are logged.
    is_reported: bool,
    /// Whether locks suspend.
    suspend: bool,
    /// Whether call sites include the callers of callers.
    walks: bool,
    count: Cell<usize>,
    /// In the order of locking. Further locks are not tracked.
    locks: [Cell<Lock>; MAX_LOCKS],
    incidents: RefCell<Incidents>,
    /// The call at which the whole stack of the next lock is captured: so far only the call is known.
    traced: Cell<usize>,
    unreported: Cell<bool>,
}

impl HeldLocks {
    pub(in crate::rt) fn new((lock_check, hook_locks): (bool, bool)) -> HeldLocks {
        let none = Lock {
            fiber: std::ptr::null(),
            address: 0,
            held_as: HeldAs::Mutex,
            site: Site::UNKNOWN,
            traced: false,
            waited: false,
            incident: None,
        };
        HeldLocks {
            is_tracked: lock_check || hook_locks,
            // Waiting with a lock is correct where locks suspend.
            is_reported: lock_check && !hook_locks,
            suspend: hook_locks,
            // valgrind would report each read of what only may be a frame.
            walks: !valgrind::is_running(),
            count: Cell::new(0),
            locks: std::array::from_fn(|_| Cell::new(none)),
            incidents: RefCell::default(),
            // No call has this address.
            traced: Cell::new(usize::MAX),
            unreported: Cell::new(false),
        }
    }

    /// Records that `fiber`, which is running and holds locks, is about to wait.
    #[cold]
    pub(in crate::rt) fn note_wait(&self, fiber: &Fiber) {
        WAITS.fetch_add(1, Ordering::Relaxed);
        if !self.is_reported {
            return;
        }
        // Fails when re-entered by an allocator that locks.
        let Ok(mut incidents) = self.incidents.try_borrow_mut() else { return };
        for entry in &self.locks[..self.count.get()] {
            let mut lock = entry.get();
            if std::ptr::eq(lock.fiber, fiber) {
                let (incident, is_new) = incidents.wait(fiber, &lock);
                (lock.waited, lock.traced, lock.incident) = (true, false, incident);
                entry.set(lock);
                self.unreported.set(self.unreported.get() || is_new);
            }
        }
        self.traced.set(incidents.untraced());
    }

    /// Forgets the locks of `fiber`, which has ended.
    #[cold]
    pub(in crate::rt) fn forget(&self, fiber: &Fiber) {
        while let Some(index) = self.find(|lock| std::ptr::eq(lock.fiber, fiber)) {
            self.remove(index);
        }
    }

    /// Logs new incidents, in a coroutine: the program's logger may lock a mutex that a coroutine
    /// holds.
    #[inline]
    pub(in crate::rt) fn report(&self) {
        if self.unreported.replace(false) {
            let texts = self.incidents.borrow_mut().unreported();
            let log = || texts.into_iter().for_each(|(level, text)| log::log!(level, "{text}"));
            // Without memory for the coroutine, incidents are only counted.
            let _ = task::spawn_detached("lock-check", log);
        }
    }

    fn find(&self, is_it: impl Fn(&Lock) -> bool) -> Option<usize> {
        self.locks[..self.count.get()].iter().rposition(|lock| is_it(&lock.get()))
    }

    fn other(&self, fiber: &Fiber, address: usize) -> Option<Lock> {
        let theirs = |lock: &Lock| lock.address == address && !std::ptr::eq(lock.fiber, fiber);
        self.find(theirs).map(|index| self.locks[index].get())
    }

    fn remove(&self, index: usize) {
        // SAFETY: a fiber is alive while its locks are in the table.
        let fiber = unsafe { &*self.locks[index].get().fiber };
        fiber.held.set(fiber.held.get() - 1);
        let last = self.count.get() - 1;
        for index in index..last {
            self.locks[index].set(self.locks[index + 1].get());
        }
        self.count.set(last);
    }
}

/// A lock that a coroutine holds.
#[derive(Clone, Copy)]
pub(in crate::rt) struct Lock {
    fiber: *const Fiber,
    pub(in crate::rt) address: usize,
    pub(in crate::rt) held_as: HeldAs,
    pub(in crate::rt) site: Site,
    /// Whether its stack was captured when it was locked.
    pub(in crate::rt) traced: bool,
    /// Whether its holder has waited while holding it.
    waited: bool,
    /// The last wait with it, if that was recorded.
    pub(in crate::rt) incident: Option<usize>,
}

impl Lock {
    pub(in crate::rt) fn fiber(&self) -> &Fiber {
        // SAFETY: as in `remove`.
        unsafe { &*self.fiber }
    }
}

/// The kind of a lock and how it is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldAs {
    Mutex,
    /// A reader-writer lock held for reading, maybe by others too.
    Reader,
    /// A reader-writer lock held for writing.
    Writer,
}

impl HeldAs {
    /// Whether no other can hold it at the same time.
    pub(crate) fn is_exclusive(self) -> bool {
        self != HeldAs::Reader
    }
}

/// A call site: the return addresses of a call, of its caller and so on. Only the first is reliable.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site(pub(in crate::rt) [usize; 4]);

impl Site {
    pub(crate) const UNKNOWN: Site = Site([0; 4]);
}

static WAITS: AtomicU64 = AtomicU64::new(0);
static DEADLOCKS: AtomicU64 = AtomicU64::new(0);

const MAX_LOCKS: usize = 64;
