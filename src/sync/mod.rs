//! Locks and queues for coroutines of any worker and plain threads, in any mix: [`Mutex`] (and
//! [`RawMutex`] without a guard), [`Condvar`], [`Semaphore`], [`WaitGroup`] and the bounded [`Queue`].
//! A wait suspends a coroutine, so that its worker runs others, and blocks a plain thread.
//!
//! **Do not hold a `std::sync::Mutex` over a wait.** It blocks the worker's thread, and with it the
//! coroutine that holds the lock. The [`Mutex`] of this module suspends instead.
//! See [`rt`](crate::rt#locks-over-waits).
//!
//! - Every wait takes a [`Deadline`](crate::rt::Deadline) or has a form that does. It ends in exactly
//!   one way: with what it waited for, or with an error that [`is_timeout`](Error::is_timeout),
//!   [`is_canceled`](Error::is_canceled) or, for a queue, [`is_closed`](Error::is_closed). A wait that
//!   failed has taken nothing: the permit, wakeup or value went to the next waiter.
//! - What is available is taken at once, also after the deadline and by a canceled coroutine: only
//!   waits fail.
//! - Waiters are served in the order of their arrival.
//! - Nothing is poisoned. A panic while a [`MutexGuard`] lives unlocks the mutex, and the next owner
//!   sees the data as the panic left it.
//! - In a child that was forked after the runtime's start, waits fail at once
//!   ([`Error::is_forked`]). A lock that another thread was using at the fork may stay locked in the
//!   child: create new ones there.
//! - Calls that may wait say "may suspend" and must not be made in a signal handler. All others
//!   return at once.

// What it may call: rt.
//
// Each type is a short `std::sync::Mutex`, never held across a wait, around a FIFO of wakers. Whoever
// hands something on takes the first waiter out of the FIFO and wakes it; if the waker reports that
// this wait had already ended, the next waiter gets it. A wait that fails removes itself from the FIFO.
// That `Waker::wake` happens before the return of the wait it ended is part of the contract with `rt`,
// and all the memory ordering that a hand-over needs.

mod condvar;
mod error;
mod mutex;
mod notify;
mod queue;
mod raw_mutex;
mod semaphore;
mod wait_group;
mod wait_list;

pub use condvar::Condvar;
pub use error::Error;
pub use mutex::{Mutex, MutexGuard};
pub use queue::{PushError, Queue};
pub use raw_mutex::RawMutex;
pub use semaphore::Semaphore;
pub use wait_group::WaitGroup;

pub(crate) use notify::{Notify, lock};

/// Locks one of our internal mutexes. No user code runs under them, so a panic leaves their data
/// consistent: poisoning is ignored.
fn locked<T>(mutex: &std::sync::Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rt::Deadline;

    /// Returns a waker whose wait is over, as a hand-over that comes too late finds it.
    pub(super) fn abandoned() -> crate::rt::Waker {
        crate::rt::Waiter::new().waker()
    }

    /// Runs `wait` in a thread, and `then` once `waits` reports that it waits.
    pub(super) fn while_it_waits<R: Send>(
        wait: impl FnOnce() -> R + Send,
        waits: impl Fn() -> bool,
        then: impl FnOnce(),
    ) -> R {
        std::thread::scope(|scope| {
            let thread = scope.spawn(wait);
            let end = Deadline::after(LONG);
            while !waits() {
                assert!(!end.has_passed(), "it does not wait");
                std::thread::yield_now();
            }
            then();
            thread.join().unwrap()
        })
    }

    pub(super) fn late() -> Deadline {
        Deadline::after(LONG)
    }

    const LONG: Duration = Duration::from_secs(10);

    /// Waits that time out leave nothing behind, neither in the queue nor in its flags.
    #[test]
    fn a_million_timed_out_waits_leave_nothing() {
        let (mutex, semaphore) = (RawMutex::new(), Semaphore::new(1));
        let (condvar, group, empty) = (Condvar::new(), WaitGroup::new(), Queue::<u8>::new(1));
        let (full, other) = (Queue::new(1), RawMutex::new());
        other.try_lock().unwrap();
        mutex.try_lock().unwrap();
        semaphore.try_acquire(1).unwrap();
        group.add(1);
        full.try_push(1).unwrap();
        let over = Deadline::after(Duration::ZERO);
        for _ in 0..1_000_000 / 6 + 1 {
            assert!(mutex.lock_by(over).unwrap_err().is_timeout());
            assert!(semaphore.acquire_by(1, over).unwrap_err().is_timeout());
            assert!(condvar.wait_raw_by(&other, over).unwrap_err().is_timeout());
            assert!(group.wait_by(over).unwrap_err().is_timeout());
            assert!(empty.pop_by(over).unwrap_err().is_timeout());
            assert!(full.push_by(2, over).unwrap_err().error().is_timeout());
        }
        assert!(mutex.is_idle_but_locked());
        assert!(semaphore.is_idle());
        assert!(condvar.is_idle());
        assert!(group.is_idle());
        assert!(empty.is_idle() && full.is_idle());
    }

    #[test]
    fn misuse_panics_and_leaves_the_state_alone() {
        fn panics<R>(f: impl FnOnce() -> R) -> bool {
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(f)).is_err()
        }
        let (mutex, semaphore, group) = (RawMutex::new(), Semaphore::new(1), WaitGroup::new());
        assert!(panics(|| mutex.unlock()));
        assert!(panics(|| Condvar::new().wait_raw_by(&mutex, Deadline::NEVER)));
        assert!(panics(|| semaphore.release(Semaphore::MAX_PERMITS)));
        assert!(panics(|| semaphore.release(usize::MAX)));
        assert!(panics(|| group.done()));
        group.add(1);
        assert!(panics(|| group.add(usize::MAX)));
        assert!(panics(|| Queue::<u8>::new(0)));
        assert!(!mutex.is_locked());
        assert_eq!((semaphore.available(), group.count()), (1, 1));
    }

    #[test]
    fn guards_are_as_send_and_sync_as_a_mutable_reference() {
        // With a `Sync` type there would be two candidates for `_`, which does not compile.
        trait NotSync<A> {
            fn check() {}
        }
        impl<T> NotSync<()> for T {}
        impl<T: Sync> NotSync<u8> for T {}
        <MutexGuard<'_, std::cell::Cell<u8>> as NotSync<_>>::check();
        <Mutex<std::rc::Rc<u8>> as NotSync<_>>::check();
        <Queue<std::rc::Rc<u8>> as NotSync<_>>::check();

        fn send_and_sync<T: Send + Sync>() {}
        send_and_sync::<Mutex<std::cell::Cell<u8>>>();
        send_and_sync::<MutexGuard<'_, u8>>();
        send_and_sync::<Queue<std::cell::Cell<u8>>>();
        send_and_sync::<(RawMutex, Condvar, Semaphore, WaitGroup, Error, PushError<u8>)>();
    }
}
