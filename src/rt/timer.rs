//! One-shot timers, and the events in a worker's timer wheel.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fiber::{self, Job};
use super::fork;
use super::park::inbox::{self, Message};
use super::park::wait::Parker;
use super::start;
use super::time::Deadline;
use super::worker::Worker;
use crate::wheel::TimerId;

/// A one-shot timer, which runs a function in a new coroutine at its deadline.
///
/// It never fires early, and late only if its worker is busy. Dropping the handle leaves the timer
/// armed; [`cancel`](Timer::cancel) disarms it. May be used from any thread.
///
/// ```
/// use fastrpc::rt::Timer;
/// use std::time::Duration;
///
/// let timer = Timer::after(Duration::from_secs(60), || unreachable!())?;
/// assert!(timer.cancel());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
pub struct Timer(Arc<TimerCore>);

struct TimerCore {
    home: usize,
    state: Mutex<TimerState>,
}

struct TimerState {
    job: Option<Box<dyn FnOnce() + Send>>,
    /// Its entry in the home worker's wheel.
    armed: Option<TimerId>,
}

impl fmt::Debug for Timer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_pending = self.0.lock().job.is_some();
        f.debug_struct("Timer").field("is_pending", &is_pending).finish_non_exhaustive()
    }
}

impl Timer {
    /// Runs `f` after `delay`, in a coroutine of the calling worker, or of any worker when called in a
    /// plain thread.
    ///
    /// # Errors
    /// When the runtime cannot be started, and in a forked child.
    pub fn after(delay: Duration, f: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
        Timer::at(Deadline::after(delay), f)
    }

    /// Runs `f` at `deadline`, like [`after`](Timer::after).
    ///
    /// # Errors
    /// As for [`after`](Timer::after).
    pub fn at(deadline: Deadline, f: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
        let home = start::pick_worker()?;
        let state = TimerState { job: Some(Box::new(f)), armed: None };
        let timer = Timer(Arc::new(TimerCore { home, state: Mutex::new(state) }));
        let shared = timer.0.clone();
        on_worker(home, move |worker| shared.arm(worker, deadline));
        Ok(timer)
    }

    /// Disarms the timer and returns whether this call did; its function is then dropped before this
    /// returns. Does not wait for a function that is already running.
    pub fn cancel(&self) -> bool {
        // Dropped after the lock is released: the function may own anything.
        let Some(_job) = self.0.lock().job.take() else { return false };
        let shared = self.0.clone();
        if !fork::is_forked() {
            on_worker(self.0.home, move |worker| shared.disarm(worker));
        }
        true
    }
}

impl TimerCore {
    fn lock(&self) -> std::sync::MutexGuard<'_, TimerState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(self: Arc<Self>, worker: &Worker, deadline: Deadline) {
        let mut state = self.lock();
        // Canceled before this message arrived.
        if state.job.is_some() {
            state.armed = Some(worker.add_timer(deadline, TimerEvent::Start(self.clone())));
        }
    }

    fn disarm(&self, worker: &Worker) {
        if let Some(id) = self.lock().armed.take() {
            worker.cancel_timer(id);
        }
    }

    fn fire(&self) {
        let job = {
            let mut state = self.lock();
            state.armed = None;
            state.job.take()
        };
        if let Some(job) = job
            && let Err(error) = fiber::spawn_job(Job::new("timer", job))
        {
            log::error!("a timer fired but no coroutine could be started: {error}");
        }
    }
}

/// An entry of a worker's timer wheel: what to do at its deadline.
pub(super) enum TimerEvent {
    /// Ends a wait with `TimedOut`.
    Wake {
        /// Valid: the waiting coroutine cancels this timer before it leaves the wait.
        parker: *const Parker,
        epoch: u64,
    },
    /// Starts the function of a [`Timer`].
    Start(Arc<dyn Fire>),
}

/// The function of a [`Timer`], whatever its type.
pub(super) trait Fire {
    fn fire(&self);
}

impl Fire for TimerCore {
    fn fire(&self) {
        TimerCore::fire(self);
    }
}

impl TimerEvent {
    pub(super) fn fire(self) {
        match self {
            TimerEvent::Wake { parker, epoch } => {
                // SAFETY: see the field.
                let parker = unsafe { &*parker };
                parker.time_out(epoch);
            }
            TimerEvent::Start(timer) => timer.fire(),
        }
    }
}

/// Calls `f` on worker `home`: directly when called on its thread.
fn on_worker(home: usize, f: impl FnOnce(&Worker) + Send + 'static) {
    match Worker::current() {
        Some(worker) if worker.index() == home => f(worker),
        _ => inbox::send(
            home,
            Message::Run(Box::new(move || f(Worker::current().expect("runs on a worker")))),
        ),
    }
}
