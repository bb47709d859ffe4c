//! Version: of this header, and of the library in use.

use std::ffi::{c_char, c_int};

/// The major version of this header. It changes when programs must be changed.
pub const FASTRPC_VERSION_MAJOR: c_int = 0;
/// The minor version of this header. It changes when something is added.
pub const FASTRPC_VERSION_MINOR: c_int = 1;
/// The patch version of this header. It changes with every other release.
pub const FASTRPC_VERSION_PATCH: c_int = 0;

/// Returns the version of the library in use, such as "1.2.3".
///
/// The text lives as long as the process. Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_version() -> *const c_char {
    TEXT.as_ptr()
}

/// Returns the version of the library in use as a number: major * 10000 + minor * 100 + patch.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_version_number() -> c_int {
    FASTRPC_VERSION_MAJOR * 10_000 + FASTRPC_VERSION_MINOR * 100 + FASTRPC_VERSION_PATCH
}

const TEXT: &std::ffi::CStr = match std::ffi::CStr::from_bytes_with_nul(
    concat!(env!("CARGO_PKG_VERSION"), "\0").as_bytes(),
) {
    Ok(text) => text,
    Err(_) => panic!("a version has no NUL inside"),
};

const _: () = {
    assert!(matches_package(FASTRPC_VERSION_MAJOR, env!("CARGO_PKG_VERSION_MAJOR")));
    assert!(matches_package(FASTRPC_VERSION_MINOR, env!("CARGO_PKG_VERSION_MINOR")));
    assert!(matches_package(FASTRPC_VERSION_PATCH, env!("CARGO_PKG_VERSION_PATCH")));
};

const fn matches_package(number: c_int, text: &str) -> bool {
    match c_int::from_str_radix(text, 10) {
        Ok(package) => package == number,
        Err(_) => false,
    }
}
