//! Parking and waking: the parker of coroutines and threads, a worker's inbox, waits on addresses, and
//! the observer of blocked threads.

#[cfg(feature = "hook")]
pub(super) mod addr_wait;
pub(super) mod inbox;
pub(super) mod observer;
mod thread;
pub(super) mod wait;
