//! The runtime with one worker.

mod common;
#[path = "rt/runtime.rs"]
mod runtime;

const WORKERS: usize = 1;
