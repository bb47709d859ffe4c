//! The process's runtime: its options, its start at first use, forked children.

use std::io;
use std::os::fd::{FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use super::fiber::engine;
use super::fiber::stack::{self, FaultActions};
use super::fork;
use super::park::inbox::{self, Inbox};
use super::reactor;
use super::worker::Worker;
use crate::sys::syscall;

/// The options of the process's runtime, to be passed to [`configure`] before its first use.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// Worker threads; 1 by default, so that coroutines need no locks between each other. In a program
    /// that never calls [`configure`], the environment variable `FASTRPC_WORKERS` sets it.
    pub workers: usize,
    /// The default stack size of coroutines in bytes; 256 KiB by default. Virtual memory: a page takes
    /// memory once it was touched.
    pub stack_size: usize,
    /// Whether blocking libc calls suspend coroutines that do not choose (feature `hook`); false by
    /// default. The environment variable `FASTRPC_HOOK=1` means true.
    pub hook: bool,
    /// Whether to detect and log coroutines that wait while they hold a pthread lock (feature `hook`);
    /// true by default. The environment variable `FASTRPC_LOCK_CHECK=0` means false.
    pub lock_check: bool,
    /// Whether pthread locks and condition variables suspend coroutines with hooks on (feature
    /// `hook`); false by default. The environment variable `FASTRPC_HOOK_LOCKS=1` means true.
    pub hook_locks: bool,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            workers: 1,
            stack_size: DEFAULT_STACK,
            hook: false,
            lock_check: true,
            hook_locks: false,
        }
    }
}

impl Options {
    /// Sets the number of worker threads.
    #[must_use]
    pub fn workers(mut self, workers: usize) -> Self {
        self.workers = workers;
        self
    }

    /// Sets the default stack size in bytes.
    #[must_use]
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = bytes;
        self
    }

    /// Sets whether blocking calls of libc suspend a coroutine that does not say.
    #[must_use]
    pub fn hook(mut self, on: bool) -> Self {
        self.hook = on;
        self
    }

    /// Sets whether waits of coroutines that hold a pthread lock are logged.
    #[must_use]
    pub fn lock_check(mut self, on: bool) -> Self {
        self.lock_check = on;
        self
    }

    /// Sets whether locks and condition variables of pthreads suspend coroutines with hooks on.
    #[must_use]
    pub fn hook_locks(mut self, on: bool) -> Self {
        self.hook_locks = on;
        self
    }
}

/// Sets the options of the runtime, which starts at its first use.
///
/// # Errors
/// `AlreadyExists` once the runtime has started; `InvalidInput` for no workers or more than 1,024, or a
/// stack of more than 1 GiB.
pub fn configure(options: Options) -> io::Result<()> {
    let invalid = |text: &str| Err(io::Error::new(io::ErrorKind::InvalidInput, text.to_owned()));
    if !(1..=MAX_WORKERS).contains(&options.workers) {
        return invalid("the number of workers must be between 1 and 1024");
    }
    if options.stack_size > stack::MAX_STACK {
        return invalid("the stack size of coroutines must be at most 1 GiB");
    }
    let mut configured = CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner);
    if RUNTIME.get().is_some() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "the runtime has started: options must be set before its first use",
        ));
    }
    *configured = Some(options);
    Ok(())
}

/// Returns the number of worker threads: of the running runtime, or of the one that would start now.
pub fn worker_count() -> usize {
    match inbox::all() {
        Some(inboxes) => inboxes.len(),
        None => requested_options().map_or(1, |options| options.workers),
    }
}

/// Whether the runtime has started in this process or in the one it was forked from.
pub fn has_started() -> bool {
    RUNTIME.get().is_some()
}

/// Starts the runtime unless it is running.
///
/// # Errors
/// When threads, memory or fds are exhausted, and in a forked child.
pub(crate) fn ensure() -> io::Result<()> {
    if fork::is_forked() {
        return Err(fork::forked_error());
    }
    if RUNTIME.get().is_some() {
        return Ok(());
    }
    start()
}

/// Returns the worker for new work of the caller: its own in a coroutine, else the next in turn.
pub(crate) fn pick_worker() -> io::Result<usize> {
    ensure()?;
    if let Some(worker) = Worker::current() {
        return Ok(worker.index());
    }
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    Ok(NEXT.fetch_add(1, Ordering::Relaxed) % worker_count())
}

#[inline]
pub(super) fn default_stack_size() -> usize {
    RUNTIME.get().map_or(DEFAULT_STACK, |runtime| runtime.stack_size)
}

/// Whether new coroutines begin with hooks on.
#[cfg(feature = "hook")]
#[inline]
pub(super) fn hooked_by_default() -> bool {
    RUNTIME.get().is_some_and(|runtime| runtime.hook)
}

/// Returns the options `lock_check` and `hook_locks`.
#[cfg(feature = "hook")]
pub(super) fn lock_options() -> (bool, bool) {
    RUNTIME.get().map_or((false, false), |runtime| (runtime.lock_check, runtime.hook_locks))
}

