//! Where the program's allocator is, if it is a library of its own. Found without taking memory, for
//! the first to ask may be the allocator itself.

use std::ffi::CStr;
use std::ops::Range;
use std::sync::OnceLock;

use crate::sys::loaded_objects;

/// Whether `address` is in the library that defines `malloc`, unless that is libc, whose own locks no
/// hook sees, or the program itself, of which no part can be told from another.
#[inline]
pub(super) fn contains(address: usize) -> bool {
    static PLACE: OnceLock<Range<usize>> = OnceLock::new();
    PLACE.get_or_init(find).contains(&address)
}

#[cold]
fn find() -> Range<usize> {
    let malloc = object_with(address_of(c"malloc"));
    // SAFETY: a query of what the kernel gave the process: where the program's headers are.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let others = [address_of(c"abort"), find as *const () as usize, program];
    if others.iter().any(|other| malloc.contains(other)) { 0..0 } else { malloc }
}

fn address_of(name: &CStr) -> usize {
    // SAFETY: a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// Where the loaded object lies that has `address`.
fn object_with(address: usize) -> Range<usize> {
    let whole = loaded_objects::find(|object| {
        let whole = object.segments().reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        whole.filter(|whole| whole.contains(&address))
    });
    whole.unwrap_or(0..0)
}
