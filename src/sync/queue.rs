//! A bounded multi-producer, multi-consumer queue.

use std::collections::VecDeque;
use std::sync::MutexGuard;
use std::{fmt, io};

use super::wait_list::{WaitList, wake_all};
use super::{Error, locked};
use crate::rt::{Deadline, Waiter};

/// A bounded multi-producer, multi-consumer FIFO queue for coroutines and threads.
///
/// Producers wait while it is full, consumers while it is empty. After [`close`](Queue::close), pushes
/// fail and return their value; pops drain the queue and then fail. Remaining values are dropped with
/// the queue.
///
/// ```
/// # fn main() -> Result<(), fastrpc::sync::Error> {
/// let queue = fastrpc::sync::Queue::new(2);
/// queue.push("a")?;
/// queue.close();
/// assert_eq!(queue.push("b").unwrap_err().into_value(), "b");
/// assert_eq!(queue.pop()?, "a");
/// assert!(queue.pop().unwrap_err().is_closed());
/// # Ok(())
/// # }
/// ```
pub struct Queue<T> {
    capacity: usize,
    state: std::sync::Mutex<QueueState<T>>,
}

/// Values always pass through `values`, also to a waiting consumer. Waking a consumer promises it one
/// of the values, which newcomers leave to it; the waker revokes the promise if that wait had just
/// ended otherwise. Slots are promised to waiting producers likewise.
///
/// So consumers wait only while all values are promised, and producers only while all slots are
/// filled or promised.
struct QueueState<T> {
    values: VecDeque<T>,
    promised_values: usize,
    promised_slots: usize,
    consumers: WaitList<()>,
    producers: WaitList<()>,
    closed: bool,
}

impl<T> Queue<T> {
    /// Creates an empty queue for up to `capacity` values. It allocates as values arrive.
    ///
    /// # Panics
    /// If `capacity` is zero.
    #[must_use]
    pub const fn new(capacity: usize) -> Queue<T> {
        assert!(capacity > 0, "the capacity of a queue must not be 0");
        Queue {
            capacity,
            state: std::sync::Mutex::new(QueueState {
                values: VecDeque::new(),
                promised_values: 0,
                promised_slots: 0,
                consumers: WaitList::new(),
                producers: WaitList::new(),
                closed: false,
            }),
        }
    }

    /// Appends a value, waiting for room without limit. May suspend.
    ///
    /// # Errors
    /// [`Error::is_closed`], [`Error::is_canceled`], with the value.
    pub fn push(&self, value: T) -> Result<(), PushError<T>> {
        self.push_by(value, Deadline::NEVER)
    }

    /// Appends a value, waiting for room until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_closed`], [`Error::is_canceled`], with the value.
    pub fn push_by(&self, value: T, deadline: Deadline) -> Result<(), PushError<T>> {
        self.push_within(value, Some(deadline))
    }

    /// Appends a value without waiting.
    ///
    /// # Errors
    /// [`Error::would_block`], [`Error::is_closed`], with the value.
    pub fn try_push(&self, value: T) -> Result<(), PushError<T>> {
        self.push_within(value, None)
    }

    /// Takes the oldest value, waiting for one without limit. May suspend.
    ///
    /// # Errors
    /// [`Error::is_closed`] once the queue is closed and empty, [`Error::is_canceled`].
    pub fn pop(&self) -> Result<T, Error> {
        self.pop_by(Deadline::NEVER)
    }

    /// Takes the oldest value, waiting for one until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_closed`] once the queue is closed and empty,
    /// [`Error::is_canceled`].
    pub fn pop_by(&self, deadline: Deadline) -> Result<T, Error> {
        self.pop_within(Some(deadline))
    }

    /// Takes the oldest value without waiting.
    ///
    /// # Errors
    /// [`Error::would_block`], [`Error::is_closed`] once the queue is closed and empty.
    pub fn try_pop(&self) -> Result<T, Error> {
        self.pop_within(None)
    }

    /// Closes the queue: pushes fail from now on, waiting ones included, and pops fail once the queue
    /// is empty. Closing again does nothing.
    pub fn close(&self) {
        let mut state = locked(&self.state);
        state.closed = true;
        let producers = state.producers.take_all();
        // While all values are promised, further waiting consumers may still get one: a promised
        // consumer may just have timed out.
        let consumers =
            if state.values.is_empty() { state.consumers.take_all() } else { VecDeque::new() };
        drop(state);
        wake_all(producers);
        wake_all(consumers);
    }

