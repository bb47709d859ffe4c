//! Spawning and joining coroutines.

use std::any::Any;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::fiber::stack;
use super::fiber::{self, Job, Name};
use super::park::wait::{Parker, WaitError, Waiter, Waker};
use super::start;
use super::time::Deadline;
use super::worker::{self, Message, Worker};

/// Starts a coroutine on the calling worker, or, from a plain thread, on each worker in turn.
///
/// # Errors
/// When there is no memory for its stack, when the runtime cannot be started, and in a forked
/// child.
pub fn spawn<F, T>(f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + Send + 'static,
    T: Send + 'static,
{
    Builder::new().spawn(f)
}

/// Starts a coroutine with a name, a stack size or a worker of its choice.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct Builder {
    name: Option<Arc<str>>,
    stack_size: Option<usize>,
    worker: Option<usize>,
}

impl Builder {
    /// A builder with the defaults: no name, the runtime's stack size, the calling worker.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// Names the coroutine: the name is shown where it fails.
    pub fn name(mut self, name: impl Into<Arc<str>>) -> Builder {
        self.name = Some(name.into());
        self
    }

    /// Sets the size of the stack in bytes, rounded up to whole pages; at least 16 KiB.
    pub fn stack_size(mut self, bytes: usize) -> Builder {
        self.stack_size = Some(bytes);
        self
    }

    /// Chooses the worker, from 0 to [`worker_count`](super::worker_count) - 1.
    pub fn worker(mut self, index: usize) -> Builder {
        self.worker = Some(index);
        self
    }

    /// Starts a coroutine that runs `f`.
    ///
    /// On the calling worker the stack is had before this returns. On another worker the
    /// coroutine is on its way; if no stack can be had there, joining says so.
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
                        format!("there is no worker {index}"),
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
            worker::send(home, Message::Run(Box::new(start)));
        }
        Ok(JoinHandle { task: Some(task) })
    }
}

/// Starts `f` on the calling worker, with nobody to join it: the cheap way.
pub(crate) fn spawn_detached(
    name: &'static str,
    f: impl FnOnce() + 'static,
) -> io::Result<Detached> {
    let id = next_id();
    let parker = fiber::spawn_job(Job { name: Name::Static(name), id, body: Box::new(f) })?;
    Ok(Detached { parker, id })
}

/// A coroutine that nobody joins.
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

/// Owns the result of a coroutine. Dropping it lets the coroutine run on its own.
pub struct JoinHandle<T> {
    /// Taken only by the call that consumes the handle.
    task: Option<Arc<Task<T>>>,
}

impl<T: Send + 'static> JoinHandle<T> {
    /// Waits until the coroutine has ended, and answers its result.
    ///
    /// # Errors
    /// What ended the coroutine otherwise, or this wait; see [`JoinError`].
    pub fn join(self) -> Result<T, JoinError> {
        self.join_by(Deadline::NEVER).unwrap_or(Err(JoinError(Kind::TimedOut)))
    }

    /// The same until `deadline`; after that the handle comes back.
    ///
    /// # Errors
    /// The handle itself, if the coroutine has not ended.
    pub fn join_by(self, deadline: Deadline) -> Result<Result<T, JoinError>, Self> {
        match self.task().wait(deadline) {
            Ok(outcome) => Ok(outcome),
            Err(WaitError::TimedOut) => Err(self),
            Err(WaitError::Canceled) => Ok(Err(JoinError(Kind::Canceled))),
            Err(WaitError::Forked) => Ok(Err(JoinError(Kind::Forked))),
        }
    }

    /// Asks the coroutine to end: every wait of it, the present one included, fails with
    /// `ECANCELED` from now on. Nothing is unwound; a coroutine that does not wait runs on.
    pub fn cancel(&self) {
        let task = self.task().clone();
        if worker::is_forked() {
            return;
        }
        task.cancel_wish.store(true, Ordering::Relaxed);
        match Worker::current() {
            Some(worker) if worker.index() == task.home => task.cancel(),
            _ => worker::send(task.home, Message::Run(Box::new(move || task.cancel()))),
        }
    }

    /// Whether the coroutine has ended.
    pub fn is_finished(&self) -> bool {
        self.task().done.load(Ordering::Acquire)
    }

    /// The coroutine's number, unique in this process.
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
pub struct JoinError(Kind);

enum Kind {
    Panicked(Box<dyn Any + Send>),
    NotStarted(io::Error),
    TimedOut,
    Canceled,
    Forked,
}

impl JoinError {
    /// The coroutine panicked.
    pub fn is_panic(&self) -> bool {
        matches!(self.0, Kind::Panicked(_))
    }

    /// The wait was cancelled; the joined coroutine runs on.
    pub fn is_canceled(&self) -> bool {
        matches!(self.0, Kind::Canceled)
    }

    /// The coroutine could not be started.
    pub fn is_not_started(&self) -> bool {
        matches!(self.0, Kind::NotStarted(_))
    }

    /// What the coroutine panicked with; `None` if it did not panic.
    pub fn into_panic(self) -> Option<Box<dyn Any + Send>> {
        match self.0 {
            Kind::Panicked(payload) => Some(payload),
            _ => None,
        }
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Panicked(payload) => {
                write!(f, "the coroutine panicked: {}", panic_text(&**payload))
            }
            Kind::NotStarted(error) => write!(f, "the coroutine could not be started: {error}"),
            Kind::TimedOut => f.write_str("the coroutine did not end in time"),
            Kind::Canceled => f.write_str("the wait for the coroutine was cancelled"),
            Kind::Forked => worker::forked_error().fmt(f),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JoinError({self})")
    }
}

impl std::error::Error for JoinError {}

/// The text of a panic, as far as it has one.
pub(crate) fn panic_text(payload: &(dyn Any + Send)) -> &str {
    payload
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without a text")
}

/// What a coroutine and those who hold its handle share.
struct Task<T> {
    home: usize,
    id: u64,
    done: AtomicBool,
    cancel_wish: AtomicBool,
    state: Mutex<State<T>>,
}

struct State<T> {
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
            cancel_wish: AtomicBool::new(false),
            state: Mutex::new(State { outcome: None, joiner: None, parker: None }),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
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
            // An outcome that came together with the deadline is not thrown away.
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

/// What a coroutine runs, with the place for its result.
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
        let outcome = catch_unwind(AssertUnwindSafe(self.f))
            .map_err(|payload| JoinError(Kind::Panicked(payload)));
        // Before the joiner goes on, what the coroutine kept for itself is gone.
        if let Some(fiber) = Worker::current().and_then(Worker::running) {
            fiber.locals.clear();
        }
        self.task.finish(outcome);
    }

    /// The start on another worker than the caller's.
    fn start(self, name: Name, stack_size: usize) {
        let task = self.task.clone();
        let job = Job { name, id: task.id, body: Box::new(move || self.run()) };
        match fiber::spawn_job_sized(job, stack_size) {
            Ok(parker) => {
                task.lock().parker = Some(parker);
                if task.cancel_wish.load(Ordering::Relaxed) {
                    task.cancel();
                }
            }
            Err(error) => {
                // Nobody may ever join it.
                log::error!("a coroutine could not be started: {error}");
                task.finish(Err(JoinError(Kind::NotStarted(error))));
            }
        }
    }
}

/// The number of a new coroutine; never 0, which is a plain thread.
pub(super) fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}
