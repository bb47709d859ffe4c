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
/// Any thread and any coroutine may lock it, and it need not be the locker that unlocks. It is not
/// recursive: locking it twice waits for ever.
///
/// **Fairness.** Waiters are served oldest first. One that is woken may find that somebody who came
/// along took the lock meanwhile (which keeps a busy lock fast: no switch per turn); it keeps its
/// place at the head, and the next unlock hands the lock to it directly. So a waiter loses a turn
/// at most once, and nobody starves.
pub struct RawMutex {
    /// `LOCKED`, `QUEUED`, `WAKING`. `QUEUED` and `WAKING` change only under `queue`'s lock, but for
    /// the woken waiter that takes the lock: it clears the `WAKING` that is its own.
    state: AtomicU32,
    queue: std::sync::Mutex<WaitList<Turn>>,
}

/// What the waiter in the queue is given by the unlock that takes it out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The lock is set free and the waiter competes for it.
    Compete,
    /// The lock stays locked and is the waiter's from now on.
    Own,
}

const LOCKED: u32 = 1;
/// The queue is not empty.
const QUEUED: u32 = 2;
/// A woken waiter is on its way to compete: an unlock need not wake another.
const WAKING: u32 = 4;

impl RawMutex {
    /// An unlocked mutex.
    #[must_use]
    pub const fn new() -> RawMutex {
        RawMutex { state: AtomicU32::new(0), queue: std::sync::Mutex::new(WaitList::new()) }
    }

    /// Locks, waiting for as long as it takes. May suspend.
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

    /// Locks if that needs no wait.
    ///
    /// # Errors
    /// [`Error::would_block`].
    #[inline]
    pub fn try_lock(&self) -> Result<(), Error> {
        if self.take(0) { Ok(()) } else { Err(Error::WOULD_BLOCK) }
    }

    /// Unlocks. The caller must hold the lock, or have been told to unlock by the one who does.
    ///
    /// # Panics
    /// If the mutex is not locked.
    #[inline]
    pub fn unlock(&self) {
        if self.state.compare_exchange(LOCKED, 0, Release, Relaxed).is_err() {
            self.unlock_slow();
        }
    }

    /// Whether somebody holds the lock at this moment.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.state.load(Relaxed) & LOCKED != 0
    }

    /// Locks even if the coroutine is cancelled: for [`Condvar`](super::Condvar), whose callers
    /// hold the lock again whatever became of their wait.
    pub(super) fn lock_whatever_happens(&self) {
        // It fails in a forked child only, where nobody comes back from a wait.
        let _ = rt::uncancellable(|| self.lock());
    }

    /// Takes the lock if it is free, and clears `also` with the same step.
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
    /// `QUEUED` needs the queue locked, so that the unlock that sees it finds the entry.
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
            // Somebody was faster. From here on `WAKING` is no longer set, so that somebody's
            // unlock comes to the queue, where we are the first.
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
        // If the entry is gone, an unlock has taken it and is about to learn that this wait has
        // ended: then it goes on to the next, and looks after `QUEUED` itself.
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
        self.hand_on();
    }

    /// Gives the lock, which the caller holds while `WAKING` is not set, to whom it is due.
    fn hand_on(&self) {
        let mut queue = locked(&self.queue);
        loop {
            let Some(first) = queue.pop_front() else {
                // All who waited have given up.
                self.state.fetch_and(!(LOCKED | QUEUED), Release);
                return;
            };
            let queued = if queue.is_empty() { 0 } else { QUEUED };
            // We hold `LOCKED`, `WAKING` is clear and `QUEUED` needs the queue's lock: nobody else
            // changes the state now.
            match first.what {
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
                    // Nobody is on the way after all. Wake the next, unless there is an owner again,
                    // whose unlock will.
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
    use super::super::tests::{ghost, late, while_it_waits};
    use super::*;

    impl RawMutex {
        pub(crate) fn is_idle_but_locked(&self) -> bool {
            self.state.load(Acquire) == LOCKED && locked(&self.queue).is_empty()
        }

        fn waiters(&self) -> usize {
            locked(&self.queue).len()
        }
    }

    /// A locked mutex whose queue begins with somebody who has just given up.
    fn with_ghost(turn: Turn) -> RawMutex {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        locked(&mutex.queue).push_back(ghost(), turn);
        assert!(!mutex.take_or(QUEUED, 0));
        mutex
    }

    #[test]
    fn unlock_passes_by_who_gave_up() {
        for turn in [Turn::Compete, Turn::Own] {
            let mutex = with_ghost(turn);
            let got = while_it_waits(
                || mutex.lock_by(late()),
                || mutex.waiters() == 2,
                || mutex.unlock(),
            );
            got.unwrap();
            assert!(mutex.is_idle_but_locked());

            let mutex = with_ghost(turn);
            mutex.unlock();
            assert_eq!(mutex.state.load(Acquire), 0);
        }
    }

    #[test]
    fn who_lost_its_turn_owns_the_next() {
        let mutex = RawMutex::new();
        mutex.lock().unwrap();
        let got = while_it_waits(
            || mutex.lock_by(late()),
            || mutex.waiters() == 1,
            || {
                // What an unlock does, and somebody who comes along at once.
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
