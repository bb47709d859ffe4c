//! The RPC layer over real sockets, on one worker.

const WORKERS: usize = 1;

mod common;
mod rpc;
