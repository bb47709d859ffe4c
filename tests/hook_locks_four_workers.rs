//! Mutexes and condition variables of libc that suspend coroutines of four workers.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 4;

#[path = "hook/rwlock.rs"]
mod rwlock;
#[path = "hook/suspending_locks.rs"]
mod suspending_locks;
#[path = "hook/suspending_rwlocks.rs"]
mod suspending_rwlocks;
