//! Tests that hold for any number of workers. Each test has a server of its own.

mod bad_input;
mod bodies;
mod chaos;
mod curl;
mod later;
mod requests;
mod stop;
mod support;
