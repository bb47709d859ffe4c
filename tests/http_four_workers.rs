//! HTTP over real sockets, on four workers.

const WORKERS: usize = 4;

mod common;
mod http;
