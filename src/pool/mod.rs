//! Thread pools: OS threads with ordinary stacks, for what must not block a worker: blocking calls
//! that know nothing of coroutines, long computations, deep recursion.
//!
//! [`ThreadPool`] runs functions, its jobs. [`run`](ThreadPool::run) waits for the result, which
//! suspends a coroutine and blocks a plain thread; [`submit`](ThreadPool::submit) returns a handle;
//! [`post`](ThreadPool::post) returns nothing. [`blocking`] marks a blocking call in a job.
//!
//! - An accepted job either runs exactly once, or is dropped exactly once without having begun, and
//!   its waiter learns which. It is dropped when its waiter gave up or canceled it before it began,
//!   and when the deadline of a shutdown passed.
//! - A pool runs `threads` jobs at a time. A job that waits through this crate (RPC calls, sleep,
//!   locks, queues, joins, fds) or in [`blocking`] releases its slot: meanwhile another job runs,
//!   on an extra thread if need be. A pool has at most `threads` + `extra_threads` threads; beyond
//!   that jobs are queued.
//! - A job whose wait has ended continues at once, without waiting for a slot: more than `threads`
//!   jobs may then run for a while, and none begins until there are fewer. (It may hold locks that
//!   the running jobs want: to wait for one of them could be a deadlock.)
//! - `run` in a job of the same pool is a plain call: it takes no other thread and cannot deadlock.
//! - A job that panics is an error for its waiter and a line in the log; its thread goes on.
//!
//! ```
//! use fastrpc::pool::ThreadPool;
//!
//! let pool = ThreadPool::new(2)?;
//! assert_eq!(pool.run(|| 6 * 7)?, 42);
//! let handle = pool.submit(|| "later")?;
//! assert_eq!(handle.join()?, "later");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// What it may call: rt, sync, sys.
//
// `rt` reports waits to it, through the observer that each thread of a pool installs.

mod error;
mod slot;
mod task;
mod threads;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub use self::error::JobError;
pub use self::slot::blocking;
pub use self::task::JobHandle;
pub use self::threads::Stats;

use self::task::Task;
use self::threads::PoolCore;
use crate::rt::{self, Deadline};

/// A pool of threads that run jobs. Threads start when they are needed.
///
/// ```
/// use fastrpc::pool::ThreadPool;
/// use fastrpc::rt;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = ThreadPool::new(2)?;
/// let sum = rt::spawn(move || {
///     // The coroutine is suspended meanwhile; its worker runs others.
///     pool.run(|| (1..=1000_u64).sum::<u64>())
/// })?;
/// assert_eq!(sum.join()??, 500_500);
/// # Ok(())
/// # }
/// ```
///
/// Dropping it is a [`shutdown`](ThreadPool::shutdown) without a deadline, except that it does not
/// wait in one of its own jobs, nor after a shutdown whose deadline passed: the threads then exit
/// on their own. It may be dropped by any thread or coroutine, canceled ones included.
#[derive(Debug)]
pub struct ThreadPool {
    core: Arc<PoolCore>,
    /// The deadline of a shutdown passed: dropping the pool does not wait.
    abandoned: AtomicBool,
}

/// The options of a [`ThreadPool`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Jobs that run at a time; as many threads stay when idle. The number of processors by default.
    pub threads: usize,
    /// Threads beyond `threads` that may exist while jobs wait; 128 by default.
    pub extra_threads: usize,
    /// Jobs that may be queued; 10,000 by default.
    pub queue_size: usize,
    /// The stack of a thread in bytes; 8 MiB by default. Virtual memory: a page becomes resident
    /// once touched.
    pub stack_size: usize,
    /// Idle time after which a thread beyond `threads` exits; 10 seconds by default.
    pub idle_timeout: Duration,
    /// The prefix of the threads' names; "pool" by default.
    pub name: String,
    /// Whether signal handlers may run on its threads, as on any; true by default.
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

impl Options {
    /// Returns the defaults.
    pub fn new() -> Options {
        Options::default()
    }

    setters! {
        threads: usize,
        extra_threads: usize,
        queue_size: usize,
        stack_size: usize,
        idle_timeout: Duration,
        name: into String,
    }
}

impl ThreadPool {
    /// Creates a pool that runs `threads` jobs at a time.
    ///
    /// # Errors
    /// As for [`with_options`](ThreadPool::with_options).
    pub fn new(threads: usize) -> io::Result<ThreadPool> {
        ThreadPool::with_options(Options { threads, ..Options::default() })
    }

