//! The runtime with four workers.

mod common;
#[path = "rt/runtime.rs"]
mod runtime;

const WORKERS: usize = 4;
