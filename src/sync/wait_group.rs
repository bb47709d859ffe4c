//! Counts outstanding tasks, and waits for all of them.

use std::fmt;

use super::wait_list::{WaitList, wake_all};
use super::{Error, locked};
use crate::rt::{Deadline, Waiter};

/// Counts work that is under way, and lets any number of coroutines and threads wait until all of
/// it is done.
///
/// It can be used again after it has come to zero; whoever waited for that zero returns, even if the
/// count has risen since.
pub struct WaitGroup {
    state: std::sync::Mutex<State>,
}

struct State {
    count: usize,
    waiting: WaitList<()>,
}

impl WaitGroup {
    /// A group of nothing.
    #[must_use]
    pub const fn new() -> WaitGroup {
        WaitGroup { state: std::sync::Mutex::new(State { count: 0, waiting: WaitList::new() }) }
    }

    /// Counts `n` more. To be called before the work is handed out, not by the work itself.
    ///
    /// # Panics
    /// If the count overflows.
    pub fn add(&self, n: usize) {
        let sum = {
            let mut state = locked(&self.state);
            state.count.checked_add(n).inspect(|sum| state.count = *sum)
        };
        assert!(sum.is_some(), "the count of a WaitGroup overflows");
    }

    /// Counts one less; at zero, wakes all that wait.
    ///
    /// # Panics
    /// If the count is zero already.
    pub fn done(&self) {
        let (before, woken) = {
            let mut state = locked(&self.state);
            let before = state.count;
            state.count = before.saturating_sub(1);
            (before, (before == 1).then(|| state.waiting.take_all()))
        };
        assert!(before > 0, "more done() than add() of a WaitGroup");
        wake_all(woken.unwrap_or_default());
    }

    /// How much is not done at this moment.
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
        let ticket = state.waiting.push_back(waiter.waker(), ());
        drop(state);
        waiter.wait(deadline).map_err(|e| {
            locked(&self.state).waiting.remove(ticket);
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
            locked(&self.state).waiting.is_empty()
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
