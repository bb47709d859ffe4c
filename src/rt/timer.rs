//! Timers that run a closure on a worker.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::fiber::{self, Job};
use super::park::wait::Parker;
use super::start;
use super::time::Deadline;
use super::worker::{self, Message, Worker};
use crate::wheel::TimerId;

/// A function that runs in a new coroutine once its time has come.
///
/// It runs never early, and late only by as much as its worker is busy. Dropping the handle
/// leaves the timer armed; [`cancel`](Timer::cancel) stops it. May be used from any thread.
#[derive(Clone)]
pub struct Timer(Arc<Shared>);

struct Shared {
    home: usize,
    state: Mutex<State>,
}

struct State {
    job: Option<Box<dyn FnOnce() + Send>>,
    /// Where the wheel of the home worker holds this timer.
    armed: Option<TimerId>,
}

impl Timer {
    /// Runs `f` in a coroutine of the calling worker, or of any from a plain thread, when
    /// `delay` has passed.
    ///
    /// # Errors
    /// When the runtime cannot be started, and in a forked child.
    pub fn after(delay: Duration, f: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
        Timer::at(Deadline::after(delay), f)
    }

    /// The same, by a deadline.
    ///
    /// # Errors
    /// As for [`after`](Timer::after).
    pub fn at(deadline: Deadline, f: impl FnOnce() + Send + 'static) -> io::Result<Timer> {
        let home = start::pick_worker()?;
        let state = State { job: Some(Box::new(f)), armed: None };
        let timer = Timer(Arc::new(Shared { home, state: Mutex::new(state) }));
        let shared = timer.0.clone();
        on_worker(home, move |worker| shared.arm(worker, deadline));
        Ok(timer)
    }

    /// Stops the timer: true if its function will not run because of this call. What the function
    /// holds is dropped before this returns. Does not wait for a function that runs already.
    pub fn cancel(&self) -> bool {
        // Dropped after the lock: the job may own anything.
        let Some(_job) = self.0.lock().job.take() else { return false };
        let shared = self.0.clone();
        if !worker::is_forked() {
            on_worker(self.0.home, move |worker| shared.disarm(worker));
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(self: Arc<Self>, worker: &Worker, deadline: Deadline) {
        let mut state = self.lock();
        // Cancelled before it got here.
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
            log::error!("a timer could not run: {error}");
        }
    }
}

/// What happens when a deadline comes. Lives in the worker's wheel.
pub(super) enum TimerEvent {
    /// End a wait with `TimedOut`.
    Wake {
        /// Alive: the coroutine that waits cancels this timer before it leaves the wait.
        parker: *const Parker,
        epoch: u64,
    },
    /// Start a [`Timer`]'s function.
    Start(Arc<dyn Fire>),
}

/// Something that a timer sets off.
pub(super) trait Fire {
    fn fire(&self);
}

impl Fire for Shared {
    fn fire(&self) {
        Shared::fire(self);
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

/// Calls `f` on worker `home`: at once if this is its thread.
fn on_worker(home: usize, f: impl FnOnce(&Worker) + Send + 'static) {
    match Worker::current() {
        Some(worker) if worker.index() == home => f(worker),
        _ => worker::send(
            home,
            Message::Run(Box::new(move || f(Worker::current().expect("runs on a worker")))),
        ),
    }
}
