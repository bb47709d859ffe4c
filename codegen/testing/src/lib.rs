//! Services made by `fastrpc-build`, and one implementation, for the tests beside it.

include!(concat!(env!("OUT_DIR"), "/all.rs"));

pub mod support;
