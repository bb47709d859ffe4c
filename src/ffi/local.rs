//! Coroutine-local storage.

use std::ffi::c_void;
use std::ptr;

use crate::rt::Key;

use super::callback::{UserData, fastrpc_drop};
use super::error::ErrorOut;
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// A key to one pointer for each coroutine, and for each thread outside of coroutines. Meant to
/// live as long as the process: the slot of a freed key is not reused. Free it with
/// fastrpc_key_free(). Thread-safe.
pub struct fastrpc_key {
    _private: [u8; 0],
}

impl Opaque for fastrpc_key {
    type Rust = Stored;
    type Ownership = OwnedBox;
}

/// Creates a key, whose value is NULL everywhere.
///
/// `drop`: gets a value that is not NULL when its coroutine or thread ends; NULL if there is
/// nothing to free. `out`: receives the key; free it with fastrpc_key_free(). Fails with
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_key_new(
    drop: fastrpc_drop,
    out: *mut *mut fastrpc_key,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(Stored { key: Key::new(), drop }));
        Ok(())
    })
}

/// Returns the value of the calling coroutine or thread.
///
/// `key`: NULL gives NULL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_key_get(key: *const fastrpc_key) -> *mut c_void {
    guard_value(ptr::null_mut(), || {
        // SAFETY: the caller passes NULL or a live key.
        let stored = unsafe { look(key) };
        stored.and_then(|s| s.key.with(UserData::get)).unwrap_or(ptr::null_mut())
    })
}

/// Sets the value of the calling coroutine or thread. The previous value is not freed.
///
/// `value`: any pointer. Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_key_set(
    key: *const fastrpc_key,
    value: *mut c_void,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live key.
        let stored = unsafe { need(key) }?;
        let old = match value.is_null() {
            true => stored.key.take(),
            false => stored.key.set(UserData::new(value, stored.drop)),
        };
        if let Some(old) = old {
            old.forget();
        }
        Ok(())
    })
}

/// Frees a key. Values that are set are still freed when their coroutines end.
///
/// `key`: NULL does nothing. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_key_free(key: *mut fastrpc_key) {
    // SAFETY: the caller passes NULL or a key that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(key) }))
}

/// What a `fastrpc_key` points to.
pub struct Stored {
    key: Key<UserData>,
    drop: fastrpc_drop,
}
