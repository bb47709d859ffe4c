//! The address range of the program's allocator, if that is a shared library of its own. Found without
//! an allocation, for the first to ask may be the allocator itself.

use std::ffi::CStr;
use std::ops::Range;
use std::sync::OnceLock;

use crate::sys::loaded_objects;

/// Whether `address` is in the library that defines `malloc`; never, if that is libc, whose locks no
/// hook sees, or the program itself, whose parts cannot be told apart.
#[inline]
pub(super) fn contains(address: usize) -> bool {
    static RANGE: OnceLock<Range<usize>> = OnceLock::new();
    RANGE.get_or_init(find).contains(&address)
}

#[cold]
fn find() -> Range<usize> {
    let malloc = object_with(address_of(c"malloc"));
    // SAFETY: a query of the auxiliary vector: the address of the program's headers.
    let program = unsafe { libc::getauxval(libc::AT_PHDR) } as usize;
    let others = [address_of(c"abort"), find as *const () as usize, program];
    if others.iter().any(|other| malloc.contains(other)) { 0..0 } else { malloc }
}

fn address_of(name: &CStr) -> usize {
    // SAFETY: a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// Returns the address range of the loaded object that contains `address`.
fn object_with(address: usize) -> Range<usize> {
    let whole = loaded_objects::find(|object| {
        let whole = object.segments().reduce(|a, b| a.start.min(b.start)..a.end.max(b.end));
        whole.filter(|whole| whole.contains(&address))
    });
    whole.unwrap_or(0..0)
}
