//! The RPC layer over real sockets, on four workers: the same tests as on one.

const WORKERS: usize = 4;

mod common;
mod rpc;
