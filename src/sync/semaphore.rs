//! A counting semaphore.

use std::fmt;
use std::sync::MutexGuard;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::{AcqRel, Acquire, Relaxed, Release};

use super::wait_list::WaitList;
use super::{Error, locked};
use crate::rt::{Deadline, Waiter};

/// A counting semaphore for coroutines and threads: bounds how many do something at once.
///
/// Strictly first come, first served. While there are waiters, newcomers queue up behind them, even
/// those that want fewer permits than are available: a request for many permits is not starved by
/// requests for few.
///
/// Permits have no owner: one coroutine may acquire them and another release them.
///
/// ```
/// let semaphore = fastrpc::sync::Semaphore::new(2);
/// semaphore.acquire(2)?;
/// assert!(semaphore.try_acquire(1).unwrap_err().would_block());
/// semaphore.release(1);
/// semaphore.acquire(1)?;
/// # Ok::<(), fastrpc::sync::Error>(())
/// ```
pub struct Semaphore {
    /// Permits times `ONE`, plus `QUEUED`. While `QUEUED` is set, it changes only under `queue`'s lock.
    state: AtomicUsize,
    /// Each entry with the permits it requests.
    queue: std::sync::Mutex<WaitList<usize>>,
}

/// The queue is not empty.
const QUEUED: usize = 1;
const ONE: usize = 2;

impl Semaphore {
    /// The maximum number of permits.
    ///
    /// Far below what the state can count, so that returning permits after a hand-over to a waiter that
    /// had just timed out cannot overflow it.
    pub const MAX_PERMITS: usize = usize::MAX >> 3;

    /// Creates a semaphore with `permits` permits.
    ///
    /// # Panics
    /// If `permits` is more than [`MAX_PERMITS`](Semaphore::MAX_PERMITS).
    #[must_use]
    pub const fn new(permits: usize) -> Semaphore {
        assert!(permits <= Self::MAX_PERMITS, "too many permits");
        Semaphore {
            state: AtomicUsize::new(permits * ONE),
            queue: std::sync::Mutex::new(WaitList::new()),
        }
    }

    /// Acquires `n` permits, all at once, waiting without limit. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`]; never in a plain thread.
    #[inline]
    pub fn acquire(&self, n: usize) -> Result<(), Error> {
        self.acquire_by(n, Deadline::NEVER)
    }

    /// Acquires `n` permits, all at once, waiting until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`]: no permit was acquired.
    #[inline]
    pub fn acquire_by(&self, n: usize, deadline: Deadline) -> Result<(), Error> {
        match self.try_acquire(n) {
            Ok(()) => Ok(()),
            Err(_) => self.acquire_slow(n, deadline),
        }
    }

    /// Acquires `n` permits without waiting.
    ///
    /// # Errors
    /// [`Error::would_block`]: too few are available, or others wait.
    #[inline]
    pub fn try_acquire(&self, n: usize) -> Result<(), Error> {
        let mut state = self.state.load(Relaxed);
        while state & QUEUED == 0 && state / ONE >= n {
            match self.state.compare_exchange_weak(state, state - n * ONE, Acquire, Relaxed) {
                Ok(_) => return Ok(()),
                Err(now) => state = now,
            }
        }
        Err(Error::WOULD_BLOCK)
    }

    /// Releases `n` permits, or adds them.
    ///
    /// # Panics
    /// If the sum exceeds [`MAX_PERMITS`](Semaphore::MAX_PERMITS); nothing is released then.
    #[inline]
    pub fn release(&self, n: usize) {
        let mut state = self.state.load(Relaxed);
        while state & QUEUED == 0 {
            check_sum(state, n);
            match self.state.compare_exchange_weak(state, state + n * ONE, Release, Relaxed) {
                Ok(_) => return,
                Err(now) => state = now,
            }
        }
        self.release_slow(n);
    }

    /// Returns the number of available permits, including those that do not yet suffice for the first
    /// waiter.
    #[must_use]
    pub fn available(&self) -> usize {
        self.state.load(Relaxed) / ONE
    }

