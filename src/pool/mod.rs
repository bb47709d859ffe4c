//! A pool of OS threads with ordinary stacks, for what must not block a worker: blocking calls
//! that know nothing of coroutines, long computations, deep recursion.
//!
//! **What it offers.** [`ThreadPool`] runs functions ("jobs"): [`run`](ThreadPool::run) waits for
//! the result, which parks a coroutine and blocks a plain thread, [`spawn`](ThreadPool::spawn) and
//! [`execute`](ThreadPool::execute) do not wait. [`blocking`] marks a blocking call in a job.
//!
//! **What holds.**
//! - A job that was accepted runs exactly once, or is dropped exactly once without having begun;
//!   the one who waits for it learns which. It is dropped when its waiter gave up or cancelled it
//!   before it began, and when the deadline of a shutdown passed.
//! - A pool runs `threads` jobs at a time. A job that waits by this crate's means (calls of our
//!   client, sleep, locks, queues, joins, fds) or in [`blocking`] gives its place up: meanwhile
//!   another job runs, on an extra thread if need be. There are at most `threads` +
//!   `extra_threads` threads; beyond that jobs wait for their turn.
//! - A job whose wait is over goes on at once, without waiting for a place: more than `threads`
//!   jobs may then run for a while, and no new one begins until there are fewer. (It may hold
//!   locks that the running jobs want: waiting for one of them to end could last for ever.)
//! - `run` in a job of the same pool is a call: it takes no other thread and cannot deadlock.
//! - A job that panics is an error for the waiter and a line in the log; its thread goes on.
//!
//! **What it may call.** `rt` and `sync`. It learns of waits from `rt`, which tells an observer
//! that each thread of a pool installs.

mod error;
mod place;
mod task;
mod threads;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::error::JobError;
pub use self::place::blocking;
pub use self::task::JobHandle;
pub use self::threads::Stats;

use self::task::Task;
use self::threads::Shared;
use crate::rt::{self, Deadline};

/// Threads that run jobs. They start when they are needed.
///
/// Dropping it is a [`shutdown`](ThreadPool::shutdown) without a deadline, except that it does not
/// wait in one of its own jobs, nor after a shutdown whose deadline passed: the threads then end
/// by themselves. It may be dropped by any thread or coroutine, also by one that was cancelled.
#[derive(Debug)]
pub struct ThreadPool {
    shared: Arc<Shared>,
    /// A shutdown's deadline passed: nobody wants to wait for the rest.
    abandoned: AtomicBool,
}

/// How a pool is set up.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many jobs run at a time; that many threads stay when there is nothing to do. As many as
    /// there are processors by default.
    pub threads: usize,
    /// How many threads there may be beyond that while jobs wait; 128 by default.
    pub extra_threads: usize,
    /// How many jobs may wait for their turn; 10,000 by default.
    pub queue_size: usize,
    /// The stack of a thread in bytes; 8 MiB by default. Virtual memory: a page counts once it was
    /// touched.
    pub stack_size: usize,
    /// After how long without work a thread beyond `threads` ends; 10 seconds by default.
    pub idle_timeout: Duration,
    /// What the names of the threads begin with; "pool" by default.
    pub name: String,
    /// Whether handlers of signals may run on its threads, as on any; true by default.
    pub(crate) takes_signals: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            extra_threads: 128,
            queue_size: 10_000,
            stack_size: 8 * 1024 * 1024,
            idle_timeout: Duration::from_secs(10),
            name: "pool".to_owned(),
            takes_signals: true,
        }
    }
}

impl ThreadPool {
    /// A pool that runs `threads` jobs at a time.
    ///
    /// # Errors
    /// As for [`with_options`](ThreadPool::with_options).
    pub fn new(threads: usize) -> io::Result<ThreadPool> {
        ThreadPool::with_options(Options { threads, ..Options::default() })
    }

    /// A pool as `options` say. No thread starts yet.
    ///
    /// # Errors
    /// `InvalidInput` for no threads, more than 100,000 of them, no room for jobs, or a name with a
    /// NUL in it.
    pub fn with_options(options: Options) -> io::Result<ThreadPool> {
        let invalid = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if !(1..=MAX_THREADS).contains(&options.threads) || options.extra_threads > MAX_THREADS {
            return invalid("a pool has at least 1 and at most 100000 threads");
        }
        if options.queue_size == 0 {
            return invalid("a pool needs room for waiting jobs");
        }
        if options.name.contains('\0') {
            return invalid("the name of a thread has no NUL");
        }
        let shared = Arc::new(Shared::new(options));
        Ok(ThreadPool { shared, abandoned: AtomicBool::new(false) })
    }

