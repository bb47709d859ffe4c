//! Tests that hold for any number of workers. Each test has a server of its own.

mod bad_input;
mod calls;
mod cancellation;
mod client;
mod golden;
mod limits;
mod old_peer;
mod original;
mod push;
mod server;
mod stop;
#[allow(dead_code, reason = "shared with other tests, which use the rest")]
mod support;
