//! Services made by `fastrpc-build`, and one implementation, for the tests beside it.

include!(concat!(env!("OUT_DIR"), "/all.rs"));

pub mod support;

/// The Rust example of the README is compiled here, where its service is.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