/// Whether this process started the runtime: a child of vfork(2) shares its memory.
#[cfg(feature = "hook")]
pub(super) fn is_own_process() -> bool {
    // SAFETY: a query without arguments, which always succeeds.
    RUNTIME.get().is_some_and(|runtime| runtime.process == unsafe { libc::getpid() })
}

struct Runtime {
    stack_size: usize,
    #[cfg(feature = "hook")]
    hook: bool,
    #[cfg(feature = "hook")]
    lock_check: bool,
    #[cfg(feature = "hook")]
    hook_locks: bool,
    #[cfg(feature = "hook")]
    process: libc::pid_t,
}

/// Returns the configured options, or else those of the environment.
fn requested_options() -> io::Result<Options> {
    match &*CONFIGURED.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(options) => Ok(options.clone()),
        None => from_environment(),
    }
}

fn from_environment() -> io::Result<Options> {
    let Some(value) = std::env::var_os("FASTRPC_WORKERS") else { return Ok(Options::default()) };
    match value.to_str().and_then(|value| value.parse().ok()) {
        Some(workers) if (1..=MAX_WORKERS).contains(&workers) => {
            Ok(Options::default().workers(workers))
        }
        _ => {
            let text =
                "the environment variable FASTRPC_WORKERS must be a number between 1 and 1024";
            Err(io::Error::new(io::ErrorKind::InvalidInput, text))
        }
    }
}

#[cfg(feature = "hook")]
fn environment_has(name: &str, wanted: &str) -> bool {
    std::env::var_os(name).is_some_and(|value| value == wanted)
}

#[cold]
fn start() -> io::Result<()> {
    static STARTING: Mutex<Option<StartFailure>> = Mutex::new(None);
    let mut failure = STARTING.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(failure) = &*failure {
        return Err(failure.error());
    }
    if RUNTIME.get().is_some() {
        return Ok(());
    }
    let options = requested_options()?;
    let inboxes = (0..options.workers).map(|_| Ok(Inbox::new(eventfd()?)));
    let inboxes = inboxes.collect::<io::Result<Box<[Inbox]>>>()?;
    let stack_size = stack::size_class(options.stack_size)?;
    let faults = FaultActions::current();
    engine::start(options.workers);
    let runtime = Runtime {
        stack_size,
        #[cfg(feature = "hook")]
        hook: options.hook || environment_has("FASTRPC_HOOK", "1"),
        #[cfg(feature = "hook")]
        lock_check: options.lock_check && !environment_has("FASTRPC_LOCK_CHECK", "0"),
        #[cfg(feature = "hook")]
        hook_locks: options.hook_locks || environment_has("FASTRPC_HOOK_LOCKS", "1"),
        #[cfg(feature = "hook")]
        // SAFETY: a query without arguments, which always succeeds.
        process: unsafe { libc::getpid() },
    };
    inbox::set_all(inboxes);
    RUNTIME.set(runtime).ok().expect("started once, under a lock");
    let started = start_reactors(options.workers);
    stack::handle_overflow(faults);
    // The handler only stores to an atomic.
    let registered = {
        // SAFETY: a function without arguments that stays for the life of the process.
        unsafe { libc::pthread_atfork(None, None, Some(after_fork_in_child)) }
    };
    if let Err(error) = started {
        *failure = Some(StartFailure(error.raw_os_error(), error.to_string()));
        return Err(error);
    }
    if registered != 0 {
        return Err(io::Error::from_raw_os_error(registered));
    }
    Ok(())
}

fn start_reactors(workers: usize) -> io::Result<()> {
    let (report, reports) = mpsc::channel();
    for index in 0..workers {
        let report = report.clone();
        let body = move || {
            reactor::run(index, move |started| {
                // The receiver waits for all of them.
                let _ = report.send(started);
            });
        };
        engine::run_on(index, REACTOR_STACK, body)?;
    }
    (0..workers).try_for_each(|_| reports.recv().expect("every reactor reports"))
}

/// Why the start failed. It is not retried: the engine cannot be started twice.
struct StartFailure(Option<i32>, String);

impl StartFailure {
    fn error(&self) -> io::Error {
        match self.0 {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::other(self.1.clone()),
        }
    }
}

extern "C" fn after_fork_in_child() {
    fork::set_forked();
}

fn eventfd() -> io::Result<OwnedFd> {
    let fd = syscall!(eventfd(0, libc::EFD_NONBLOCK | libc::EFD_CLOEXEC))?;
    // SAFETY: a new fd that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

static CONFIGURED: Mutex<Option<Options>> = Mutex::new(None);
static RUNTIME: OnceLock<Runtime> = OnceLock::new();

const DEFAULT_STACK: usize = 256 * 1024;
const REACTOR_STACK: usize = 256 * 1024;
const MAX_WORKERS: usize = 1024;
