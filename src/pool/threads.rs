//! The threads of a pool: who takes the next job, when another starts, when one ends.
//!
//! The invariant: as long as a job waits and a place is free, a thread is on its way to it
//! (`coming`), if there may be one more. So every event that adds a job or frees a place either
//! calls `send_one`, or happens on a thread that looks for its next job right after it.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, Thread};

use super::place::{self, Member};
use super::task::Job;
use super::{JobError, Options};
use crate::rt::{self, Deadline};
use crate::sync::{Queue, WaitGroup};
use crate::sys::signals::spawn_without_signals;

/// What a pool and its threads share.
pub(super) struct Shared {
    options: Options,
    waiting: Queue<Arc<dyn Job>>,
    state: Mutex<State>,
    /// Counts the threads.
    threads: WaitGroup,
}

#[derive(Default)]
struct State {
    threads: usize,
    /// Threads with a place: they run jobs that do not wait.
    running: usize,
    /// Threads whose jobs wait, without a place.
    blocked: usize,
    /// Threads that were started or woken for a job, and have not looked yet.
    coming: usize,
    /// The last one to fall asleep is woken first, so that the others come to their end.
    idle: Vec<Arc<Sleeper>>,
    /// Each thread that has not left by itself.
    handles: HashMap<u64, thread::JoinHandle<()>>,
    started: u64,
    peak_threads: usize,
    finished: u64,
    closed: bool,
}

/// What a pool does and has done; see [`ThreadPool::stats`](super::ThreadPool::stats).
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Threads there are.
    pub threads: usize,
    /// Those that run a job that does not wait.
    pub running: usize,
    /// Those whose job waits, and has given its place up.
    pub blocked: usize,
    /// Those that have nothing to do.
    pub idle: usize,
    /// The most threads there ever were at a time.
    pub peak_threads: usize,
    /// Jobs that have not begun. Those whose waiter has given up may still be counted.
    pub waiting: usize,
    /// Jobs that have ended.
    pub finished: u64,
}

impl Shared {
    pub(super) fn new(options: Options) -> Shared {
        let waiting = Queue::new(options.queue_size);
        Shared { options, waiting, state: Mutex::default(), threads: WaitGroup::new() }
    }

    /// Hands a job to the threads; with a deadline, waits for room until then. If this fails, the
    /// job will not run.
    pub(super) fn submit(
        self: &Arc<Self>,
        job: Arc<dyn Job>,
        room: Option<Deadline>,
    ) -> Result<(), JobError> {
        // So that a later fork is seen.
        rt::ensure().map_err(JobError::not_started)?;
        match room {
            Some(deadline) => self.waiting.push_by(job.clone(), deadline),
            None => self.waiting.try_push(job.clone()),
        }
        .map_err(|refused| refused.error())?;
        let mut state = self.lock();
        let sent = self.send_one(&mut state);
        let nobody = state.threads == 0;
        drop(state);
        match sent {
            Ok(sleeper) => wake(sleeper),
            // Otherwise those who are there take it in turn.
            Err(error) if nobody && job.end_unbegun(JobError::SHUT_DOWN) => {
                return Err(JobError::not_started(error));
            }
            Err(_) => {}
        }
        Ok(())
    }

    /// Lets no more jobs in, and the threads end once none is left.
    pub(super) fn close(self: &Arc<Self>) {
        self.waiting.close();
        let mut state = self.lock();
        state.closed = true;
        // A job may have come in whose thread has not been started yet.
        let sent = self.send_one(&mut state);
        let nobody = state.threads == 0;
        let all = if self.waiting.is_empty() { state.wake_all() } else { Vec::new() };
        drop(state);
        if nobody {
            self.refuse_waiting();
        }
        sent.into_iter().flatten().chain(all).for_each(|sleeper| sleeper.thread.unpark());
    }

    /// Drops the jobs that have not begun.
    pub(super) fn refuse_waiting(&self) {
        while let Ok(job) = self.waiting.try_pop() {
            job.end_unbegun(JobError::SHUT_DOWN);
        }
        // Those who waited for a place have nothing to wait for any more.
        let all = self.lock().wake_all();
        all.into_iter().for_each(|sleeper| sleeper.thread.unpark());
    }

    /// Waits, after `close`, until the threads are gone.
    pub(super) fn wait(&self, deadline: Deadline) -> Result<(), JobError> {
        self.threads.wait_by(deadline)?;
        let handles = std::mem::take(&mut self.lock().handles);
        for handle in handles.into_values() {
            // It has done all but return. Jobs cannot make it panic.
            let _ = handle.join();
        }
        Ok(())
    }

    pub(super) fn is_mine(&self) -> bool {
        place::is_member(self)
    }