    /// Whether [`close`](Queue::close) has been called.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        locked(&self.state).closed
    }

    /// Returns the number of values in the queue.
    #[must_use]
    pub fn len(&self) -> usize {
        locked(&self.state).values.len()
    }

    /// Whether the queue is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the number of values that the queue can hold.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Pushes; `None`: without waiting.
    fn push_within(&self, value: T, wait: Option<Deadline>) -> Result<(), PushError<T>> {
        let mut state = locked(&self.state);
        if state.closed {
            return Err(PushError { error: Error::CLOSED, value });
        }
        if !self.has_free_slot(&state) {
            let Some(deadline) = wait else {
                return Err(PushError { error: Error::WOULD_BLOCK, value });
            };
            let waiter = Waiter::new();
            let ticket = state.producers.push_back(waiter.waker(), ());
            drop(state);
            let outcome = waiter.wait(deadline);
            state = locked(&self.state);
            if let Err(e) = outcome {
                // If the entry is gone, a pop has taken it: it will see that this wait has ended and
                // revoke the promise.
                state.producers.remove(ticket);
                return Err(PushError { error: e.into(), value });
            }
            if state.closed {
                return Err(PushError { error: Error::CLOSED, value });
            }
            state.promised_slots -= 1;
        }
        state.values.push_back(value);
        self.pushed(state);
        Ok(())
    }

    /// Pops; `None`: without waiting.
    fn pop_within(&self, wait: Option<Deadline>) -> Result<T, Error> {
        let mut state = locked(&self.state);
        if state.values.len() == state.promised_values {
            if state.closed && state.values.is_empty() {
                return Err(Error::CLOSED);
            }
            let deadline = wait.ok_or(Error::WOULD_BLOCK)?;
            let waiter = Waiter::new();
            let ticket = state.consumers.push_back(waiter.waker(), ());
            drop(state);
            let outcome = waiter.wait(deadline);
            state = locked(&self.state);
            if let Err(e) = outcome {
                // As in `push_within`.
                state.consumers.remove(ticket);
                return Err(e.into());
            }
            // A promised value is present. Without a promise, the end of a closed queue woke us, and
            // it stays empty.
            if state.values.is_empty() {
                return Err(Error::CLOSED);
            }
            state.promised_values -= 1;
        }
        let value = state.values.pop_front().ok_or(Error::CLOSED)?;
        self.popped(state);
        Ok(value)
    }

    fn has_free_slot(&self, state: &QueueState<T>) -> bool {
        state.values.len() + state.promised_slots < self.capacity
    }

    /// After a push: promises the value to the first waiting consumer.
    fn pushed<'a>(&'a self, mut state: MutexGuard<'a, QueueState<T>>) {
        while state.values.len() > state.promised_values {
            let Some(first) = state.consumers.pop_front() else { return };
            state.promised_values += 1;
            drop(state);
            if first.waker.wake() {
                return;
            }
            state = locked(&self.state);
            state.promised_values -= 1;
        }
    }

    /// After a pop: promises the free slot to the first waiting producer, or wakes all consumers if
    /// that was the last value of a closed queue.
    fn popped<'a>(&'a self, mut state: MutexGuard<'a, QueueState<T>>) {
        if state.closed && state.values.is_empty() {
            let consumers = state.consumers.take_all();
            drop(state);
            return wake_all(consumers);
        }
        while self.has_free_slot(&state) {
            let Some(first) = state.producers.pop_front() else { return };
            state.promised_slots += 1;
            drop(state);
            if first.waker.wake() {
                return;
            }
            state = locked(&self.state);
            state.promised_slots -= 1;
        }
    }
}

impl<T> fmt::Debug for Queue<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Queue")
            .field("len", &self.len())
            .field("capacity", &self.capacity)
            .field("closed", &self.is_closed())
            .finish_non_exhaustive()
    }
}

/// The error of a push, with the value that was not pushed.
pub struct PushError<T> {
    error: Error,
    value: T,
}

impl<T> PushError<T> {
    /// Returns why the push failed.
    #[must_use]
    pub fn error(&self) -> Error {
        self.error
    }

    /// Returns the value.
    #[must_use]
    pub fn into_value(self) -> T {
        self.value
    }
}

impl<T> From<PushError<T>> for Error {
    fn from(e: PushError<T>) -> Error {
        e.error
    }
}

impl<T> From<PushError<T>> for io::Error {
    fn from(e: PushError<T>) -> io::Error {
        e.error.into()
    }
}

impl<T> fmt::Debug for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PushError").field("error", &self.error).finish_non_exhaustive()
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error.fmt(f)
    }
}

impl<T> std::error::Error for PushError<T> {}

#[cfg(test)]
mod tests {
    use super::super::tests::{abandoned, late, while_it_waits};
    use super::*;

    impl<T> Queue<T> {
        pub(crate) fn is_idle(&self) -> bool {
            let state = locked(&self.state);
            let promised = state.promised_values + state.promised_slots;
            promised == 0 && state.consumers.is_empty() && state.producers.is_empty()
        }

        fn consumers(&self) -> usize {
            locked(&self.state).consumers.len()
        }

        fn producers(&self) -> usize {
            locked(&self.state).producers.len()
        }
    }

    #[test]
    fn push_skips_abandoned_waits() {
        let queue = Queue::new(1);
        locked(&queue.state).consumers.push_back(abandoned(), ());
        let got = while_it_waits(
            || queue.pop_by(late()),
            || queue.consumers() == 2,
            || queue.try_push(5).unwrap(),
        );
        assert_eq!(got.unwrap(), 5);
        assert!(queue.is_idle());
    }

    #[test]
    fn pop_skips_abandoned_waits() {
        let queue = Queue::new(1);
        queue.push(1).unwrap();
        locked(&queue.state).producers.push_back(abandoned(), ());
        let got = while_it_waits(
            || queue.push_by(2, late()),
            || queue.producers() == 2,
            || assert_eq!(queue.try_pop().unwrap(), 1),
        );
        got.unwrap();
        assert_eq!(queue.try_pop().unwrap(), 2);
        assert!(queue.is_idle());
    }

    /// The queue is closed while its last value is promised to a consumer whose wait has ended, which
    /// the promising push has not seen yet: the next consumer must get it.
    #[test]
    fn close_leaves_a_promised_value_to_the_next() {
        let queue = Queue::new(1);
        queue.push(7).unwrap();
        locked(&queue.state).promised_values = 1;
        let got = while_it_waits(
            || queue.pop_by(late()),
            || queue.consumers() == 1,
            || {
                queue.close();
                assert!(queue.try_pop().unwrap_err().would_block());
                let mut state = locked(&queue.state);
                state.promised_values = 0;
                queue.pushed(state);
            },
        );
        assert_eq!(got.unwrap(), 7);
        assert!(queue.pop().unwrap_err().is_closed());
        assert!(queue.is_idle());
    }
}