    #[cold]
    fn acquire_slow(&self, n: usize, deadline: Deadline) -> Result<(), Error> {
        let mut queue = locked(&self.queue);
        if self.acquire_or_queue(n) {
            return Ok(());
        }
        let waiter = Waiter::new();
        let ticket = queue.push_back(waiter.waker(), n);
        drop(queue);
        waiter.wait(deadline).map_err(|e| {
            let mut queue = locked(&self.queue);
            // If the entry is gone, a release has taken it: it will see that this wait has ended and
            // take the permits back.
            if queue.remove(ticket) {
                // The next one may request fewer permits.
                self.serve(queue);
            }
            e.into()
        })
    }

    /// Acquires `n` permits if there are enough and no waiters; else sets `QUEUED`. To be called with
    /// the queue locked.
    fn acquire_or_queue(&self, n: usize) -> bool {
        let mut state = self.state.load(Relaxed);
        loop {
            let take = state & QUEUED == 0 && state / ONE >= n;
            let new = if take { state - n * ONE } else { state | QUEUED };
            match self.state.compare_exchange_weak(state, new, AcqRel, Relaxed) {
                Ok(_) => return take,
                Err(now) => state = now,
            }
        }
    }

    #[cold]
    fn release_slow(&self, n: usize) {
        let queue = locked(&self.queue);
        let mut state = self.state.load(Relaxed);
        loop {
            check_sum(state, n);
            match self.state.compare_exchange_weak(state, state + n * ONE, AcqRel, Relaxed) {
                Ok(_) => break,
                Err(now) => state = now,
            }
        }
        self.serve(queue);
    }

    /// Hands permits to the waiters in order, as far as they suffice, and keeps `QUEUED` correct.
    fn serve<'a>(&'a self, mut queue: MutexGuard<'a, WaitList<usize>>) {
        while let Some(first) = queue.front() {
            // `QUEUED` is set and the queue is locked: no other thread changes the state.
            let state = self.state.load(Acquire);
            let n = first.request;
            if state / ONE < n {
                return;
            }
            let Some(first) = queue.pop_front() else { return };
            let queued = if queue.is_empty() { 0 } else { QUEUED };
            self.state.store((state / ONE - n) * ONE + queued, Release);
            drop(queue);
            let served = first.waker.wake();
            if served && queued == 0 {
                return;
            }
            queue = locked(&self.queue);
            if !served {
                self.state.fetch_add(n * ONE, Release);
            }
        }
        self.state.fetch_and(!QUEUED, Release);
    }
}

fn check_sum(state: usize, n: usize) {
    let fits = n <= Semaphore::MAX_PERMITS && state / ONE + n <= Semaphore::MAX_PERMITS;
    assert!(fits, "more permits released than a semaphore can hold");
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore").field("available", &self.available()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{abandoned, late, while_it_waits};
    use super::*;

    impl Semaphore {
        pub(crate) fn is_idle(&self) -> bool {
            self.state.load(Acquire) & QUEUED == 0 && locked(&self.queue).is_empty()
        }
    }

    #[test]
    fn release_skips_abandoned_waits() {
        let semaphore = Semaphore::new(0);
        locked(&semaphore.queue).push_back(abandoned(), 2);
        assert!(!semaphore.acquire_or_queue(1));
        let got = while_it_waits(
            || semaphore.acquire_by(1, late()),
            || locked(&semaphore.queue).len() == 2,
            || semaphore.release(3),
        );
        got.unwrap();
        assert!(semaphore.is_idle());
        assert_eq!(semaphore.available(), 2);
    }

    #[test]
    fn newcomers_do_not_overtake() {
        let semaphore = Semaphore::new(1);
        let many = || semaphore.acquire_by(2, late());
        let one = || semaphore.acquire_by(1, late());
        let waiters = || locked(&semaphore.queue).len();
        // `one` waits, although there is a permit: a release for `many` comes first.
        let many = while_it_waits(
            many,
            || waiters() == 1,
            || {
                let one = while_it_waits(
                    one,
                    || waiters() == 2,
                    || {
                        assert!(semaphore.try_acquire(1).unwrap_err().would_block());
                        semaphore.release(2);
                    },
                );
                one.unwrap();
            },
        );
        many.unwrap();
        assert!(semaphore.is_idle());
        assert_eq!(semaphore.available(), 0);
    }
}
