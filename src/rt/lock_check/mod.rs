//! Which mutexes of pthreads, and locks for readers and writers, the coroutines of a worker hold,
//! and who waits with one.
//!
//! A coroutine that waits while it holds a mutex keeps others from it for as long as it waits: and
//! another coroutine of the same worker for ever, because that blocks the thread on which alone the
//! holder could go on and unlock. `crate::hook` counts the locks and unlocks here; a wait looks at
//! one number. Nothing here takes memory, except where a wait with a mutex is noted.

mod report;

use std::cell::{Cell, RefCell};
use std::sync::atomic::{AtomicU64, Ordering};

use self::report::Incidents;
use crate::rt::fiber::Fiber;
use crate::rt::task;
use crate::rt::worker::{self, Worker};
use crate::sys::valgrind;

/// The calling coroutine, as one that locks and unlocks.
#[derive(Clone, Copy)]
pub(crate) struct Holder {
    worker: &'static Worker,
    fiber: &'static Fiber,
}

impl Holder {
    /// The caller; `None` in a plain thread, and where locks are not watched.
    #[inline]
    pub(crate) fn current() -> Option<Holder> {
        let worker = Worker::current()?;
        let fiber = worker.running()?;
        // A signal handler on its own stack is no coroutine.
        let marker = 0u8;
        let watched = worker.held.is_watched
            && fiber.stack().contains(&raw const marker as usize)
            && !worker::is_forked();
        watched.then_some(Holder { worker, fiber })
    }

    /// Notes that it has locked the mutex at `address`.
    #[inline]
    pub(crate) fn push(self, address: usize, held_as: HeldAs, site: Site) {
        let held = &self.worker.held;
        let count = held.count.get();
        if let Some(place) = held.locks.get(count) {
            let traced = site.0[0] == held.traced.get() && self.trace();
            let fiber = self.fiber;
            let lock =
                Lock { fiber, address, held_as, site, traced, waited: false, incident: None };
            place.set(lock);
            held.count.set(count + 1);
            self.fiber.held.set(self.fiber.held.get() + 1);
        }
    }

    /// Looks at the stack of the lock that is being noted, if it is that of the holder: the mutex may
    /// have been handed over by another.
    #[cold]
    fn trace(self) -> bool {
        let held = &self.worker.held;
        if !self.worker.running().is_some_and(|running| std::ptr::eq(running, self.fiber)) {
            return false;
        }
        let place = held.traced.replace(usize::MAX);
        held.incidents.try_borrow_mut().map(|mut incidents| incidents.trace(place)).is_ok()
    }

    /// Notes that it has unlocked the mutex at `address`, and lets those of this worker look who wait
    /// for it: now, or it could lock again and again before they ever do.
    #[inline]
    pub(crate) fn pop(self, address: usize) {
        let held = &self.worker.held;
        let mine = |lock: &Lock| lock.address == address && std::ptr::eq(lock.fiber, self.fiber);
        // The last that was locked is mostly the first that is unlocked. Another coroutine of the
        // worker may unlock what this one has locked.
        let found = held.find(mine).or_else(|| held.find(|lock| lock.address == address));
        if let Some(index) = found {
            held.remove(index);
        }
        self.worker.address_waits.serve_address(address);
    }

    /// Notes that another coroutine does not hold the mutex at `address` any more.
    #[cold]
    pub(crate) fn pop_of_other(self, address: usize) {
        let held = &self.worker.held;
        let theirs = |lock: &Lock| lock.address == address && !std::ptr::eq(lock.fiber, self.fiber);
        if let Some(index) = held.find(theirs) {
            held.remove(index);
        }
    }

    /// Whether a lock that has to wait shall suspend it.
    #[inline]
    pub(crate) fn suspends(self) -> bool {
        self.worker.held.suspend && self.fiber.hooked.get()
    }

    /// From where it has locked the mutex at `address`, if it holds it.
    pub(crate) fn site_of(self, address: usize) -> Option<Site> {
        let held = &self.worker.held;
        let mine = |lock: &Lock| lock.address == address && std::ptr::eq(lock.fiber, self.fiber);
        held.find(mine).map(|index| held.locks[index].get().site)
    }

    /// Whether another coroutine of this worker holds the mutex, which thus cannot unlock it while
    /// this one runs.
    #[inline]
    pub(crate) fn is_held_by_other(self, address: usize) -> bool {
        let held = &self.worker.held;
        held.count.get() != self.fiber.held.get() && held.other(self.fiber, address).is_some()
    }

    /// Says that it would wait for ever for the mutex, which another coroutine of this worker holds.
    #[cold]
    pub(crate) fn report_deadlock(self, address: usize) {
        let held = &self.worker.held;
        // Where locks suspend nothing is told, and no wait is noted. And one that was handed the mutex
        // and has not run since does no harm.
        if let Some(lock) = held.other(self.fiber, address).filter(|lock| lock.waited) {
            DEADLOCKS.fetch_add(1, Ordering::Relaxed);
            if let Ok(mut incidents) = held.incidents.try_borrow_mut() {
                incidents.deadlock(self.fiber, &lock);
                held.unreported.set(true);
            }
        }
    }

