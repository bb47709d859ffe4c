//! Why a job has no result.

use std::any::Any;
use std::fmt;
use std::io;

use crate::rt::{self, panic_text};
use crate::sync;

/// Why a job has no result, or a pool did not do what was asked. The text is not a contract.
pub struct JobError(Kind);

enum Kind {
    Panicked(Box<dyn Any + Send>),
    NotStarted(io::Error),
    TimedOut,
    Canceled,
    Withdrawn,
    Full,
    ShutDown,
    OwnJob,
    Forked,
}

impl JobError {
    pub(super) const WITHDRAWN: JobError = JobError(Kind::Withdrawn);
    pub(super) const SHUT_DOWN: JobError = JobError(Kind::ShutDown);
    pub(super) const OWN_JOB: JobError = JobError(Kind::OwnJob);

    pub(super) fn panicked(payload: Box<dyn Any + Send>) -> JobError {
        JobError(Kind::Panicked(payload))
    }

    pub(super) fn not_started(error: io::Error) -> JobError {
        JobError(if rt::check_usable().is_err() { Kind::Forked } else { Kind::NotStarted(error) })
    }

    /// The job panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panicked(_))
    }

    /// No thread could be started for it.
    #[must_use]
    pub fn is_not_started(&self) -> bool {
        matches!(self.0, Kind::NotStarted(_))
    }

    /// The deadline passed first.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, Kind::TimedOut)
    }

    /// The waiting coroutine was cancelled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, Kind::Canceled)
    }

    /// [`JobHandle::cancel`](super::JobHandle::cancel) came before the job began.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        matches!(self.0, Kind::Withdrawn)
    }

    /// As many jobs wait already as the pool has room for.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.0, Kind::Full)
    }

    /// The pool is shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        matches!(self.0, Kind::ShutDown)
    }

    /// A job of the pool wanted to wait for the end of all jobs.
    #[must_use]
    pub fn is_own_job(&self) -> bool {
        matches!(self.0, Kind::OwnJob)
    }

    /// This process was forked from one in which the runtime had started.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0, Kind::Forked)
    }

    /// What the job panicked with; `None` if it did not panic.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.0 {
            Kind::Panicked(payload) => Some(payload),
            _ => None,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Panicked(payload) => write!(f, "the job panicked: {}", panic_text(&**payload)),
            Kind::NotStarted(error) => write!(f, "no thread could be started: {error}"),
            Kind::TimedOut => f.write_str("the deadline passed"),
            Kind::Canceled => f.write_str("the waiting coroutine was cancelled"),
            Kind::Withdrawn => f.write_str("the job was cancelled before it began"),
            Kind::Full => f.write_str("too many jobs wait for the pool"),
            Kind::ShutDown => f.write_str("the pool is shut down"),
            Kind::OwnJob => f.write_str("a job cannot wait for the end of its own pool"),
            Kind::Forked => f.write_str("the runtime does not run in a forked child"),
        }
    }
}

impl fmt::Debug for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobError({self})")
    }
}

impl std::error::Error for JobError {}

impl From<sync::Error> for JobError {
    fn from(error: sync::Error) -> JobError {
        JobError(match error {
            e if e.is_timeout() => Kind::TimedOut,
            e if e.is_canceled() => Kind::Canceled,
            e if e.is_closed() => Kind::ShutDown,
            e if e.would_block() => Kind::Full,
            _ => Kind::Forked,
        })
    }
}
