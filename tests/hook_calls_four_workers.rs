//! Coroutines of several workers, and threads, that share an fd.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 4;
mod common;
#[path = "hook/support.rs"]
mod support;

#[path = "hook/shared.rs"]
mod shared;