    /// Runs `f` on a thread of the pool and answers its result. What `f` borrows is safe: once it
    /// has begun, this does not return before it has ended, not even in a cancelled coroutine.
    ///
    /// Waits for room among the waiting jobs, if there is none. In a job of the same pool, calls
    /// `f` right here. May suspend.
    ///
    /// # Errors
    /// [`is_panic`](JobError::is_panic): `f` panicked. Any other: `f` did not run and never will;
    /// [`is_canceled`](JobError::is_canceled), [`is_shut_down`](JobError::is_shut_down),
    /// [`is_not_started`](JobError::is_not_started), [`is_forked`](JobError::is_forked).
    pub fn run<F, T>(&self, f: F) -> Result<T, JobError>
    where
        F: FnOnce() -> T + Send,
        T: Send,
    {
        if self.shared.is_mine() {
            return task::call(f);
        }
        let task = Arc::new(Task::new(f));
        // SAFETY: after `wait_to_the_end` nothing of `f` and its result is left in the task, whoever
        // still holds it. Nor is it after a failed `submit`: the job ended, or nobody holds it.
        let job = unsafe { task.clone().into_static() };
        self.shared.submit(job, Some(Deadline::NEVER))?;
        task.wait_to_the_end()
    }

    /// The same, but waits until `deadline` at most. A function that has not begun by then never
    /// will; one that has begun goes on, and its result is dropped. May suspend.
    ///
    /// # Errors
    /// As for [`run`](ThreadPool::run), and [`is_timeout`](JobError::is_timeout). After a time-out
    /// or a cancellation `f` may have begun.
    pub fn run_by<F, T>(&self, deadline: Deadline, f: F) -> Result<T, JobError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = Arc::new(Task::new(f));
        self.shared.submit(task.clone(), Some(deadline))?;
        task.wait_or_give_up(deadline)
    }

    /// Runs `f` on a thread of the pool, later. Does not wait.
    ///
    /// # Errors
    /// `f` was dropped: [`is_full`](JobError::is_full), or as for [`run`](ThreadPool::run).
    pub fn spawn<F, T>(&self, f: F) -> Result<JobHandle<T>, JobError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = Arc::new(Task::new(f));
        self.shared.submit(task.clone(), None)?;
        Ok(JobHandle::new(task))
    }

    /// The same for a job whose end interests nobody. Does not wait.
    ///
    /// # Errors
    /// As for [`spawn`](ThreadPool::spawn).
    pub fn execute<F>(&self, f: F) -> Result<(), JobError>
    where
        F: FnOnce() + Send + 'static,
    {
        self.spawn(f).map(drop)
    }

    /// Lets no more jobs in, and waits until all that were accepted have ended and the threads are
    /// gone. When `deadline` passes first, the jobs that have not begun are dropped, and those that
    /// run are left to themselves. May be called again. May suspend.
    ///
    /// # Errors
    /// [`is_timeout`](JobError::is_timeout); [`is_canceled`](JobError::is_canceled): the pool goes
    /// on to end; [`is_own_job`](JobError::is_own_job): in a job of this pool, which would wait for
    /// itself, nothing is done.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), JobError> {
        rt::check_usable().map_err(JobError::not_started)?;
        if self.shared.is_mine() {
            return Err(JobError::OWN_JOB);
        }
        self.shared.close();
        let ended = self.shared.wait(deadline);
        if ended.as_ref().is_err_and(JobError::is_timeout) {
            self.abandoned.store(true, Ordering::Relaxed);
            self.shared.refuse_waiting();
        }
        ended
    }

    /// What the pool does at this moment, and has done.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if rt::check_usable().is_err() {
            return;
        }
        self.shared.close();
        if !self.shared.is_mine() && !*self.abandoned.get_mut() {
            // Fails in a child of fork alone, where there is nobody to wait for.
            let _ = rt::uncancellable(|| self.shared.wait(Deadline::NEVER));
        }
    }
}

const MAX_THREADS: usize = 100_000;
