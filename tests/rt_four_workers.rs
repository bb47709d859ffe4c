//! The runtime's promises with four workers.

mod cases;
#[path = "cases/runtime.rs"]
mod runtime;

const WORKERS: usize = 4;
