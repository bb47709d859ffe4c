//! The chaos run has a process of its own, so that what it leaves over can be counted.

const WORKERS: usize = 1;

#[path = "rpc/chaos.rs"]
mod chaos;
mod common;
#[path = "rpc/counting.rs"]
mod counting;
#[allow(dead_code, reason = "no test program uses all of it")]
#[path = "rpc/support.rs"]
mod support;