    /// The place of a call: `address` in the caller's code and `frame`, what the caller has where
    /// frame pointers are kept.
    #[inline]
    pub(crate) fn site(self, address: usize, frame: usize) -> Site {
        let mut site = Site([address, 0, 0, 0]);
        if !self.worker.held.walks {
            return site;
        }
        let mut frame = frame;
        for level in &mut site.0[1..] {
            // Code without frame pointers has anything there. Two words of this stack can be read,
            // whatever they mean, above all that is in use now.
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

/// How many waits have begun so far while their coroutine held a mutex of pthreads.
pub(crate) fn waits_with_locks() -> u64 {
    WAITS.load(Ordering::Relaxed)
}

/// How many locks have met a mutex that another coroutine of the same worker held in a wait.
pub(crate) fn deadlocks() -> u64 {
    DEADLOCKS.load(Ordering::Relaxed)
}

/// The mutexes that the coroutines of one worker hold. Home worker only.
pub(in crate::rt) struct HeldLocks {
    /// Whether anything is noted here; whether waits with locks are told; whether locks suspend.
    is_watched: bool,
    is_told: bool,
    suspend: bool,
    /// Whether callers of callers are looked for.
    walks: bool,
    count: Cell<usize>,
    /// In the order of locking. What is locked beyond these is not watched.
    locks: [Cell<Lock>; MOST_LOCKS],
    incidents: RefCell<Incidents>,
    /// Where the next lock shall be looked at as a whole: a place of which only the call is known.
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
            is_watched: lock_check || hook_locks,
            // To wait with a lock is no fault where a lock suspends.
            is_told: lock_check && !hook_locks,
            suspend: hook_locks,
            // It would tell of each read of what only may be a frame.
            walks: !valgrind::is_running(),
            count: Cell::new(0),
            locks: std::array::from_fn(|_| Cell::new(none)),
            incidents: RefCell::default(),
            // No call returns there, and none from nowhere is looked at.
            traced: Cell::new(usize::MAX),
            unreported: Cell::new(false),
        }
    }

    /// Notes that `fiber`, which runs and holds locks, is about to wait.
    #[cold]
    pub(in crate::rt) fn note_wait(&self, fiber: &Fiber) {
        WAITS.fetch_add(1, Ordering::Relaxed);
        if !self.is_told {
            return;
        }
        // Not from within itself, by an allocator that locks.
        let Ok(mut incidents) = self.incidents.try_borrow_mut() else { return };
        for place in &self.locks[..self.count.get()] {
            let mut lock = place.get();
            if std::ptr::eq(lock.fiber, fiber) {
                let (incident, is_new) = incidents.wait(fiber, &lock);
                (lock.waited, lock.traced, lock.incident) = (true, false, incident);
                place.set(lock);
                self.unreported.set(self.unreported.get() || is_new);
            }
        }
        self.traced.set(incidents.untraced());
    }

    /// Forgets what `fiber` held, which is at its end.
    #[cold]
    pub(in crate::rt) fn forget(&self, fiber: &Fiber) {
        while let Some(index) = self.find(|lock| std::ptr::eq(lock.fiber, fiber)) {
            self.remove(index);
        }
    }

    /// Has what is new logged, by a coroutine: the program's logger may lock what somebody holds.
    #[inline]
    pub(in crate::rt) fn report(&self) {
        if self.unreported.replace(false) {
            let texts = self.incidents.borrow_mut().unreported();
            let log = || texts.into_iter().for_each(|(level, text)| log::log!(level, "{text}"));
            // What cannot be said for want of memory is counted still.
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
        // SAFETY: a coroutine is alive as long as its locks are in the table.
        let fiber = unsafe { &*self.locks[index].get().fiber };
        fiber.held.set(fiber.held.get() - 1);
        let last = self.count.get() - 1;
        for index in index..last {
            self.locks[index].set(self.locks[index + 1].get());
        }
        self.count.set(last);
    }
}

/// A mutex that a coroutine holds.
#[derive(Clone, Copy)]
pub(in crate::rt) struct Lock {
    fiber: *const Fiber,
    pub(in crate::rt) address: usize,
    pub(in crate::rt) held_as: HeldAs,
    pub(in crate::rt) site: Site,
    /// Whether the stack was looked at when it was locked.
    pub(in crate::rt) traced: bool,
    /// Whether its holder has waited with it.
    waited: bool,
    /// Of the last wait with it, if that was noted.
    pub(in crate::rt) incident: Option<usize>,
}

impl Lock {
    pub(in crate::rt) fn fiber(&self) -> &Fiber {
        // SAFETY: as in `remove`.
        unsafe { &*self.fiber }
    }
}

/// What a lock is, and how it is held.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum HeldAs {
    Mutex,
    /// A lock for readers and writers; others may read it too.
    Reader,
    Writer,
}

impl HeldAs {
    /// Whether nobody else can hold it at the same time.
    pub(crate) fn is_exclusive(self) -> bool {
        self != HeldAs::Reader
    }
}

/// Return addresses: of a call, of its caller ... The first is right, the others may be anything.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Site(pub(in crate::rt) [usize; 4]);

impl Site {
    pub(crate) const UNKNOWN: Site = Site([0; 4]);
}

static WAITS: AtomicU64 = AtomicU64::new(0);
static DEADLOCKS: AtomicU64 = AtomicU64::new(0);

const MOST_LOCKS: usize = 64;
