//! Hooked locks: pthread mutexes, reader-writer locks, condition variables and POSIX semaphores.
//
// Mutexes and reader-writer locks stay libc's. What is added is a record of those that a coroutine
// holds, so that no worker blocks for one that only a coroutine of its own could unlock.

mod allocator;
mod cond;
mod lock;
mod mutex;
mod rwlock;
mod semaphore;

pub use self::mutex::{deadlocks_averted, waits_with_locks};
