//! Semaphores and locks of libc in coroutines of one worker.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 1;
mod common;
#[path = "hook/support.rs"]
mod support;

#[path = "hook/locks.rs"]
mod locks;
#[path = "hook/rwlock.rs"]
mod rwlock;
#[path = "hook/rwlocks.rs"]
mod rwlocks;
#[path = "hook/semaphores.rs"]
mod semaphores;
