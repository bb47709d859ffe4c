//! The coroutine engine: the only file that uses `may` and `generator`.
//!
//! `may` runs the worker threads, each with one of its coroutines that never ends: the worker's
//! loop. User code runs in coroutines of `generator`, the crate that those of `may` are made of: the
//! loop [resumes](Coroutine::resume) them, and they [`suspend`] back into it. So a switch costs no
//! atomic operation, where each park and unpark of `may` takes about ten, and a coroutine cannot
//! leave its thread.

use std::io;
use std::ptr::NonNull;

use generator::{Generator, Gn};
use may::coroutine::Builder;

/// A coroutine of the engine: a plain pointer, freed when the last `resume` returns.
#[derive(Clone, Copy)]
pub(in crate::rt) struct Coroutine(NonNull<usize>);

impl Coroutine {
    /// Creates a coroutine that will run `body` on a stack of `stack_size` bytes and a guard page.
    ///
    /// # Panics
    /// When the stack cannot be mapped.
    pub(in crate::rt) fn new(stack_size: usize, body: impl FnOnce() + Send + 'static) -> Coroutine {
        let mut generator = Gn::<()>::new_opt(words(stack_size), body);
        // Marks it as a coroutine to `generator`: it suspends as a whole, even from within plain
        // generators, and does not propagate a panic to its resumer.
        generator.set_local_data(NonNull::<u8>::dangling().as_ptr());
        Coroutine::from(generator)
    }

    /// Runs the coroutine, nested in the caller, until it suspends or ends; then it is freed.
    ///
    /// # Safety
    /// It has not ended, is not running, and was created by the calling thread.
    #[inline]
    pub(in crate::rt) unsafe fn resume(self) {
        // SAFETY: by the contract it has not ended, so the pointer is owned, and only by us.
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
    // The engine preallocates stacks of its default size. None of ours has that size, so it keeps one
    // stack of the smallest size.
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
    // SAFETY: the body never suspends, so it stays on its thread, and its stack has a guard page.
    unsafe { builder.spawn(body) }.map(drop)
}

/// Converts to the engine's unit. It takes an odd number as a request to measure stack use.
fn words(bytes: usize) -> usize {
    (bytes / size_of::<usize>()) & !1
}

const UNUSED_STACK_WORDS: usize = 0x1000 / size_of::<usize>();
