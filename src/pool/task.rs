//! A job: its function until it begins, its outcome once it has ended.

use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::JobError;
use crate::rt::{self, Deadline, panic_text};
use crate::sync::{self, WaitGroup};

/// A handle to the result of a job. Dropping it detaches the job, which still runs.
pub struct JobHandle<T> {
    task: Arc<dyn Joinable<T>>,
}

impl<T> JobHandle<T> {
    pub(super) fn new(task: Arc<dyn Joinable<T>>) -> JobHandle<T> {
        JobHandle { task }
    }

    /// Waits until the job has ended and returns its result. May suspend.
    ///
    /// # Errors
    /// Why the job has no result, or why this wait failed; see [`JobError`].
    pub fn join(self) -> Result<T, JobError> {
        self.task.wait(Deadline::NEVER)?;
        self.task.take_outcome()
    }

    /// Waits like [`join`](JobHandle::join), until `deadline`. May suspend.
    ///
    /// # Errors
    /// The handle, if the job has not ended by then.
    pub fn join_by(self, deadline: Deadline) -> Result<Result<T, JobError>, Self> {
        match self.task.wait(deadline) {
            Ok(()) => Ok(self.task.take_outcome()),
            Err(error) if error.is_timeout() => Err(self),
            Err(error) => Ok(Err(error.into())),
        }
    }

    /// Drops the job unless it has begun, and returns whether this call did; joining it is then an
    /// error that [`is_withdrawn`](JobError::is_withdrawn).
    pub fn cancel(&self) -> bool {
        self.task.discard(JobError::WITHDRAWN)
    }

    /// Whether the job has ended or was dropped.
    pub fn is_finished(&self) -> bool {
        self.task.has_ended()
    }
}

impl<T> fmt::Debug for JobHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JobHandle").field("is_finished", &self.is_finished()).finish()
    }
}

/// A job, as seen by the threads that run it.
pub(super) trait Job: Send + Sync {
    /// Runs it unless it was run or dropped before; returns whether this call did.
    fn run(&self) -> bool;
    /// Drops it with `error` as its outcome unless it has begun; returns whether this call did.
    fn discard(&self, error: JobError) -> bool;
}

/// A job, as seen by the owner of its result.
pub(super) trait Joinable<T>: Job {
    fn wait(&self, deadline: Deadline) -> Result<(), sync::Error>;
    fn has_ended(&self) -> bool;
    /// Takes the outcome: once, after the end.
    fn take_outcome(&self) -> Result<T, JobError>;
}

pub(super) struct Task<F, T> {
    state: Mutex<JobState<F, T>>,
    /// Counts 1 until the job has ended.
    running: WaitGroup,
}

struct JobState<F, T> {
    /// Until the job begins.
    f: Option<F>,
    /// From the end of the job until it is taken.
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
        Task { state: Mutex::new(JobState { f: Some(f), outcome: None }), running }
    }

    /// Erases what `F` and `T` borrow from the job's type.
    ///
    /// # Safety
    /// What they borrow lives until neither the function nor an outcome is left in the task.
    pub(super) unsafe fn into_static<'a>(self: Arc<Self>) -> Arc<dyn Job>
    where
        F: 'a,
        T: 'a,
    {
        let job: Arc<dyn Job + 'a> = self;
        // SAFETY: only a lifetime changes, and by the caller's contract nothing is used beyond it.
        unsafe { mem::transmute::<Arc<dyn Job + 'a>, Arc<dyn Job>>(job) }
    }

    /// Waits until the function has ended and is dropped, or makes sure that it never begins.
    pub(super) fn wait_scoped(&self) -> Result<T, JobError> {
        if let Err(error) = self.running.wait()
            && !self.discard(error.into())
        {
            // Fails only in a forked child, where nobody runs the function.
            rt::uncancellable(|| self.running.wait())?;
        }
        self.take_outcome()
    }

    /// Waits until the function has ended, or detaches it at the deadline.
    pub(super) fn wait_detaching(&self, deadline: Deadline) -> Result<T, JobError> {
        if let Err(error) = self.running.wait_by(deadline)
            && !self.discard(error.into())
            && !self.has_ended()
        {
            return Err(error.into());
        }
        self.take_outcome()
    }

    fn lock(&self) -> MutexGuard<'_, JobState<F, T>> {
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
            // The job forked and this is the child, where nobody waits for it.
            mem::forget(outcome);
            return true;
        }
        self.lock().outcome = Some(outcome);
        self.running.done();
        true
    }

    fn discard(&self, error: JobError) -> bool {
        let f = {
            let mut state = self.lock();
            let Some(f) = state.f.take() else { return false };
            state.outcome = Some(Err(error));
            f
        };
        // A destructor that panics must not leave the waiter waiting.
        if catch_unwind(AssertUnwindSafe(|| drop(f))).is_err() {
            log::error!("a job that did not run panicked when it was dropped");
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

/// Calls the function of a job, which is dropped when this returns.
pub(super) fn call<T>(f: impl FnOnce() -> T) -> Result<T, JobError> {
    catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
        log::error!("a thread pool's job panicked: {}", panic_text(&*payload));
        JobError::panicked(payload)
    })
}
