//! The deadlines of calls that nobody waits for.

use std::sync::Arc;

use super::Error;
use super::channel::{Inner, Local};
use crate::rt::{self, Deadline, WaitError, Waiter, Waker};

/// The coroutine that sleeps until the next deadline of a call that nobody waits for.
pub(super) enum Alarm {
    Off,
    Starting,
    Set(Deadline, Waker),
}

impl Inner {
    /// Gives the asynchronous call `key` a deadline. Home worker only.
    pub(super) fn expire_at(self: &Arc<Self>, local: &Local, key: u64, deadline: Deadline) {
        if deadline == Deadline::NEVER {
            return;
        }
        local.deadlines.borrow_mut().add(deadline, key, &mut local.pending.borrow_mut());
        let mut alarm = local.alarm.borrow_mut();
        match &*alarm {
            Alarm::Starting => {}
            Alarm::Set(at, waker) => {
                if deadline < *at {
                    waker.wake();
                }
            }
            Alarm::Off => {
                let inner = self.clone();
                match rt::spawn_detached("rpc deadlines", move || inner.watch_deadlines()) {
                    Ok(_) => *alarm = Alarm::Starting,
                    Err(error) => log::error!("deadlines may be late: {error}"),
                }
            }
        }
    }

    /// The body of the alarm's coroutine: see [`Alarm`].
    fn watch_deadlines(self: Arc<Self>) {
        let local = self.here();
        loop {
            let due = loop {
                let due = local.deadlines.borrow_mut().pop_due(&mut local.pending.borrow_mut());
                match due {
                    Some(key) => {
                        self.end(local, key, || {
                            let text = format!("{} did not answer in time", self.addr);
                            Err(Error::timeout(text))
                        });
                    }
                    None => {
                        break local.deadlines.borrow_mut().next(&mut local.pending.borrow_mut());
                    }
                }
            };
            let Some(next) = due else {
                local.alarm.replace(Alarm::Off);
                return;
            };
            let waiter = Waiter::new();
            local.alarm.replace(Alarm::Set(next, waiter.waker()));
            if let Err(WaitError::Forked) = waiter.wait(next) {
                return;
            }
        }
    }

    pub(super) fn stop_alarm(&self, local: &Local) {
        if let Alarm::Set(_, waker) = &*local.alarm.borrow() {
            waker.wake();
        }
    }
}
