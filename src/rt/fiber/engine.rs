//! The engine: what is used of `may`, and nothing else of it is used anywhere.
//!
//! `may` runs the worker threads, each with one coroutine of its own that never ends: the worker's
//! loop. What user code runs in are coroutines of the crate that `may`'s own are made of,
//! `generator`: the loop [resumes](Coroutine::resume) them, and they [`suspend`] back into it. So
//! a switch costs no atomic operation, which each park and unpark of `may` does ten times, and a
//! coroutine has no way to leave its thread.

use std::io;
use std::ptr::NonNull;

use generator::{Generator, Gn};
use may::coroutine::Builder;

/// A coroutine of the engine. A plain pointer: whoever resumes it knows that it lives, and on the
/// last return it is gone.
#[derive(Clone, Copy)]
pub(in crate::rt) struct Coroutine(NonNull<usize>);

impl Coroutine {
    /// Makes a coroutine that will run `body` on a stack of `stack_size` bytes and a guard page.
    ///
    /// # Panics
    /// When the stack cannot be mapped.
    pub(in crate::rt) fn new(stack_size: usize, body: impl FnOnce() + Send + 'static) -> Coroutine {
        let mut generator = Gn::<()>::new_opt(words(stack_size), body);
        // What marks it as a coroutine to `generator`: it suspends as a whole, even from within
        // plain generators, and keeps a panic to itself.
        generator.set_local_data(NonNull::<u8>::dangling().as_ptr());
        Coroutine::from(generator)
    }

    /// Runs the coroutine, nested in the caller, until it suspends or ends; then it is freed.
    ///
    /// # Safety
    /// It has not ended, does not run, and was made by the calling thread.
    #[inline]
    pub(in crate::rt) unsafe fn resume(self) {
        // SAFETY: it has not ended, so that the pointer is owned, and by nobody but us.
        let mut generator = unsafe { Generator::<'static, (), ()>::from_raw(self.0.as_ptr()) };
        generator.resume();
        if !generator.is_done() {
            let _ = generator.into_raw();
        }
    }
}

impl From<Generator<'static, (), ()>> for Coroutine {
    fn from(generator: Generator<'static, (), ()>) -> Self {
        Coroutine(NonNull::new(generator.into_raw()).expect("a box has an address"))
    }
}

/// Returns from the `resume` that runs the calling coroutine, until it is resumed again.
#[inline]
pub(in crate::rt) fn suspend() {
    generator::co_yield_with(());
}

/// Starts the engine's worker threads. Once per process.
pub(in crate::rt) fn start(workers: usize) {
    let config = may::config();
    config.set_workers(workers);
    // The engine preallocates stacks of its default size; all of ours ask for another size, so
    // that one stack of the least size is all that it keeps.
    config.set_stack_size(UNUSED_STACK_WORDS).set_pool_capacity(1);
    config.set_worker_pin(false);
}

/// Runs `body` in a coroutine of `may` on worker `worker`, from any thread.
pub(in crate::rt) fn run_on(
    worker: usize,
    stack_size: usize,
    body: impl FnOnce() + Send + 'static,
) -> io::Result<()> {
    let builder = Builder::new().id(worker).stack_size(words(stack_size));
    // SAFETY: the body never suspends, so that it stays on its thread, and its stack ends in a
    // guard.
    unsafe { builder.spawn(body) }.map(drop)
}

/// The engine counts stacks in words, and takes an odd number for a wish to trace their use.
fn words(bytes: usize) -> usize {
    (bytes / size_of::<usize>()) & !1
}

const UNUSED_STACK_WORDS: usize = 0x1000 / size_of::<usize>();
