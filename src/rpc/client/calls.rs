//! The calls in flight on their worker: how each begins, and how it ends exactly once.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::call_ids::CallIds;
use super::deadlines::{DeadlineTask, Deadlines};
use super::pending::{Done, Outcome, Pending};
use super::shared::Shared;
use crate::rpc::{Error, Protocol};
use crate::rt::{self, Deadline, WaitError, Waiter};
use crate::slab::Slab;
use crate::sync::lock;

/// The calls in flight. Worker-local.
pub(super) struct Calls {
    pub(super) shared: Arc<Shared>,
    pending: RefCell<Slab<Pending>>,
    /// For frames whose id field has 32 bits.
    ids: RefCell<CallIds>,
    deadlines: RefCell<Deadlines>,
    deadline_task: RefCell<DeadlineTask>,
    /// Callbacks that a coroutine is about to run.
    callbacks: RefCell<VecDeque<(Done, Outcome)>>,
}

impl Calls {
    pub(super) fn new(shared: Arc<Shared>) -> Calls {
        Calls {
            shared,
            pending: RefCell::new(Slab::new()),
            ids: RefCell::default(),
            deadlines: RefCell::default(),
            deadline_task: RefCell::new(DeadlineTask::Off),
            callbacks: RefCell::default(),
        }
    }

    // ---- beginning ----

    /// Registers a call, whose request `send` queues for writing under the id assigned. Returns the
    /// call's key, or the error and the entry.
    #[inline]
    pub(super) fn begin(
        &self,
        entry: Pending,
        send: impl FnOnce(i64) -> Result<(), Error>,
    ) -> Result<u64, (Error, Pending)> {
        let mut pending = self.pending.borrow_mut();
        if pending.len() >= self.shared.options.max_in_flight {
            return Err((Error::crowded("too many calls are in flight"), entry));
        }
        let key = pending.insert(entry);
        let id = match self.shared.options.protocol {
            Protocol::BaiduStd => key as i64,
            Protocol::Original => self.ids.borrow_mut().assign(key, &mut pending).into(),
        };
        if let Err(error) = send(id) {
            let entry = pending.remove(key).expect("inserted above");
            return Err((error, entry));
        }
        self.count(&pending);
        Ok(key)
    }

    /// Returns the key of the call with this 32-bit id.
    pub(super) fn take_id(&self, id: u32) -> Option<u64> {
        self.ids.borrow_mut().take(id)
    }

    // ---- ending ----

    /// Removes the entry of a call that its coroutine waited for, and returns the outcome.
    #[inline]
    pub(super) fn take_outcome(&self, key: u64) -> Option<Outcome> {
        let mut pending = self.pending.borrow_mut();
        let entry = pending.remove(key);
        self.count(&pending);
        match entry {
            Some(Pending::OnWorker { outcome, .. }) => outcome,
            _ => None,
        }
    }

    /// Completes a call with what `outcome` returns. Returns false if there is no such call.
    #[inline]
    pub(super) fn complete(self: &Rc<Self>, key: u64, outcome: impl FnOnce() -> Outcome) -> bool {
        let mut pending = self.pending.borrow_mut();
        match pending.get_mut(key) {
            None => return false,
            Some(Pending::OnWorker { waker, outcome: place }) => {
                if place.is_some() {
                    return false;
                }
                *place = Some(outcome());
                waker.wake();
                return true;
            }
            Some(_) => {}
        }
        let entry = pending.remove(key);
        self.count(&pending);
        drop(pending);
        match entry {
            Some(Pending::CrossThread(slot)) => slot.complete(outcome()),
            Some(Pending::Async(done)) => self.run_callback(done, outcome()),
            _ => {}
        }
        true
    }

    /// Fails every call with this error.
    pub(super) fn fail_all(self: &Rc<Self>, error: &Error) {
        let keys = self.pending.borrow().keys();
        for key in keys {
            self.complete(key, || Err(error.clone()));
        }
    }

    pub(super) fn cancel(self: &Rc<Self>, key: u64) {
        self.complete(key, || Err(Error::canceled()));
    }

    /// Runs the callback of a call in a coroutine.
    pub(super) fn run_callback(self: &Rc<Self>, done: Done, outcome: Outcome) {
        // Kept outside of the coroutine's closure, so that it is not lost if no coroutine can be
        // started.
        self.callbacks.borrow_mut().push_back((done, outcome));
        let calls = self.clone();
        let run = move || {
            let next = calls.callbacks.borrow_mut().pop_front();
            if let Some((done, outcome)) = next {
                done(outcome);
            }
        };
        if rt::spawn_detached("rpc callback", run.clone()).is_err()
            && catch_unwind(AssertUnwindSafe(run)).is_err()
        {
            log::error!("the callback of a call panicked");
        }
    }

    #[inline]
    fn count(&self, pending: &Slab<Pending>) {
        self.shared.counters.in_flight.store(pending.len() as u64, Ordering::Relaxed);
    }

    // ---- deadlines of calls that nobody waits for ----

    /// Sets the deadline of the asynchronous call `key`.
    pub(super) fn expire_at(self: &Rc<Self>, key: u64, deadline: Deadline) {
        if deadline == Deadline::NEVER {
            return;
        }
        self.deadlines.borrow_mut().add(deadline, key, &mut self.pending.borrow_mut());
        let mut task = self.deadline_task.borrow_mut();
        match &*task {
            DeadlineTask::Starting => {}
            DeadlineTask::Sleeping(until, waker) => {
                if deadline < *until {
                    waker.wake();
                }
            }
            DeadlineTask::Off => {
                let calls = self.clone();
                match rt::spawn_detached("rpc deadlines", move || calls.watch_deadlines()) {
                    Ok(_) => *task = DeadlineTask::Starting,
                    Err(error) => log::error!("deadlines may be late: {error}"),
                }
            }
        }
    }

    /// Watches the deadlines: the body of the coroutine that a [`DeadlineTask`] is.
    fn watch_deadlines(self: Rc<Self>) {
        loop {
            let next = loop {
                let due = self.deadlines.borrow_mut().pop_due(&mut self.pending.borrow_mut());
                match due {
                    Some(key) => self.complete(key, || Err(self.shared.timeout_error())),
                    None => break self.deadlines.borrow_mut().next(&mut self.pending.borrow_mut()),
                };
            };
            let Some(next) = next else {
                self.deadline_task.replace(DeadlineTask::Off);
                return;
            };
            let waiter = Waiter::new();
            self.deadline_task.replace(DeadlineTask::Sleeping(next, waiter.waker()));
            if let Err(WaitError::Forked) = waiter.wait(next) {
                return;
            }
        }
    }

    /// Makes the task check its calls again, which ends it when there are none.
    pub(super) fn wake_deadline_task(&self) {
        if let DeadlineTask::Sleeping(_, waker) = &*self.deadline_task.borrow() {
            waker.wake();
        }
    }
}

/// Runs the callback of a call in a coroutine, from another thread than the client's worker.
pub(super) fn run_callback_anywhere(done: Done, outcome: Outcome) {
    // If no coroutine can be started, run it here: at least this is the thread that made the call.
    let callback = Arc::new(Mutex::new(Some((done, outcome))));
    let run = move || {
        let callback = lock(&callback).take();
        if let Some((done, outcome)) = callback {
            done(outcome);
        }
    };
    if rt::spawn(run.clone()).is_err() {
        run();
    }
}
