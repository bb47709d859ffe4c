//! Fibers: the engine's coroutines, kept after their job is done and given the next.
//!
//! To make a stack costs system calls, to hand a parked fiber a job costs a tenth of a
//! microsecond. Each worker keeps its idle fibers, by stack size, last in first out: the warmest
//! runs next.

pub(super) mod context;
pub(super) mod engine;
pub(super) mod local;
pub(super) mod stack;

use std::cell::{Cell, RefCell};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use self::engine::Coroutine;
use self::local::LocalMap;
use self::stack::Stack;
use crate::rt::park::wait::Parker;
use crate::rt::start;
use crate::rt::task;
use crate::rt::time::Deadline;
use crate::rt::worker::{self, Worker};

/// What a fiber runs next.
pub(in crate::rt) struct Job {
    pub(in crate::rt) name: Name,
    pub(in crate::rt) id: u64,
    pub(in crate::rt) body: Box<dyn FnOnce()>,
}

impl Job {
    pub(in crate::rt) fn new(name: &'static str, body: Box<dyn FnOnce()>) -> Job {
        Job { name: Name::Static(name), id: task::next_id(), body }
    }
}

/// A coroutine's name; most have none of their own and share a literal.
#[derive(Clone)]
pub(in crate::rt) enum Name {
    Static(&'static str),
    Owned(Arc<str>),
}

impl Name {
    pub(in crate::rt) fn as_str(&self) -> &str {
        match self {
            Name::Static(name) => name,
            Name::Owned(name) => name,
        }
    }
}

/// A coroutine of the engine, from the inside. Lives on its own stack; home worker only.
pub(crate) struct Fiber {
    parker: Arc<Parker>,
    stack: Stack,
    next: RefCell<Next>,
    pub(in crate::rt) name: RefCell<Name>,
    pub(in crate::rt) locals: LocalMap,
    /// Whether blocking calls of libc suspend it; what that means, `crate::hook` decides.
    #[cfg(feature = "hook")]
    pub(in crate::rt) hooked: Cell<bool>,
    /// How many mutexes of pthreads it holds.
    #[cfg(feature = "hook")]
    pub(in crate::rt) held: Cell<usize>,
}

enum Next {
    Nothing,
    Run(Job),
    Exit,
}

impl Fiber {
    pub(in crate::rt) fn parker(&self) -> &Arc<Parker> {
        &self.parker
    }

    pub(in crate::rt) fn stack(&self) -> &Stack {
        &self.stack
    }

    /// The number of what it runs.
    #[inline]
    pub(in crate::rt) fn id(&self) -> u64 {
        self.parker.job()
    }

    #[inline]
    pub(in crate::rt) fn coroutine(&self) -> Coroutine {
        self.parker.coroutine()
    }
}

/// Starts `job` in a coroutine of the calling worker, with the default stack.
///
/// # Errors
/// When there is no memory for a stack, and in a forked child.
pub(in crate::rt) fn spawn_job(job: Job) -> io::Result<Arc<Parker>> {
    spawn_job_sized(job, start::default_stack_size())
}

/// The same with a stack of `stack_size` bytes, which [`stack::size_class`] gave.
pub(in crate::rt) fn spawn_job_sized(job: Job, stack_size: usize) -> io::Result<Arc<Parker>> {
    let worker = Worker::current().ok_or_else(|| io::Error::from_raw_os_error(libc::EPERM))?;
    if worker.is_forked() {
        return Err(worker::forked_error());
    }
    worker.fibers.start(job, stack_size)
}

/// A worker's idle fibers.
pub(in crate::rt) struct FiberPool {
    classes: RefCell<Vec<Class>>,
    /// Fibers that exist, at work or idle.
    alive: Cell<usize>,
    idle: Cell<usize>,
    /// The coroutine that is being born, for its own use.
    newborn: Cell<Option<Coroutine>>,
    /// The fewest idle ones since the last trim: so many were not needed.
    idle_low: Cell<usize>,
    trimmed_at: Cell<u64>,
}

struct Class {
    stack_size: usize,
    idle: Vec<*const Fiber>,
}

impl FiberPool {
    pub(in crate::rt) fn new() -> FiberPool {
        FiberPool {
            classes: RefCell::new(Vec::new()),
            alive: Cell::new(0),
            idle: Cell::new(0),
            newborn: Cell::new(None),
            idle_low: Cell::new(0),
            trimmed_at: Cell::new(0),
        }
    }

    fn start(&self, job: Job, stack_size: usize) -> io::Result<Arc<Parker>> {
        let fiber = match self.pop(stack_size) {
            Some(fiber) => fiber,
            None => {
                self.create(stack_size)?;
                self.pop(stack_size).expect("a new fiber is idle")
            }
        };
        // SAFETY: an idle fiber is parked, and thus alive on its own stack.
        let fiber = unsafe { &*fiber };
        let parker = fiber.parker.clone();
        parker.begin_job(job.id);
        fiber.next.replace(Next::Run(job));
        parker.resume_home();
        Ok(parker)
    }

    fn pop(&self, stack_size: usize) -> Option<*const Fiber> {
        let mut classes = self.classes.borrow_mut();
        let class = classes.iter_mut().find(|class| class.stack_size == stack_size)?;
        let fiber = class.idle.pop()?;
        let idle = self.idle.get() - 1;
        self.idle.set(idle);
        self.idle_low.set(self.idle_low.get().min(idle));
        Some(fiber)
    }

