//! HTTP over real sockets, on one worker.

const WORKERS: usize = 1;

mod common;
mod http;