    pub(super) fn stats(&self) -> Stats {
        if rt::check_usable().is_err() {
            return Stats::default();
        }
        let waiting = self.waiting.len();
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

    /// The job of the calling thread waits.
    pub(super) fn give_place_up(self: &Arc<Self>) {
        if rt::check_usable().is_err() {
            return;
        }
        let mut state = self.lock();
        state.running -= 1;
        state.blocked += 1;
        let sent = self.send_one(&mut state);
        drop(state);
        // If no thread can be had, the jobs wait for those that there are.
        wake(sent.unwrap_or(None));
    }

    /// The job of the calling thread goes on, whether a place is free or not.
    pub(super) fn take_place_again(&self) {
        if rt::check_usable().is_err() {
            return;
        }
        let mut state = self.lock();
        state.blocked -= 1;
        state.running += 1;
    }

    /// Sends a thread to the waiting jobs, if there is one too few: a new one, or the sleeper that
    /// the caller is to wake.
    fn send_one(self: &Arc<Self>, state: &mut State) -> io::Result<Option<Arc<Sleeper>>> {
        let enough = state.coming >= self.waiting.len();
        if enough || state.running + state.coming >= self.options.threads {
            return Ok(None);
        }
        if let Some(sleeper) = state.wake_last() {
            return Ok(Some(sleeper));
        }
        if state.threads < self.options.threads + self.options.extra_threads {
            self.start_one(state)?;
        }
        Ok(None)
    }

    fn start_one(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
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
        let handle = handle
            .inspect_err(|error| log::warn!("a pool's thread could not be started: {error}"))?;
        self.threads.add(1);
        state.handles.insert(id, handle);
        state.started += 1;
        state.threads += 1;
        state.coming += 1;
        state.peak_threads = state.peak_threads.max(state.threads);
        Ok(())
    }

    /// The life of a thread.
    fn work(self: Arc<Self>, id: u64) {
        let member = Member::new(&self);
        let sleeper = Arc::new(Sleeper::new());
        let mut state = self.lock();
        state.coming -= 1;
        loop {
            let Some(job) = self.take(&mut state) else {
                match self.sleep_or_leave(state, &sleeper, id) {
                    Some(awake) => state = awake,
                    None => break,
                }
                continue;
            };
            drop(state);
            // The function's own panics are its outcome; this is for what its result does when
            // nobody wants it.
            let ran = catch_unwind(AssertUnwindSafe(move || job.run())).unwrap_or_else(|_| {
                log::error!("dropping the result of a job panicked");
                true
            });
            if rt::check_usable().is_err() {
                // The child of a fork: the other threads are not here.
                return;
            }
            state = self.lock();
            state.running -= 1;
            state.finished += u64::from(ran);
        }
        drop(member);
        self.threads.done();
    }

    /// The next job, with a place.
    fn take(&self, state: &mut State) -> Option<Arc<dyn Job>> {
        if state.running >= self.options.threads {
            return None;
        }
        let job = self.waiting.try_pop().ok()?;
        state.running += 1;
        Some(job)
    }

    /// Sleeps until there may be something to do; `None` when the thread has left the pool.
    fn sleep_or_leave<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        sleeper: &Arc<Sleeper>,
        id: u64,
    ) -> Option<MutexGuard<'a, State>> {
        if state.closed && self.waiting.is_empty() {
            state.threads -= 1;
            let all = state.wake_all();
            drop(state);
            all.into_iter().for_each(|sleeper| sleeper.thread.unpark());
            return None;
        }
        let limit = match state.threads > self.options.threads {
            true => Deadline::after(self.options.idle_timeout),
            false => Deadline::NEVER,
        };
        sleeper.woken.store(false, Ordering::Relaxed);
        state.idle.push(sleeper.clone());
        drop(state);
        sleeper.sleep(limit);
        let mut state = self.lock();
        if sleeper.woken.load(Ordering::Relaxed) {
            state.coming -= 1;
            return Some(state);
        }
        state.idle.retain(|other| !Arc::ptr_eq(other, sleeper));
        if state.threads <= self.options.threads {
            return Some(state);
        }
        // Nobody is to join it.
        state.handles.remove(&id);
        state.threads -= 1;
        None
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").field("options", &self.options).finish_non_exhaustive()
    }
}

impl State {
    /// Takes the last sleeper from the list, as one that comes. The caller unparks it.
    fn wake_last(&mut self) -> Option<Arc<Sleeper>> {
        let sleeper = self.idle.pop()?;
        sleeper.woken.store(true, Ordering::Relaxed);
        self.coming += 1;
        Some(sleeper)
    }

    fn wake_all(&mut self) -> Vec<Arc<Sleeper>> {
        std::iter::from_fn(|| self.wake_last()).collect()
    }
}

/// A thread that has nothing to do.
struct Sleeper {
    thread: Thread,
    /// Written under the lock of the state.
    woken: AtomicBool,
}

impl Sleeper {
    fn new() -> Sleeper {
        Sleeper { thread: thread::current(), woken: AtomicBool::new(false) }
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

fn wake(sleeper: Option<Arc<Sleeper>>) {
    if let Some(sleeper) = sleeper {
        sleeper.thread.unpark();
    }
}
