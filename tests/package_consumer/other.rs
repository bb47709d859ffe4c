//! Another Rust library in the same program: it brings a standard library of its own.
#![crate_type = "staticlib"]

use std::collections::HashSet;
use std::ffi::{CStr, c_char, c_int};
use std::panic;

/// The number of different words in a text.
///
/// # Safety
///
/// `text` is a string that ends in NUL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn other_counts_words(text: *const c_char) -> c_int {
    // SAFETY: the caller's contract.
    let text = unsafe { CStr::from_ptr(text) };
    let words: HashSet<String> = text.to_string_lossy().split(' ').map(str::to_owned).collect();
    words.len() as c_int
}

/// 1 if unwinding works.
#[unsafe(no_mangle)]
pub extern "C" fn other_catches_a_panic() -> c_int {
    panic::set_hook(Box::new(|_| ()));
    panic::catch_unwind(|| panic!("on purpose")).is_err().into()
}
