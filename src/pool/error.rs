//! Why a job has no result.

use std::any::Any;
use std::fmt;
use std::io;

use crate::rt::{self, panic_text};
use crate::sync;

/// Why a job has no result, or why a pool rejected a request. The text is not a contract.
pub struct JobError(JobErrorKind);

enum JobErrorKind {
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
    pub(super) const WITHDRAWN: JobError = JobError(JobErrorKind::Withdrawn);
    pub(super) const SHUT_DOWN: JobError = JobError(JobErrorKind::ShutDown);
    pub(super) const OWN_JOB: JobError = JobError(JobErrorKind::OwnJob);

    pub(super) fn panicked(payload: Box<dyn Any + Send>) -> JobError {
        JobError(JobErrorKind::Panicked(payload))
    }

    pub(super) fn not_started(error: io::Error) -> JobError {
        JobError(if rt::check_usable().is_err() {
            JobErrorKind::Forked
        } else {
            JobErrorKind::NotStarted(error)
        })
    }

    /// Whether the job panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0, JobErrorKind::Panicked(_))
    }

    /// Whether no thread could be started for the job.
    #[must_use]
    pub fn is_not_started(&self) -> bool {
        matches!(self.0, JobErrorKind::NotStarted(_))
    }

    /// Whether the deadline passed first.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        matches!(self.0, JobErrorKind::TimedOut)
    }

    /// Whether the waiting coroutine was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, JobErrorKind::Canceled)
    }

    /// Whether [`JobHandle::cancel`](super::JobHandle::cancel) dropped the job before it began.
    #[must_use]
    pub fn is_withdrawn(&self) -> bool {
        matches!(self.0, JobErrorKind::Withdrawn)
    }

    /// Whether the queue of the pool is full.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self.0, JobErrorKind::Full)
    }

    /// Whether the pool is shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        matches!(self.0, JobErrorKind::ShutDown)
    }

    /// Whether a job asked its own pool to shut down, which would wait for the job itself.
    #[must_use]
    pub fn is_own_job(&self) -> bool {
        matches!(self.0, JobErrorKind::OwnJob)
    }

    /// Whether this process was forked from one in which the runtime had started.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        matches!(self.0, JobErrorKind::Forked)
    }

    /// Returns the panic's payload; `None` if the job did not panic.
    #[must_use]
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.0 {
            JobErrorKind::Panicked(payload) => Some(payload),
            _ => None,
        }
    }
}

impl fmt::Display for JobError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            JobErrorKind::Panicked(payload) => {
                write!(f, "the job panicked: {}", panic_text(&**payload))
            }
            JobErrorKind::NotStarted(error) => write!(f, "cannot start a thread: {error}"),
            JobErrorKind::TimedOut => f.write_str("the deadline passed"),
            JobErrorKind::Canceled => f.write_str("the waiting coroutine was canceled"),
            JobErrorKind::Withdrawn => f.write_str("the job was canceled before it began"),
            JobErrorKind::Full => f.write_str("the pool's queue is full"),
            JobErrorKind::ShutDown => f.write_str("the pool is shut down"),
            JobErrorKind::OwnJob => {
                f.write_str("a job cannot shut its own pool down: it would wait for itself")
            }
            JobErrorKind::Forked => {
                f.write_str("the runtime does not run in a forked child: fork before its first use")
            }
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
            e if e.is_timeout() => JobErrorKind::TimedOut,
            e if e.is_canceled() => JobErrorKind::Canceled,
            e if e.is_closed() => JobErrorKind::ShutDown,
            e if e.would_block() => JobErrorKind::Full,
            _ => JobErrorKind::Forked,
        })
    }
}
