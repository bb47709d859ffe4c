//! The scheduler of a pool: which thread takes the next job, when a thread starts or exits.
//!
//! Invariant: while a job is queued and a slot is free, a thread is being dispatched to it
//! (`dispatched`), if the pool may have one more. So every event that queues a job or frees a slot
//! either calls `dispatch`, or happens on a thread that looks for its next job right after it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use super::slot::{self, Membership};
use super::task::Job;
use super::{JobError, Options};
use crate::rt::{self, Deadline};
use crate::sync::{Queue, WaitGroup};
use crate::sys::signals::spawn_without_signals;

/// The part of a pool that its threads share.
pub(super) struct PoolCore {
    options: Options,
    queue: Queue<Arc<dyn Job>>,
    state: Mutex<PoolState>,
    /// Counts the threads that have not exited.
    live: WaitGroup,
}

#[derive(Default)]
struct PoolState {
    threads: usize,
    /// Threads with a slot: they run jobs that do not wait.
    running: usize,
    /// Threads whose jobs wait, without a slot.
    blocked: usize,
    /// Threads that were started or woken for a job and have not looked at the queue yet.
    dispatched: usize,
    /// Woken last in, first out, so that the surplus ones reach their idle timeout.
    idle: Vec<Arc<IdleThread>>,
    /// Of each thread that has not exited on its own.
    handles: HashMap<u64, thread::JoinHandle<()>>,
    started: u64,
    peak_threads: usize,
    finished: u64,
    closed: bool,
}

/// Counters of a pool; see [`ThreadPool::stats`](super::ThreadPool::stats).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Threads alive.
    pub threads: usize,
    /// Threads that run a job that does not wait.
    pub running: usize,
    /// Threads whose job waits and has released its slot.
    pub blocked: usize,
    /// Threads without a job.
    pub idle: usize,
    /// The highest number of threads so far.
    pub peak_threads: usize,
    /// Jobs that have not begun, possibly including some whose waiter has given up.
    pub waiting: usize,
    /// Jobs that have ended.
    pub finished: u64,
}

impl PoolCore {
    pub(super) fn new(options: Options) -> PoolCore {
        let queue = Queue::new(options.queue_size);
        PoolCore { options, queue, state: Mutex::default(), live: WaitGroup::new() }
    }

