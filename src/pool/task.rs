//! One job: its function until it begins, its outcome from its end on.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JobError;
use crate::rt::{self, Deadline, panic_text};
use crate::sync::{self, WaitGroup};

/// Owns the result of a job. Dropping it lets the job run on its own.
pub struct JobHandle<T> {
    task: Arc<dyn Joinable<T>>,
}

impl<T> JobHandle<T> {
    pub(super) fn new(task: Arc<dyn Joinable<T>>) -> JobHandle<T> {
        JobHandle { task }
    }

    /// Waits until the job has ended, and answers its result. May suspend.
    ///
    /// # Errors
    /// What ended the job otherwise, or this wait; see [`JobError`].
    pub fn join(self) -> Result<T, JobError> {
        self.task.wait(Deadline::NEVER)?;
        self.task.take_outcome()
    }

    /// The same until `deadline`; after that the handle comes back. May suspend.
    ///
    /// # Errors
    /// The handle itself, if the job has not ended.
    pub fn join_by(self, deadline: Deadline) -> Result<Result<T, JobError>, Self> {
        match self.task.wait(deadline) {
            Ok(()) => Ok(self.task.take_outcome()),
            Err(error) if error.is_timeout() => Err(self),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Drops the job unless it has begun: true if this call did, and joining says so.
    pub fn cancel(&self) -> bool {
        self.task.end_unbegun(JobError::WITHDRAWN)
    }

    /// Whether the job has ended, or was dropped.
    pub fn is_finished(&self) -> bool {
        self.task.has_ended()
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// A job as a thread sees it.
pub(super) trait Job: Send + Sync {
    /// Runs it, unless it was run or dropped before; true if this call did.
    fn run(&self) -> bool;
    /// Drops it with `error` as its outcome, unless it has begun; true if this call did.
    fn end_unbegun(&self, error: JobError) -> bool;
}

/// A job as the owner of its result sees it.
pub(super) trait Joinable<T>: Job {
    fn wait(&self, deadline: Deadline) -> Result<(), sync::Error>;
    fn has_ended(&self) -> bool;
    /// After the end, once.
    fn take_outcome(&self) -> Result<T, JobError>;
}

pub(super) struct Task<F, T> {
    state: Mutex<State<F, T>>,
    /// Counts 1 until the job has ended.
    running: WaitGroup,
}

struct State<F, T> {
    /// Until it begins.
    f: Option<F>,
    /// From its end on, until it is taken.
    outcome: Option<Result<T, JobError>>,
}

impl<F, T> Task<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    pub(super) fn new(f: F) -> Task<F, T> {
        let running = WaitGroup::new();
        running.add(1);
        Task { state: Mutex::new(State { f: Some(f), outcome: None }), running }
    }

    /// # Safety
    /// What `F` and `T` borrow lives until neither a function nor an outcome is left in the task.
    pub(super) unsafe fn into_static<'a>(self: Arc<Self>) -> Arc<dyn Job>
    where
        F: 'a,
        T: 'a,
    {
        let job: Arc<dyn Job + 'a> = self;
        // SAFETY: only a lifetime changes; by the caller's contract nothing that has it is used
        // after it.
        unsafe { mem::transmute::<Arc<dyn Job + 'a>, Arc<dyn Job>>(job) }
    }

    /// Waits until the function has ended and is gone, or makes sure that it never begins.
    pub(super) fn wait_to_the_end(&self) -> Result<T, JobError> {
        if let Err(error) = self.running.wait()
            && !self.end_unbegun(error.into())
        {
            // Fails in the child of a fork alone, in which nobody runs the function.
            rt::uncancellable(|| self.running.wait())?;
        }
        self.take_outcome()
    }

    /// Waits until the function has ended, or else leaves it alone.
    pub(super) fn wait_or_give_up(&self, deadline: Deadline) -> Result<T, JobError> {
        if let Err(error) = self.running.wait_by(deadline)
            && !self.end_unbegun(error.into())
            && !self.has_ended()
        {
            return Err(error.into());
        }
        self.take_outcome()
    }

    fn lock(&self) -> MutexGuard<'_, State<F, T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<F, T> Job for Task<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn run(&self) -> bool {
        let Some(f) = self.lock().f.take() else { return false };
        let outcome = call(f);
        if rt::check_usable().is_err() {
            // The job forked, and this is the child: nobody waits here.
            mem::forget(outcome);
            return true;
        }
        self.lock().outcome = Some(outcome);
        self.running.done();
        true
    }

    fn end_unbegun(&self, error: JobError) -> bool {
        let f = {
            let mut state = self.lock();
            let Some(f) = state.f.take() else { return false };
            state.outcome = Some(Err(error));
            f
        };
        // Whatever becomes of it, the waiter must not wait for ever.
        if catch_unwind(AssertUnwindSafe(|| drop(f))).is_err() {
            log::error!("dropping a job that did not run panicked");
        }
        self.running.done();
        true
    }
}

impl<F, T> Joinable<T> for Task<F, T>
where
    F: FnOnce() -> T + Send,
    T: Send,
{
    fn wait(&self, deadline: Deadline) -> Result<(), sync::Error> {
        self.running.wait_by(deadline)
    }

    fn has_ended(&self) -> bool {
        self.running.count() == 0
    }

    fn take_outcome(&self) -> Result<T, JobError> {
        self.lock().outcome.take().expect("an ended job has an outcome, which is taken once")
    }
}

/// Calls the function of a job. What it owns is gone when this returns.
pub(super) fn call<T>(f: impl FnOnce() -> T) -> Result<T, JobError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        log::error!("a job of a thread pool panicked: {}", panic_text(&*payload));
        JobError::panicked(payload)
    })
}
