//! Who owns what crosses the border, said in types.

use std::ptr;
use std::sync::Arc;

use super::error::Failure;

/// A type that C sees only as a pointer.
pub(super) trait Opaque {
    /// What the pointer points to in truth.
    type Rust;
    /// [`OwnedBox`], [`SharedArc`] or [`InPlace`].
    type Ownership;
}

/// C owns the value, through its one pointer, and passes it to the type's `_free`.
pub(super) enum OwnedBox {}

/// C owns a share of the value, through its one pointer; Rust keeps others.
pub(super) enum SharedArc {}

/// C provides the memory, all zero at first, and owns the value in it, which has the same layout.
pub(super) enum InPlace {}

/// Hands `value` to C.
pub(super) fn give<T: Opaque<Ownership = OwnedBox>>(value: T::Rust) -> *mut T {
    Box::into_raw(Box::new(value)).cast()
}

/// Takes a value back from C. NULL gives `None`.
///
/// # Safety
/// `pointer` is NULL or came from [`give`] and is not used again.
pub(super) unsafe fn take<T: Opaque<Ownership = OwnedBox>>(
    pointer: *mut T,
) -> Option<Box<T::Rust>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so by the caller's contract it came from `Box::into_raw` in `give`.
    Some(unsafe { Box::from_raw(pointer.cast::<T::Rust>()) })
}

/// Hands a share of `value` to C.
pub(super) fn give_shared<T: Opaque<Ownership = SharedArc>>(value: Arc<T::Rust>) -> *mut T {
    Arc::into_raw(value).cast_mut().cast()
}

/// Takes a share back from C. NULL gives `None`.
///
/// # Safety
/// `pointer` is NULL or came from [`give_shared`] and is not used again.
pub(super) unsafe fn take_shared<T: Opaque<Ownership = SharedArc>>(
    pointer: *mut T,
) -> Option<Arc<T::Rust>> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: not NULL, so by the caller's contract it came from `Arc::into_raw`.
    Some(unsafe { Arc::from_raw(pointer.cast::<T::Rust>()) })
}

/// Looks at a value that C owns. NULL gives `None`.
///
/// # Safety
/// `pointer` is NULL, or came from [`give`] or [`give_shared`] or is C's own memory for a value
/// [`InPlace`], and is not freed during `'a`.
pub(super) unsafe fn look<'a, T: Opaque>(pointer: *const T) -> Option<&'a T::Rust> {
    // SAFETY: by the caller's contract; values are never handed out mutably.
    unsafe { pointer.cast::<T::Rust>().as_ref() }
}

/// Like [`look`], for exports to which NULL is an error.
///
/// # Safety
/// As [`look`].
pub(super) unsafe fn need<'a, T: Opaque>(pointer: *const T) -> Result<&'a T::Rust, Failure> {
    // SAFETY: the same contract.
    unsafe { look(pointer) }.ok_or_else(|| Failure::invalid("the object is NULL"))
}

/// Where an export stores what it made: a `T **` of the caller.
pub(super) struct Out<T>(ptr::NonNull<T>);

impl<T> Out<T> {
    /// # Safety
    /// `out` is NULL (an error) or valid for one write until the export returns.
    pub(super) unsafe fn new(out: *mut T) -> Result<Out<T>, Failure> {
        ptr::NonNull::new(out)
            .map(Out)
            .ok_or_else(|| Failure::invalid("the result pointer is NULL"))
    }

    pub(super) fn store(self, value: T) {
        // SAFETY: by the contract of `new`.
        unsafe { self.0.write(value) }
    }
}
