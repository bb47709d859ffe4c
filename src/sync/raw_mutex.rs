//! A fair mutex without a guard.

use std::fmt;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use super::wait_list::{Ticket, WaitList};
use super::{Error, locked};
use crate::rt::{self, Deadline, Waiter};

/// A mutex without a guard and without data: for the C ABI, and for locks that are taken in one
/// function and released in another. In Rust code prefer [`Mutex`](super::Mutex).
///
/// Any thread and any coroutine may lock it, and another one may unlock it. It is not recursive: locking
/// it twice deadlocks.
///
/// **Fairness.** Waiters are served oldest first. A woken waiter may find that a newcomer has taken the
/// lock meanwhile (barging, which keeps a busy lock fast: no switch per turn); it then stays at the head
/// of the queue, and the next unlock hands the lock to it directly. So a waiter is overtaken at most
/// once when its turn comes, and none starves.
pub struct RawMutex {
    /// `LOCKED`, `QUEUED`, `WAKING`. `QUEUED` and `WAKING` change only under `queue`'s lock, except that
    /// a woken waiter that takes the lock clears its own `WAKING`.
    state: AtomicU32,
    queue: std::sync::Mutex<WaitList<Turn>>,
}

/// How an unlock passes the lock on to a queued waiter.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// Unlocks, and the waiter competes for the lock.
    Compete,
    /// Hands over: the lock stays locked and belongs to the waiter.
    Own,
}

const LOCKED: u32 = 1;
/// The queue is not empty.
const QUEUED: u32 = 2;
/// A woken waiter is about to compete: an unlock need not wake another.
const WAKING: u32 = 4;

impl RawMutex {
    /// Creates an unlocked mutex.
    #[must_use]
    pub const fn new() -> RawMutex {
        RawMutex { state: AtomicU32::new(0), queue: std::sync::Mutex::new(WaitList::new()) }
    }

    /// Locks, waiting without limit. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`].
    #[inline]
    pub fn lock(&self) -> Result<(), Error> {
        self.lock_by(Deadline::NEVER)
    }

    /// Locks, waiting until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`]: the lock was not taken.
    #[inline]
    pub fn lock_by(&self, deadline: Deadline) -> Result<(), Error> {
        match self.state.compare_exchange(0, LOCKED, Acquire, Relaxed) {
            Ok(_) => Ok(()),
            Err(_) => self.lock_slow(deadline),
        }
    }

    /// Locks without waiting.
    ///
    /// # Errors
    /// [`Error::would_block`].
    #[inline]
    pub fn try_lock(&self) -> Result<(), Error> {
        if self.take(0) { Ok(()) } else { Err(Error::WOULD_BLOCK) }
    }

    /// Unlocks. The caller must hold the lock or act for the one who does.
    ///
    /// # Panics
    /// If the mutex is not locked.
    #[inline]
    pub fn unlock(&self) {
        if self.state.compare_exchange(LOCKED, 0, Release, Relaxed).is_err() {
            self.unlock_slow();
        }
    }

