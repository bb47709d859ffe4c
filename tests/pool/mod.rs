//! Tests that hold for any number of workers. Each test has a pool of its own.

mod jobs;
mod shutdown;
mod waits;

use std::sync::{Condvar, Mutex};

use fastrpc::pool::{Options, ThreadPool};

pub use crate::common::LONG;

/// A pool without extra threads.
pub fn strict(threads: usize) -> ThreadPool {
    let mut options = Options::default();
    options.threads = threads;
    options.extra_threads = 0;
    ThreadPool::with_options(options).unwrap()
}

/// Blocks jobs without the library's knowledge: opened once, for all.
#[derive(Default)]
pub struct Gate {
    state: Mutex<(bool, usize)>,
    changed: Condvar,
}

impl Gate {
    pub fn open(&self) {
        self.state.lock().unwrap().0 = true;
        self.changed.notify_all();
    }

    /// Blocks the thread until the gate is open.
    pub fn pass(&self) {
        let mut state = self.state.lock().unwrap();
        state.1 += 1;
        self.changed.notify_all();
        let left = self.changed.wait_timeout_while(state, LONG, |state| !state.0).unwrap().0;
        assert!(left.0, "the gate stays shut");
    }

    /// Whether `count` jobs have reached the gate.
    pub fn has_seen(&self, count: usize) -> bool {
        self.state.lock().unwrap().1 >= count
    }

    /// Blocks the thread until `count` jobs have reached the gate.
    pub fn wait_for(&self, count: usize) {
        let state = self.state.lock().unwrap();
        let state =
            self.changed.wait_timeout_while(state, LONG, |state| state.1 < count).unwrap().0;
        assert!(state.1 >= count, "{} of {count} came", state.1);
    }
}

/// Opens its gate when dropped, so that a test that fails does not hang.
pub struct Opens<'a>(pub &'a Gate);

impl Drop for Opens<'_> {
    fn drop(&mut self) {
        self.0.open();
    }
}

/// Counts its drops.
pub struct Counted<'a>(pub &'a std::sync::atomic::AtomicUsize);

impl Drop for Counted<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
    }
}
