//! The loaded objects: the program and its shared libraries, as the dynamic linker lists them.

use std::ffi::{CStr, c_int, c_void};
use std::ops::Range;
use std::slice;

/// The program, or a shared library.
pub(crate) struct Object<'a> {
    /// The path; empty for the program.
    pub(crate) name: &'a CStr,
    /// The load bias: what is added to the addresses in the file.
    pub(crate) base: usize,
    pub(crate) headers: &'a [libc::Elf64_Phdr],
}

impl Object<'_> {
    /// Returns the address ranges of its segments.
    pub(crate) fn segments(&self) -> impl Iterator<Item = Range<usize>> {
        let headers = self.headers.iter().filter(|header| header.p_type == libc::PT_LOAD);
        headers.map(|header| self.place(header))
    }

    /// Returns the address range that a header describes.
    pub(crate) fn place(&self, header: &libc::Elf64_Phdr) -> Range<usize> {
        let start = self.base + header.p_vaddr as usize;
        start..start + header.p_memsz as usize
    }
}

/// Returns the first thing that `look` finds. Does not allocate; holds a lock of the dynamic linker.
pub(crate) fn find<T, F: FnMut(Object<'_>) -> Option<T>>(look: F) -> Option<T> {
    unsafe extern "C" fn each<T, F: FnMut(Object<'_>) -> Option<T>>(
        info: *mut libc::dl_phdr_info,
        _size: usize,
        search: *mut c_void,
    ) -> c_int {
        // SAFETY: valid during the call, by dl_iterate_phdr(3), here and below.
        let info = unsafe { &*info };
        // SAFETY: as above.
        let headers = unsafe { slice::from_raw_parts(info.dlpi_phdr, info.dlpi_phnum.into()) };
        // SAFETY: as above.
        let name = unsafe { CStr::from_ptr(info.dlpi_name) };
        // SAFETY: the pair below, which nobody else uses meanwhile.
        let (look, found) = unsafe { &mut *search.cast::<(F, Option<T>)>() };
        *found = look(Object { name, base: info.dlpi_addr as usize, headers });
        found.is_some().into()
    }
    let mut search = (look, None);
    // SAFETY: the function takes the pair that it is given here.
    unsafe { libc::dl_iterate_phdr(Some(each::<T, F>), (&raw mut search).cast()) };
    search.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_of_an_address_is_found() {
        let name_of = |address: usize| {
            find(|object| {
                let here = object.segments().any(|segment| segment.contains(&address));
                here.then(|| object.name.to_string_lossy().into_owned())
            })
        };
        let own = the_object_of_an_address_is_found as *const () as usize;
        assert_eq!(name_of(own).as_deref(), Some(""));
        assert!(name_of(libc::abort as *const () as usize).unwrap().contains("libc.so"));
        assert_eq!(name_of(8), None);
    }
}
