//! The C ABI, `include/fastrpc/fastrpc.h` (feature `capi`).
//!
//! Converts, guards and calls the public Rust API; it holds no logic of its own. Every export is
//! written out with one closure as its body: [`guard::guard`] catches panics and refuses calls in
//! a forked child. Pointers from C become Rust values only through [`own`] (opaque handles) and
//! [`arg`] (bytes, text, options); user callbacks only through [`callback`], the one place where
//! Rust calls C or C++.
//!
//! `tests/abi_header.rs` generates the header again from these files and compares.

#![expect(non_camel_case_types, reason = "these are the names that C sees")]

mod arg;
pub mod callback;
pub mod error;
mod guard;
pub mod logging;
mod own;
pub mod status;
pub mod version;