    fn push(&self, fiber: &Fiber) {
        let mut classes = self.classes.borrow_mut();
        let stack_size = fiber.stack.size();
        let class = match classes.iter_mut().find(|class| class.stack_size == stack_size) {
            Some(class) => class,
            None => {
                classes.push(Class { stack_size, idle: Vec::new() });
                classes.last_mut().expect("just pushed")
            }
        };
        class.idle.push(fiber);
        self.idle.set(self.idle.get() + 1);
    }

    /// Makes one more fiber, which goes idle at once.
    fn create(&self, stack_size: usize) -> io::Result<()> {
        // The engine panics when it cannot map a stack. Ask first, so that the answer is an
        // error; the window between the two is what `catch_unwind` is for.
        stack::probe(stack_size)?;
        let mapped = stack::mapped_size(stack_size);
        let coroutine = catch_unwind(|| Coroutine::new(mapped, move || live(stack_size)))
            .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        self.alive.set(self.alive.get() + 1);
        self.newborn.set(Some(coroutine));
        // SAFETY: just made here, and it does not run.
        unsafe { coroutine.resume() };
        Ok(())
    }

    /// Gives back, once per second, half of the stacks that the last second had no use for, and
    /// says when to call again. For a worker that is about to sleep.
    pub(in crate::rt) fn trim(&self) -> Deadline {
        if self.idle.get() <= KEPT_IDLE {
            return Deadline::NEVER;
        }
        let now = crate::rt::time::coarse_ns();
        let due = self.trimmed_at.get() + TRIM_PERIOD.as_nanos() as u64;
        if now < due {
            // The coarse clock may lag by a tick: ask a little late rather than twice.
            return Deadline::from_ns(due + COARSE_TICK_NS);
        }
        self.trimmed_at.set(now);
        let surplus = self.idle_low.replace(self.idle.get()).saturating_sub(KEPT_IDLE);
        self.release(surplus.div_ceil(2));
        Deadline::NOW
    }

    /// Ends `count` idle fibers, the coldest first.
    fn release(&self, mut count: usize) {
        let mut doomed = Vec::new();
        for class in self.classes.borrow_mut().iter_mut() {
            let take = count.min(class.idle.len());
            doomed.extend(class.idle.drain(..take));
            count -= take;
        }
        let idle = self.idle.get() - doomed.len();
        self.idle.set(idle);
        self.idle_low.set(self.idle_low.get().min(idle));
        for fiber in doomed {
            // SAFETY: as in `start`.
            let fiber = unsafe { &*fiber };
            fiber.next.replace(Next::Exit);
            fiber.parker.resume_home();
        }
    }
}

/// The life of a fiber: jobs, until it is told to end.
fn live(stack_size: usize) {
    let worker = Worker::current().expect("fibers are born on a worker");
    let coroutine = worker.fibers.newborn.take().expect("set by whoever resumes it first");
    let parker = Parker::for_fiber(worker.index(), coroutine);
    let marker = 0usize;
    let fiber = Fiber {
        parker,
        stack: Stack::enclosing(&raw const marker as usize, stack_size),
        next: RefCell::new(Next::Nothing),
        name: RefCell::new(Name::Static("")),
        locals: LocalMap::new(),
        #[cfg(feature = "hook")]
        hooked: Cell::new(false),
        #[cfg(feature = "hook")]
        held: Cell::new(0),
    };
    fiber.stack.widen_guard();
    fiber.parker.set_parked();
    worker.fibers.push(&fiber);
    // Born nested in the coroutine that asked for it, which goes on once this is suspended.
    engine::suspend();
    worker.started(&fiber);
    loop {
        match fiber.next.replace(Next::Nothing) {
            Next::Run(job) => {
                fiber.run(job);
                worker.fibers.push(&fiber);
            }
            // A wake from elsewhere that ended the last job's wait before it parked arrives only
            // now. This fiber is among the idle ones as it was.
            Next::Nothing => {}
            Next::Exit => break,
        }
        fiber.parker.set_parked();
        // Of the job nothing is left to put aside.
        engine::suspend();
        worker.started(&fiber);
    }
    fiber.stack.restore_guard();
    worker.fibers.alive.set(worker.fibers.alive.get() - 1);
}

impl Fiber {
    fn run(&self, job: Job) {
        self.name.replace(job.name);
        #[cfg(feature = "hook")]
        self.hooked.set(start::hooked_by_default());
        // Every body has its own way to report a panic; this is for those that have none.
        if catch_unwind(AssertUnwindSafe(job.body)).is_err() {
            log::error!("coroutine '{}' panicked", self.name.borrow().as_str());
        }
        self.locals.clear();
        #[cfg(feature = "hook")]
        if self.held.get() != 0
            && let Some(worker) = Worker::current()
        {
            worker.held.forget(self);
        }
        if worker::is_forked() {
            // A coroutine that forked came to its end in the child, where there is no scheduler
            // to go back to. Like a thread's end in a process that has no other.
            // SAFETY: ends the process.
            unsafe { libc::exit(0) };
        }
    }
}

/// Idle fibers beyond these are given back in time.
const KEPT_IDLE: usize = 64;
const TRIM_PERIOD: Duration = Duration::from_secs(1);
const COARSE_TICK_NS: u64 = 10_000_000;
