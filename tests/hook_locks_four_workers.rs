//! Pthread locks that suspend (`hook_locks`), with four workers.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 4;
mod common;

#[path = "hook/pthread.rs"]
mod pthread;
#[path = "hook/suspending_mutexes.rs"]
mod suspending_mutexes;
#[path = "hook/suspending_rwlocks.rs"]
mod suspending_rwlocks;
