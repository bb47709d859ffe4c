//! Spawning and joining coroutines.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fiber::stack;
use super::fiber::{self, Job, Name};
use super::fork;
use super::park::inbox::{self, Message};
use super::park::wait::{Parker, WaitError, Waiter, Waker};
use super::start;
use super::time::Deadline;
use super::worker::Worker;

/// Spawns a coroutine on the calling worker or, from a plain thread, on each worker in turn.
///
/// ```
/// use fastrpc::rt;
///
/// let sum = rt::spawn(|| (1..=10).sum::<i32>())?;
/// assert_eq!(sum.join()?, 55);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// `ENOMEM` when its stack cannot be allocated; when the runtime cannot start; in a forked child.
pub fn spawn<F, T>(f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f)
}

/// Spawns a coroutine with a name, a stack size or on a given worker.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    name: Option<Arc<str>>,
    stack_size: Option<usize>,
    worker: Option<usize>,
}

impl Builder {
    /// Creates a builder with the defaults: no name, the runtime's stack size, the calling worker.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Sets the coroutine's name, which log lines and the report of a stack overflow show.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the stack in bytes, rounded up to whole pages; at least 16 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Sets the worker, from 0 to [`worker_count`](super::worker_count) - 1.
    pub fn worker(mut self, index: usize) -> Builder {
        self.worker = Some(index);
        self
    }

    /// Spawns a coroutine that runs `f`.
    ///
    /// On the calling worker the stack is allocated before this returns. On another worker the
    /// coroutine starts later; if no stack can be allocated there, joining it is an error that
    /// [`is_not_started`](JoinError::is_not_started).
    ///
    /// # Errors
    /// As for [`spawn`]; `InvalidInput` for a worker that does not exist or a stack of more than
    /// 1 GiB.
    pub fn spawn<F, T>(self, f: F) -> io::Result<JoinHandle<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let home = match self.worker {
            None => start::pick_worker()?,
            Some(index) => {
                start::ensure()?;
                if index >= start::worker_count() {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!(
                            "there is no worker {index}: the runtime has {}",
                            start::worker_count()
                        ),
                    ));
                }
                index
            }
        };
        let stack_size = match self.stack_size {
            None => start::default_stack_size(),
            Some(bytes) => stack::size_class(bytes)?,
        };
        let id = next_id();
        let task = Arc::new(Task::new(home, id));
        let body = Body { task: task.clone(), f };
        let name = self.name.map_or(Name::Static("coroutine"), Name::Owned);
        if Worker::current().is_some_and(|worker| worker.index() == home) {
            let job = Job { name, id, body: Box::new(move || body.run()) };
            let parker = fiber::spawn_job_sized(job, stack_size)?;
            task.lock().parker = Some(parker);
        } else {
            let start = move || body.start(name, stack_size);
            inbox::send(home, Message::Run(Box::new(start)));
        }
        Ok(JoinHandle { task: Some(task) })
    }
}

/// Spawns `f` on the calling worker as a coroutine that is not joined: cheaper than [`spawn`].
pub(crate) fn spawn_detached(
    name: &'static str,
    f: impl FnOnce() + 'static,
) -> io::Result<Detached> {
    let id = next_id();
    let parker = fiber::spawn_job(Job { name: Name::Static(name), id, body: Box::new(f) })?;
    Ok(Detached { parker, id })
}

/// A coroutine that is not joined.
pub(crate) struct Detached {
    parker: Arc<Parker>,
    id: u64,
}

impl Detached {
    /// Fails every wait of the coroutine from now on, unless it has ended. On its worker only.
    pub(crate) fn cancel(&self) {
        self.parker.cancel(self.id);
    }
}

/// The result of a coroutine, for the one who joins it. Dropping the handle detaches the coroutine.
///
/// ```
/// use fastrpc::rt;
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let sleeper = rt::spawn(|| rt::sleep(Duration::from_secs(3600)))?;
/// sleeper.cancel(); // its wait fails; nothing is unwound
/// assert!(sleeper.join()?.is_err());
/// # Ok(())
/// # }
/// ```
pub struct JoinHandle<T> {
    /// `None` only while a call consumes the handle.
    task: Option<Arc<Task<T>>>,
}

impl<T: Send + 'static> JoinHandle<T> {
    /// Waits until the coroutine has ended and returns its result.
    ///
    /// # Errors
    /// Why the coroutine has no result, or why this wait failed; see [`JoinError`].
    pub fn join(self) -> Result<T, JoinError> {
        self.join_by(Deadline::NEVER).unwrap_or(Err(JoinError(JoinErrorKind::TimedOut)))
    }

    /// Waits like [`join`](JoinHandle::join), until `deadline`.
    ///
    /// # Errors
    /// The handle, if the coroutine has not ended by then.
    pub fn join_by(self, deadline: Deadline) -> Result<Result<T, JoinError>, Self> {
        match self.task().wait(deadline) {
            Ok(outcome) => Ok(outcome),
            Err(WaitError::TimedOut) => Err(self),
            Err(WaitError::Canceled) => Ok(Err(JoinError(JoinErrorKind::Canceled))),
            Err(WaitError::Forked) => Ok(Err(JoinError(JoinErrorKind::Forked))),
        }
    }

    /// Cancels the coroutine: its waits, the present one included, fail with `ECANCELED` from now on.
    /// Nothing is unwound; a coroutine that does not wait runs on.
    pub fn cancel(&self) {
        let task = self.task().clone();
        if fork::is_forked() {
            return;
        }
        task.cancel_requested.store(true, Ordering::Relaxed);
        match Worker::current() {
            Some(worker) if worker.index() == task.home => task.cancel(),
            _ => inbox::send(task.home, Message::Run(Box::new(move || task.cancel()))),
        }
    }

    /// Whether the coroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.task().done.load(Ordering::Acquire)
    }

    /// Returns the coroutine's id, unique in this process.
    pub fn id(&self) -> u64 {
        self.task().id
    }

    fn task(&self) -> &Arc<Task<T>> {
        self.task.as_ref().expect("present until consumed")
    }
}

