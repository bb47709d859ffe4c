//! Counts outstanding tasks, and waits for all of them.

use std::fmt;

use super::wait_list::{WaitList, wake_all};
use super::{Error, locked};
use crate::rt::{Deadline, Waiter};

/// A counter of outstanding tasks; any number of coroutines and threads may wait for it to reach zero.
///
/// It can be reused after that. Those who waited for zero return even if the count has risen since.
///
/// ```
/// use fastrpc::{rt, sync::WaitGroup};
/// use std::sync::Arc;
///
/// let group = Arc::new(WaitGroup::new());
/// for _ in 0..3 {
///     group.add(1);
///     let task = group.clone();
///     rt::spawn(move || task.done())?;
/// }
/// group.wait()?;
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct WaitGroup {
    state: std::sync::Mutex<Tasks>,
}

struct Tasks {
    count: usize,
    waiters: WaitList<()>,
}

impl WaitGroup {
    /// Creates a group with a count of zero.
    #[must_use]
    pub const fn new() -> WaitGroup {
        WaitGroup { state: std::sync::Mutex::new(Tasks { count: 0, waiters: WaitList::new() }) }
    }

    /// Adds `n` tasks. To be called before the tasks start, not by the tasks themselves.
    ///
    /// # Panics
    /// If the count overflows.
    pub fn add(&self, n: usize) {
        let sum = {
            let mut state = locked(&self.state);
            state.count.checked_add(n).inspect(|sum| state.count = *sum)
        };
        assert!(sum.is_some(), "the count of a WaitGroup overflowed");
    }

    /// Subtracts one task; at zero, wakes all waiters.
    ///
    /// # Panics
    /// If the count is zero already.
    pub fn done(&self) {
        let (before, woken) = {
            let mut state = locked(&self.state);
            let before = state.count;
            state.count = before.saturating_sub(1);
            (before, (before == 1).then(|| state.waiters.take_all()))
        };
        assert!(before > 0, "a WaitGroup was done more often than added to");
        wake_all(woken.unwrap_or_default());
    }

    /// Returns the number of outstanding tasks.
    #[must_use]
    pub fn count(&self) -> usize {
        locked(&self.state).count
    }

    /// Waits until the count is zero. May suspend.
    ///
    /// # Errors
    /// [`Error::is_canceled`]; never in a plain thread.
    pub fn wait(&self) -> Result<(), Error> {
        self.wait_by(Deadline::NEVER)
    }

    /// Waits until the count is zero, until `deadline` at most. May suspend.
    ///
    /// # Errors
    /// [`Error::is_timeout`], [`Error::is_canceled`].
    pub fn wait_by(&self, deadline: Deadline) -> Result<(), Error> {
        let mut state = locked(&self.state);
        if state.count == 0 {
            return Ok(());
        }
        let waiter = Waiter::new();
        let ticket = state.waiters.push_back(waiter.waker(), ());
        drop(state);
        waiter.wait(deadline).map_err(|e| {
            locked(&self.state).waiters.remove(ticket);
            e.into()
        })
    }
}

impl Default for WaitGroup {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for WaitGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WaitGroup").field("count", &self.count()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl WaitGroup {
        pub(crate) fn is_idle(&self) -> bool {
            locked(&self.state).waiters.is_empty()
        }
    }

    #[test]
    fn is_done_at_zero_only() {
        let group = WaitGroup::new();
        let now = Deadline::after(std::time::Duration::ZERO);
        group.wait().unwrap();
        group.add(2);
        group.done();
        assert!(group.wait_by(now).unwrap_err().is_timeout());
        group.done();
        group.wait_by(now).unwrap();
    }
}
