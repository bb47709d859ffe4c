//! POSIX semaphores and pthread locks, with one worker.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 1;
mod common;
#[path = "hook/support.rs"]
mod support;

#[path = "hook/mutexes.rs"]
mod mutexes;
#[path = "hook/pthread.rs"]
mod pthread;
#[path = "hook/rwlocks.rs"]
mod rwlocks;
#[path = "hook/semaphores.rs"]
mod semaphores;