    /// Creates a pool with `options`. No thread starts yet.
    ///
    /// # Errors
    /// `InvalidInput` for no threads or more than 100,000, a queue of size 0, or a name with a NUL.
    pub fn with_options(options: Options) -> io::Result<ThreadPool> {
        let invalid = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        if !(1..=MAX_THREADS).contains(&options.threads) || options.extra_threads > MAX_THREADS {
            return invalid("the number of a pool's threads must be between 1 and 100000");
        }
        if options.queue_size == 0 {
            return invalid("the queue size of a pool must not be 0");
        }
        if options.name.contains('\0') {
            return invalid("the name of a pool must not contain NUL");
        }
        let core = Arc::new(PoolCore::new(options));
        Ok(ThreadPool { core, abandoned: AtomicBool::new(false) })
    }

    /// Runs `f` on a thread of the pool and returns its result. `f` may borrow: once it has begun,
    /// this does not return before it has ended, not even in a canceled coroutine.
    ///
    /// Waits for room when the queue is full. In a job of the same pool, calls `f` directly. May
    /// suspend.
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
        if self.core.is_own_job() {
            return task::call(f);
        }
        let task = Arc::new(Task::new(f));
        // SAFETY: after `wait_scoped` neither `f` nor its result is left in the task, whoever still
        // holds it. Nor is it after a failed `enqueue`: the job has ended, or nobody holds it.
        let job = unsafe { task.clone().into_static() };
        self.core.enqueue(job, Some(Deadline::NEVER))?;
        task.wait_scoped()
    }

    /// Runs `f` like [`run`](ThreadPool::run), but waits until `deadline` at most. If `f` has not
    /// begun by then it never will; if it has, it goes on and its result is dropped. May suspend.
    ///
    /// # Errors
    /// As for [`run`](ThreadPool::run), and [`is_timeout`](JobError::is_timeout). After a timeout
    /// or a cancellation `f` may have begun.
    pub fn run_by<F, T>(&self, deadline: Deadline, f: F) -> Result<T, JobError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = Arc::new(Task::new(f));
        self.core.enqueue(task.clone(), Some(deadline))?;
        task.wait_detaching(deadline)
    }

    /// Queues `f` and returns a handle to its result. Does not wait.
    ///
    /// # Errors
    /// `f` was dropped: [`is_full`](JobError::is_full), or as for [`run`](ThreadPool::run).
    pub fn submit<F, T>(&self, f: F) -> Result<JobHandle<T>, JobError>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let task = Arc::new(Task::new(f));
        self.core.enqueue(task.clone(), None)?;
        Ok(JobHandle::new(task))
    }

    /// Queues `f`, whose result nobody waits for. Does not wait.
    ///
    /// # Errors
    /// As for [`submit`](ThreadPool::submit).
    pub fn post<F>(&self, f: F) -> Result<(), JobError>
    where
        F: FnOnce() + Send + 'static,
    {
        self.submit(f).map(drop)
    }

    /// Rejects further jobs and waits until all accepted ones have ended and the threads have
    /// exited. When `deadline` passes first, jobs that have not begun are dropped and running ones
    /// are detached. May be called again. May suspend.
    ///
    /// # Errors
    /// [`is_timeout`](JobError::is_timeout); [`is_canceled`](JobError::is_canceled): the pool still
    /// shuts down; [`is_own_job`](JobError::is_own_job): called by a job of this pool, which would
    /// wait for itself, it does nothing.
    pub fn shutdown(&self, deadline: Deadline) -> Result<(), JobError> {
        rt::check_usable().map_err(JobError::not_started)?;
        if self.core.is_own_job() {
            return Err(JobError::OWN_JOB);
        }
        self.core.close();
        let ended = self.core.wait(deadline);
        if ended.as_ref().is_err_and(JobError::is_timeout) {
            self.abandoned.store(true, Ordering::Relaxed);
            self.core.discard_queued();
        }
        ended
    }

    /// Returns the counters of the pool.
    pub fn stats(&self) -> Stats {
        self.core.stats()
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        if rt::check_usable().is_err() {
            return;
        }
        self.core.close();
        if !self.core.is_own_job() && !*self.abandoned.get_mut() {
            // Fails only in a forked child, which has no thread to wait for.
            let _ = rt::uncancellable(|| self.core.wait(Deadline::NEVER));
        }
    }
}

const MAX_THREADS: usize = 100_000;