impl<T: Send + 'static> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle").field("id", &self.id()).finish_non_exhaustive()
    }
}

/// Why a coroutine has no result.
pub struct JoinError(JoinErrorKind);

enum JoinErrorKind {
    Panicked(Box<dyn Any + Send>),
    NotStarted(io::Error),
    TimedOut,
    Canceled,
    Forked,
}

impl JoinError {
    /// Whether the coroutine panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, JoinErrorKind::Panicked(_))
    }

    /// Whether the wait was canceled. The joined coroutine runs on.
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, JoinErrorKind::Canceled)
    }

    /// Whether the coroutine could not be started.
    pub fn is_not_started(&self) -> bool {
        matches!(self.0, JoinErrorKind::NotStarted(_))
    }

    /// Returns the panic's payload; `None` if the coroutine did not panic.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.0 {
            JoinErrorKind::Panicked(payload) => Some(payload),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            JoinErrorKind::Panicked(payload) => {
                write!(f, "the coroutine panicked: {}", panic_text(&**payload))
            }
            JoinErrorKind::NotStarted(error) => {
                write!(f, "the coroutine could not be started: {error}")
            }
            JoinErrorKind::TimedOut => f.write_str("the coroutine did not end in time"),
            JoinErrorKind::Canceled => f.write_str("the wait for the coroutine was canceled"),
            JoinErrorKind::Forked => fork::forked_error().fmt(f),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

/// Returns the message of a panic.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("(no message)")
}

/// The state that a coroutine shares with its handle.
struct Task<T> {
    home: usize,
    id: u64,
    done: AtomicBool,
    cancel_requested: AtomicBool,
    state: Mutex<TaskState<T>>,
}

struct TaskState<T> {
    outcome: Option<Result<T, JoinError>>,
    joiner: Option<Waker>,
    /// The fiber's, while it runs this task.
    parker: Option<Arc<Parker>>,
}

impl<T> Task<T> {
    fn new(home: usize, id: u64) -> Task<T> {
        Task {
            home,
            id,
            done: AtomicBool::new(false),
            cancel_requested: AtomicBool::new(false),
            state: Mutex::new(TaskState { outcome: None, joiner: None, parker: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, TaskState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, deadline: Deadline) -> Result<Result<T, JoinError>, WaitError> {
        let mut state = self.lock();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return Ok(outcome);
            }
            let waiter = Waiter::new();
            state.joiner = Some(waiter.waker());
            drop(state);
            let waited = waiter.wait(deadline);
            state = self.lock();
            // An outcome that arrived together with the deadline is not lost.
            if let (Err(error), None) = (waited, &state.outcome) {
                state.joiner = None;
                return Err(error);
            }
        }
    }

    fn finish(&self, outcome: Result<T, JoinError>) {
        let joiner = {
            let mut state = self.lock();
            state.outcome = Some(outcome);
            state.parker = None;
            self.done.store(true, Ordering::Release);
            state.joiner.take()
        };
        if let Some(joiner) = joiner {
            joiner.wake();
        }
    }

    /// Home worker only.
    fn cancel(&self) {
        if let Some(parker) = self.lock().parker.clone() {
            parker.cancel(self.id);
        }
    }
}

/// The function of a coroutine, with the task that receives its result.
struct Body<F, T> {
    task: Arc<Task<T>>,
    f: F,
}

impl<F, T> Body<F, T>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    fn run(self) {
        let fiber = Worker::current().and_then(Worker::running);
        let outcome = catch_unwind(AssertUnwindSafe(self.f)).map_err(|payload| {
            // It may never be joined.
            let name = fiber.map(|fiber| fiber.name.borrow().clone());
            let name = name.as_ref().map_or("", Name::as_str);
            log::error!(
                "coroutine '{name}' ({}) panicked: {}",
                self.task.id,
                panic_text(&*payload)
            );
            JoinError(JoinErrorKind::Panicked(payload))
        });
        // Coroutine-local values are dropped before the joiner continues.
        if let Some(fiber) = fiber {
            fiber.locals.clear();
        }
        self.task.finish(outcome);
    }

    /// Starts the coroutine on its home worker, on behalf of a caller elsewhere.
    fn start(self, name: Name, stack_size: usize) {
        let task = self.task.clone();
        let job = Job { name: name.clone(), id: task.id, body: Box::new(move || self.run()) };
        match fiber::spawn_job_sized(job, stack_size) {
            Ok(parker) => {
                task.lock().parker = Some(parker);
                if task.cancel_requested.load(Ordering::Relaxed) {
                    task.cancel();
                }
            }
            Err(error) => {
                // It may never be joined.
                log::error!("cannot start the coroutine '{}': {error}", name.as_str());
                task.finish(Err(JoinError(JoinErrorKind::NotStarted(error))));
            }
        }
    }
}

/// Returns the id of a new coroutine; never 0, which stands for a plain thread.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
