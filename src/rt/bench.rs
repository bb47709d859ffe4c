//! Park and unpark for the benchmark: the primitive behind every wait has no public form.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::park::wait::{Waiter, Waker};
use super::time::Deadline;
use super::{WaitError, spawn_detached};

/// Returns the time in which the calling coroutine and another one wake each other and wait, `rounds`
/// times each. Every step is one park and one unpark.
///
/// # Errors
/// Outside of a coroutine, and when the coroutine is canceled.
pub fn park_unpark(rounds: usize) -> io::Result<Duration> {
    let pair = Rc::new(Pair::default());
    let other = pair.clone();
    spawn_detached("bench", move || {
        // If it fails, so does the caller's wait.
        let _ = (0..rounds).try_for_each(|_| other.wake_and_wait(1, 0));
    })?;
    let begin = Instant::now();
    let result = (0..rounds).try_for_each(|_| pair.wake_and_wait(0, 1));
    let elapsed = begin.elapsed();
    pair.wake(1);
    result?;
    Ok(elapsed)
}

#[derive(Default)]
struct Pair([Cell<Option<Waker>>; 2]);

impl Pair {
    fn wake_and_wait(&self, me: usize, other: usize) -> Result<(), WaitError> {
        let waiter = Waiter::new();
        self.0[me].set(Some(waiter.waker()));
        self.wake(other);
        waiter.wait(Deadline::NEVER)
    }

    fn wake(&self, which: usize) {
        if let Some(waker) = self.0[which].take() {
            waker.wake();
        }
    }
}
