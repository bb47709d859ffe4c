//! Parking and waking: the parker of coroutines and threads, waits on addresses, and the observer of
//! blocked threads.

#[cfg(feature = "hook")]
pub(super) mod addr_wait;
pub(super) mod observer;
mod thread;
pub(super) mod wait;
