//! Fibers: coroutines of the engine that are pooled and run one job after the other.
//!
//! A new stack takes system calls; handing a job to an idle fiber takes a tenth of a microsecond.
//! Each worker pools its idle fibers by stack size, last in, first out: the warmest runs next.

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
use crate::rt::fork;
use crate::rt::park::wait::Parker;
use crate::rt::start;
use crate::rt::task;
use crate::rt::time::Deadline;
use crate::rt::worker::Worker;

/// A function for a fiber to run.
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

/// A coroutine's name; unnamed ones share a literal.
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

/// A fiber's state. Lives on its own stack; home worker only.
pub(crate) struct Fiber {
    parker: Arc<Parker>,
    stack: Stack,
    next: RefCell<Next>,
    pub(in crate::rt) name: RefCell<Name>,
    pub(in crate::rt) locals: LocalMap,
    /// Whether blocking libc calls suspend it; see `crate::hook`.
    #[cfg(feature = "hook")]
    pub(in crate::rt) hooked: Cell<bool>,
    /// The number of pthread locks it holds.
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

    /// Returns the id of the coroutine that it runs.
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

/// Starts `job` like [`spawn_job`], with a stack of `stack_size` bytes, a [`stack::size_class`].
pub(in crate::rt) fn spawn_job_sized(job: Job, stack_size: usize) -> io::Result<Arc<Parker>> {
    let worker = Worker::current().ok_or_else(|| {
        let text = "not in a coroutine: call this in a function that rt::spawn runs";
        io::Error::new(io::ErrorKind::PermissionDenied, text)
    })?;
    if worker.is_forked() {
        return Err(fork::forked_error());
    }
    worker.fibers.start(job, stack_size)
}

/// A worker's pool of idle fibers.
pub(in crate::rt) struct FiberPool {
    classes: RefCell<Vec<Class>>,
    /// All fibers, running or idle.
    alive: Cell<usize>,
    idle: Cell<usize>,
    /// The coroutine that is being created, for its own `run_jobs`.
    newborn: Cell<Option<Coroutine>>,
    /// The fewest idle fibers since the last trim: these were not needed.
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

    /// Creates a fiber, which is idle at once.
    fn create(&self, stack_size: usize) -> io::Result<()> {
        // The engine panics when it cannot map a stack. The probe makes that an error;
        // `catch_unwind` covers the window between the two.
        stack::probe(stack_size)?;
        let mapped = stack::mapped_size(stack_size);
        let coroutine = catch_unwind(|| Coroutine::new(mapped, move || run_jobs(stack_size)))
            .map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))?;
        self.alive.set(self.alive.get() + 1);
        self.newborn.set(Some(coroutine));
        // SAFETY: just created here, and not running.
        unsafe { coroutine.resume() };
        Ok(())
    }

    /// Frees, once per second, half of the stacks that the last second did not need, and returns when
    /// to call again. For a worker that is about to sleep.
    pub(in crate::rt) fn trim(&self) -> Deadline {
        if self.idle.get() <= KEPT_IDLE {
            return Deadline::NEVER;
        }
        let now = crate::rt::time::coarse_ns();
        let due = self.trimmed_at.get() + TRIM_PERIOD.as_nanos() as u64;
        if now < due {
            // The coarse clock may lag by a tick: better a little late than twice.
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

/// The body of a fiber: runs jobs until it is told to exit.
fn run_jobs(stack_size: usize) {
    let worker = Worker::current().expect("fibers are created on a worker");
    let coroutine = worker.fibers.newborn.take().expect("set before the first resume");
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
    // The first resume is nested in the coroutine that spawns, which continues once this suspends.
    engine::suspend();
    worker.started(&fiber);
    loop {
        match fiber.next.replace(Next::Nothing) {
            Next::Run(job) => {
                fiber.run(job);
                worker.fibers.push(&fiber);
            }
            // A wake from another thread that ended the last job's wait before it parked arrives only
            // now. The fiber stays in the pool.
            Next::Nothing => {}
            Next::Exit => break,
        }
        fiber.parker.set_parked();
        // Nothing of the job is left to save.
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
        // Bodies that report a panic otherwise catch it themselves.
        if let Err(payload) = catch_unwind(AssertUnwindSafe(job.body)) {
            let text = task::panic_text(&*payload);
            let name = self.name.borrow();
            log::error!("coroutine '{}' ({}) panicked: {text}", name.as_str(), self.id());
        }
        self.locals.clear();
        #[cfg(feature = "hook")]
        if self.held.get() != 0
            && let Some(worker) = Worker::current()
        {
            worker.held.forget(self);
        }
        if fork::is_forked() {
            // A coroutine that forked has ended in the child, which has no scheduler to return to:
            // like the exit of a process's last thread.
            // SAFETY: ends the process.
            unsafe { libc::exit(0) };
        }
    }
}

/// Idle fibers beyond these are freed in time.
const KEPT_IDLE: usize = 64;
const TRIM_PERIOD: Duration = Duration::from_secs(1);
const COARSE_TICK_NS: u64 = 10_000_000;