    /// Whether the mutex is locked.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state.load(Relaxed) & LOCKED != 0
    }

    /// Locks even if the coroutine is canceled: for [`Condvar`](super::Condvar), whose waits always
    /// return with the lock held.
    pub(super) fn lock_uncancellable(&self) {
        // Fails only in a forked child, where no wait begins.
        let _ = rt::uncancellable(|| self.lock());
    }

    /// Takes the lock if it is free, and clears `also` in the same step.
    fn take(&self, also: u32) -> bool {
        let mut state = self.state.load(Relaxed);
        while state & LOCKED == 0 {
            let new = (state | LOCKED) & !also;
            match self.state.compare_exchange_weak(state, new, Acquire, Relaxed) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    /// Takes the lock if it is free, else sets `otherwise`; clears `also` in both cases. Setting
    /// `QUEUED` requires the queue's lock, so that the unlock that sees it finds the entry.
    fn take_or(&self, otherwise: u32, also: u32) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            let free = state & LOCKED == 0;
            let new = (state | if free { LOCKED } else { otherwise }) & !also;
            match self.state.compare_exchange_weak(state, new, Acquire, Relaxed) {
                Ok(_) => return free,
                Err(now) => state = now,
            }
        }
    }

    #[cold]
    fn lock_slow(&self, deadline: Deadline) -> Result<(), Error> {
        if self.take(0) {
            return Ok(());
        }
        let mut queue = locked(&self.queue);
        if self.take_or(QUEUED, 0) {
            return Ok(());
        }
        let mut waiter = Waiter::new();
        let ticket = queue.push_back(waiter.waker(), Turn::Compete);
        let mut turn = Turn::Compete;
        loop {
            drop(queue);
            if let Err(e) = waiter.wait(deadline) {
                self.leave_queue(ticket);
                return Err(e.into());
            }
            if turn == Turn::Own || self.take(WAKING) {
                return Ok(());
            }
            // A newcomer was faster. From here on `WAKING` is not set, so its unlock takes the first
            // of the queue: this waiter.
            queue = locked(&self.queue);
            if self.take_or(QUEUED, WAKING) {
                return Ok(());
            }
            turn = Turn::Own;
            waiter = Waiter::new();
            queue.push_front(ticket, waiter.waker(), turn);
        }
    }

    #[cold]
    fn leave_queue(&self, ticket: Ticket) {
        let mut queue = locked(&self.queue);
        // If the entry is gone, an unlock has taken it: it will see that this wait has ended, go on to
        // the next and maintain `QUEUED` itself.
        if queue.remove(ticket) && queue.is_empty() {
            self.state.fetch_and(!QUEUED, Relaxed);
        }
    }

    #[cold]
    fn unlock_slow(&self) {
        let mut state = self.state.load(Relaxed);
        assert!(state & LOCKED != 0, "unlock of a mutex that is not locked");
        while state & QUEUED == 0 || state & WAKING != 0 {
            match self.state.compare_exchange_weak(state, state & !LOCKED, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        self.pass_on();
    }

    /// Passes the lock, which the caller holds while `WAKING` is not set, to the first waiter.
    fn pass_on(&self) {
        let mut queue = locked(&self.queue);
        loop {
            let Some(first) = queue.pop_front() else {
                // All waiters have given up.
                self.state.fetch_and(!(LOCKED | QUEUED), Release);
                return;
            };
            let queued = if queue.is_empty() { 0 } else { QUEUED };
            // We hold `LOCKED`, `WAKING` is clear and `QUEUED` needs the queue's lock: no other thread
            // changes the state now.
            match first.request {
                Turn::Own => {
                    self.state.store(LOCKED | queued, Release);
                    drop(queue);
                    if first.waker.wake() {
                        return;
                    }
                    queue = locked(&self.queue);
                }
                Turn::Compete => {
                    self.state.store(WAKING | queued, Release);
                    drop(queue);
                    if first.waker.wake() {
                        return;
                    }
                    queue = locked(&self.queue);
                    // That waiter had given up. Wake the next, unless the mutex is locked again: then
                    // its unlock will.
                    if !self.take_or(0, WAKING) {
                        return;
                    }
                }
            }
        }
    }
}

impl Default for RawMutex {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RawMutex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RawMutex").field("locked", &self.is_locked()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{abandoned, late, while_it_waits};
    use super::*;

    impl RawMutex {
        pub(crate) fn is_idle_but_locked(&self) -> bool {
            self.state.load(Acquire) == LOCKED && locked(&self.queue).is_empty()
        }

        fn waiters(&self) -> usize {
            locked(&self.queue).len()
        }
    }

    /// A locked mutex whose queue begins with an abandoned wait.
    fn with_abandoned(turn: Turn) -> RawMutex {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        locked(&mutex.queue).push_back(abandoned(), turn);
        assert!(!mutex.take_or(QUEUED, 0));
        mutex
    }

    #[test]
    fn unlock_skips_abandoned_waits() {
        for turn in [Turn::Compete, Turn::Own] {
            let mutex = with_abandoned(turn);
            let got = while_it_waits(
                || mutex.lock_by(late()),
                || mutex.waiters() == 2,
                || mutex.unlock(),
            );
            got.unwrap();
            assert!(mutex.is_idle_but_locked());

            let mutex = with_abandoned(turn);
            mutex.unlock();
            assert_eq!(mutex.state.load(Acquire), 0);
        }
    }

    #[test]
    fn a_waiter_that_was_overtaken_is_handed_the_lock_next() {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let got = while_it_waits(
            || mutex.lock_by(late()),
            || mutex.waiters() == 1,
            || {
                // An unlock, and a newcomer that locks at once.
                let first = locked(&mutex.queue).pop_front().unwrap();
                mutex.state.store(LOCKED | WAKING, Release);
                assert!(first.waker.wake());
                while mutex.waiters() == 0 {
                    std::thread::yield_now();
                }
                assert_eq!(mutex.state.load(Acquire), LOCKED | QUEUED);
                mutex.unlock();
                // Never free in between.
                assert!(mutex.try_lock().is_err());
            },
        );
        got.unwrap();
        assert!(mutex.is_idle_but_locked());
    }
}
