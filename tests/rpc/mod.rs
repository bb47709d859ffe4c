//! Tests that hold for any number of workers. Each test has a server of its own.

mod bad_input;
mod calls;
mod client;
mod golden;
mod limits;
mod server;
mod stop;
pub mod support;
