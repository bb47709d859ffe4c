//! Where the program's allocator is, if it is a library of its own. Found without taking memory, for
//! the first to ask may be the allocator itself.

use std::ffi::{c_int, c_void};
use std::ops::Range;
use std::slice;
use std::sync::OnceLock;

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

fn address_of(name: &std::ffi::CStr) -> usize {
    // SAFETY: a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// Where the loaded object lies that has `address`.
fn object_with(address: usize) -> Range<usize> {
    let mut question = (address, 0..0);
    // SAFETY: the function takes the pair that it is given here.
    unsafe { libc::dl_iterate_phdr(Some(look), (&raw mut question).cast()) };
    question.1
}

unsafe extern "C" fn look(
    info: *mut libc::dl_phdr_info,
    _size: usize,
    question: *mut c_void,
) -> c_int {
    // SAFETY: valid during the call, by dl_iterate_phdr(3).
    let info = unsafe { &*info };
    // SAFETY: as above.
    let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
    // SAFETY: the pair of `object_with`.
    let (address, place) = unsafe { &mut *question.cast::<(usize, Range<usize>)>() };
    let segments = headers.iter().filter(|header| header.p_type == libc::PT_LOAD).map(|header| {
        let start = info.dlpi_addr as usize + header.p_vaddr as usize;
        start..start + header.p_memsz as usize
    });
    let whole = segments.reduce(|all, one| all.start.min(one.start)..all.end.max(one.end));
    let found = whole.filter(|whole| whole.contains(address));
    let done = found.is_some();
    *place = found.unwrap_or(0..0);
    done.into()
}
