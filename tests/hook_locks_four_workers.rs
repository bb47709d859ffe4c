//! Mutexes and condition variables of libc that suspend coroutines of four workers.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 4;

#[path = "hook/suspending_locks.rs"]
mod suspending_locks;
