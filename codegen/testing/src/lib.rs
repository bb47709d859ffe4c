//! Services made by `fastrpc-build`, for its tests.

#![allow(missing_docs)]

include!(concat!(env!("OUT_DIR"), "/all.rs"));
