//! The thread pool beside coroutines of four workers.

const WORKERS: usize = 4;

mod common;
mod pool;
