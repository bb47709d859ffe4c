//! Mutexes and condition variables of libc that suspend coroutines of one worker.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 1;

#[path = "hook/suspending_locks.rs"]
mod suspending_locks;
