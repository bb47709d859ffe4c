//! Hooked calls compared with libc's: the same results, errnos and flags, and no other coroutine is
//! delayed.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 1;
mod common;
#[path = "hook/support.rs"]
mod support;

#[path = "hook/aliases.rs"]
mod aliases;
#[path = "hook/blocking.rs"]
mod blocking;
#[path = "hook/connects.rs"]
mod connects;
#[path = "hook/differences.rs"]
mod differences;
#[path = "hook/fds.rs"]
mod fds;
#[path = "hook/files.rs"]
mod files;
#[path = "hook/generated.rs"]
mod generated;
#[path = "hook/lookups.rs"]
mod lookups;
#[path = "hook/messages.rs"]
mod messages;
#[path = "hook/signals.rs"]
mod signals;
#[path = "hook/switch.rs"]
mod switch;
#[path = "hook/waits.rs"]
mod waits;