    /// Queues a job; with a deadline, waits for room until then. On an error the job never runs.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        job: Arc<dyn Job>,
        room: Option<Deadline>,
    ) -> Result<(), JobError> {
        // The fork handler is installed with the runtime.
        rt::ensure().map_err(JobError::not_started)?;
        match room {
            Some(deadline) => self.queue.push_by(job.clone(), deadline),
            None => self.queue.try_push(job.clone()),
        }
        .map_err(|refused| refused.error())?;
        let mut state = self.lock();
        let dispatched = self.dispatch(&mut state);
        let no_threads = state.threads == 0;
        drop(state);
        match dispatched {
            Ok(idle) => wake(idle),
            // With other threads alive, one of them takes it in turn.
            Err(error) if no_threads && job.discard(JobError::SHUT_DOWN) => {
                return Err(JobError::not_started(error));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Rejects further jobs; the threads exit once the queue is empty.
    pub(super) fn close(self: &Arc<Self>) {
        self.queue.close();
        let mut state = self.lock();
        state.closed = true;
        // A job may have been queued whose thread has not been started yet.
        let dispatched = self.dispatch(&mut state);
        let no_threads = state.threads == 0;
        let all = if self.queue.is_empty() { state.wake_all() } else { Vec::new() };
        drop(state);
        if no_threads {
            self.discard_queued();
        }
        dispatched.into_iter().flatten().chain(all).for_each(|idle| idle.thread.unpark());
    }

    /// Drops the jobs that have not begun.
    pub(super) fn discard_queued(&self) {
        while let Ok(job) = self.queue.try_pop() {
            job.discard(JobError::SHUT_DOWN);
        }
        // Threads that waited for a free slot have nothing left to do.
        let all = self.lock().wake_all();
        all.into_iter().for_each(|idle| idle.thread.unpark());
    }

    /// Waits, after `close`, until every thread has exited.
    pub(super) fn wait(&self, deadline: Deadline) -> Result<(), JobError> {
        self.live.wait_by(deadline)?;
        let handles = std::mem::take(&mut self.lock().handles);
        for handle in handles.into_values() {
            // It is about to return, and a job cannot make it panic.
            let _ = handle.join();
        }
        Ok(())
    }

    /// Whether the caller is a job of this pool.
    pub(super) fn is_own_job(&self) -> bool {
        slot::is_member(self)
    }

    pub(super) fn stats(&self) -> Stats {
        if rt::check_usable().is_err() {
            return Stats::default();
        }
        let waiting = self.queue.len();
        let state = self.lock();
        Stats {
            threads: state.threads,
            running: state.running,
            blocked: state.blocked,
            idle: state.idle.len(),
            peak_threads: state.peak_threads,
            waiting,
            finished: state.finished,
        }
    }

    /// Frees the slot of the calling thread, whose job waits.
    pub(super) fn release_slot(self: &Arc<Self>) {
        if rt::check_usable().is_err() {
            return;
        }
        let mut state = self.lock();
        state.running -= 1;
        state.blocked += 1;
        let dispatched = self.dispatch(&mut state);
        drop(state);
        // If no thread can be started, the jobs wait for those that exist.
        wake(dispatched.unwrap_or(None));
    }

    /// Takes a slot for the calling thread, whose job continues, whether one is free or not.
    pub(super) fn reclaim_slot(&self) {
        if rt::check_usable().is_err() {
            return;
        }
        let mut state = self.lock();
        state.blocked -= 1;
        state.running += 1;
    }

    /// Dispatches a thread to the queued jobs if there is one too few: starts one, or returns an
    /// idle one for the caller to wake.
    fn dispatch(self: &Arc<Self>, state: &mut PoolState) -> io::Result<Option<Arc<IdleThread>>> {
        let enough = state.dispatched >= self.queue.len();
        if enough || state.running + state.dispatched >= self.options.threads {
            return Ok(None);
        }
        if let Some(idle) = state.wake_last() {
            return Ok(Some(idle));
        }
        if state.threads < self.options.threads + self.options.extra_threads {
            self.start_thread(state)?;
        }
        Ok(None)
    }

    fn start_thread(self: &Arc<Self>, state: &mut PoolState) -> io::Result<()> {
        let id = state.started;
        let shared = self.clone();
        let builder = thread::Builder::new()
            .name(format!("{}-{id}", self.options.name))
            .stack_size(self.options.stack_size);
        let body = move || shared.work(id);
        let handle = if self.options.takes_signals {
            builder.spawn(body)
        } else {
            spawn_without_signals(builder, body)
        };
        let handle = handle.inspect_err(|error| {
            log::warn!("cannot start a thread of the pool '{}': {error}", self.options.name);
        })?;
        self.live.add(1);
        state.handles.insert(id, handle);
        state.started += 1;
        state.threads += 1;
        state.dispatched += 1;
        state.peak_threads = state.peak_threads.max(state.threads);
        Ok(())
    }

    /// The body of thread `id`: runs jobs until the pool closes or the thread is surplus.
    fn work(self: Arc<Self>, id: u64) {
        let membership = Membership::new(&self);
        let idle = Arc::new(IdleThread::new());
        let mut state = self.lock();
        state.dispatched -= 1;
        loop {
            let Some(job) = self.take(&mut state) else {
                match self.sleep_or_exit(state, &idle, id) {
                    Some(awake) => state = awake,
                    None => break,
                }
                continue;
            };
            drop(state);
            // A panic of the job is its outcome; this catches one in the destructor of a result
            // that nobody takes.
            let ran = catch_unwind(AssertUnwindSafe(move || job.run())).unwrap_or_else(|_| {
                log::error!("a job's result panicked when it was dropped");
                true
            });
            if rt::check_usable().is_err() {
                // In the child of a fork, which has none of the other threads.
                return;
            }
            state = self.lock();
            state.running -= 1;
            state.finished += u64::from(ran);
        }
        drop(membership);
        self.live.done();
    }

    /// Takes the next job and a slot for it.
    fn take(&self, state: &mut PoolState) -> Option<Arc<dyn Job>> {
        if state.running >= self.options.threads {
            return None;
        }
        let job = self.queue.try_pop().ok()?;
        state.running += 1;
        Some(job)
    }

    /// Sleeps until there may be a job; `None` when the thread must exit.
    fn sleep_or_exit<'a>(
        &'a self,
        mut state: MutexGuard<'a, PoolState>,
        idle: &Arc<IdleThread>,
        id: u64,
    ) -> Option<MutexGuard<'a, PoolState>> {
        if state.closed && self.queue.is_empty() {
            state.threads -= 1;
            let all = state.wake_all();
            drop(state);
            all.into_iter().for_each(|idle| idle.thread.unpark());
            return None;
        }
        let limit = match state.threads > self.options.threads {
            true => Deadline::after(self.options.idle_timeout),
            false => Deadline::NEVER,
        };
        idle.woken.store(false, Ordering::Relaxed);
        state.idle.push(idle.clone());
        drop(state);
        idle.sleep(limit);
        let mut state = self.lock();
        if idle.woken.load(Ordering::Relaxed) {
            state.dispatched -= 1;
            return Some(state);
        }
        state.idle.retain(|other| !Arc::ptr_eq(other, idle));
        if state.threads <= self.options.threads {
            return Some(state);
        }
        // No one joins it.
        state.handles.remove(&id);
        state.threads -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, PoolState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for PoolCore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolCore").field("options", &self.options).finish_non_exhaustive()
    }
}

impl PoolState {
    /// Takes the thread that became idle last, as a dispatched one. The caller unparks it.
    fn wake_last(&mut self) -> Option<Arc<IdleThread>> {
        let idle = self.idle.pop()?;
        idle.woken.store(true, Ordering::Relaxed);
        self.dispatched += 1;
        Some(idle)
    }

    fn wake_all(&mut self) -> Vec<Arc<IdleThread>> {
        std::iter::from_fn(|| self.wake_last()).collect()
    }
}

/// A thread without a job.
struct IdleThread {
    thread: Thread,
    /// Written under the lock of the pool's state.
    woken: AtomicBool,
}

impl IdleThread {
    fn new() -> IdleThread {
        IdleThread { thread: thread::current(), woken: AtomicBool::new(false) }
    }

    fn sleep(&self, limit: Deadline) {
        while !self.woken.load(Ordering::Relaxed) {
            match limit.remaining() {
                None => thread::park(),
                Some(left) if left.is_zero() => return,
                Some(left) => thread::park_timeout(left),
            }
        }
    }
}

fn wake(idle: Option<Arc<IdleThread>>) {
    if let Some(idle) = idle {
        idle.thread.unpark();
    }
}
