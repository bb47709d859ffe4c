//! The runtime's promises with one worker.

mod common;
#[path = "rt/runtime.rs"]
mod runtime;

const WORKERS: usize = 1;
