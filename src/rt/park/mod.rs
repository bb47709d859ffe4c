//! How a coroutine or a thread waits and is woken: the parker, its plain threads, addresses that are
//! waited for, and who is told that a thread blocks.

#[cfg(feature = "hook")]
pub(super) mod addr_wait;
pub(super) mod observer;
mod thread;
pub(super) mod wait;
