//! The thread pool beside coroutines of one worker.

const WORKERS: usize = 1;

mod common;
mod pool;
