//! The runtime's promises with one worker.

mod cases;
#[path = "cases/runtime.rs"]
mod runtime;

const WORKERS: usize = 1;
