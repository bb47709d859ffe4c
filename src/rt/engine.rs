//! The engine: what is used of `may`, and nothing else of it is used anywhere.
//!
//! `may` gives stackful coroutines, the switch between them, a queue of runnable coroutines per
//! worker thread and a spawn that names the worker. Everything that waits is built above on
//! [`park`] and [`Coroutine::unpark`], which are only ever called on the coroutine's own worker:
//! that is what keeps a coroutine on its thread.

use std::io;

use may::coroutine as co;

/// A handle by which a parked coroutine can be made runnable again.
#[derive(Clone)]
pub(super) struct Coroutine(co::Coroutine);

impl Coroutine {
    /// The coroutine that calls this. Panics outside of one.
    pub(super) fn current() -> Coroutine {
        Coroutine(co::current())
    }

    /// Puts the coroutine, which must be parked, at the end of the calling thread's run queue.
    /// The calling thread must be the coroutine's worker.
    #[inline]
    pub(super) fn unpark(&self) {
        self.0.unpark();
    }
}

/// Suspends the calling coroutine until [`Coroutine::unpark`].
#[inline]
pub(super) fn park() {
    co::park();
}

/// Lets the other runnable coroutines of this worker run first.
#[inline]
pub(super) fn yield_now() {
    co::yield_now();
}

/// Starts the engine's worker threads. Once per process.
pub(super) fn start(workers: usize) {
    let config = may::config();
    config.set_workers(workers);
    // The engine preallocates stacks of its default size; all of ours ask for another size, so
    // that one stack of the least size is all that it keeps.
    config.set_stack_size(UNUSED_STACK_WORDS).set_pool_capacity(1);
    config.set_worker_pin(false);
}

/// Runs `f` in a new coroutine on worker `worker`, from any thread.
pub(super) fn spawn_on(
    worker: usize,
    stack_size: usize,
    f: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let builder = co::Builder::new().id(worker).stack_size(words(stack_size));
    // SAFETY: the body handed in keeps to its worker's thread and to the rules for thread-local
    // data, and its stack ends in a guard; see `fiber` and `stack`.
    unsafe { builder.spawn(f) }.map(drop)
}

/// Runs `f` in a new coroutine at once, nested in the caller, until it first parks.
pub(super) fn spawn_here(stack_size: usize, f: impl FnOnce() + Send + 'static) -> io::Result<()> {
    let builder = co::Builder::new().stack_size(words(stack_size));
    // SAFETY: as in `spawn_on`.
    unsafe { builder.spawn_local(f) }.map(drop)
}

/// The engine counts stacks in words, and takes an odd number for a wish to trace their use.
fn words(bytes: usize) -> usize {
    (bytes / size_of::<usize>()) & !1
}

const UNUSED_STACK_WORDS: usize = 0x1000 / size_of::<usize>();
