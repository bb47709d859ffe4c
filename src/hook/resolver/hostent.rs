//! Hosts by the older functions, which fill an entry and a buffer of their caller's, or of their own.

use libc::{c_char, c_int, c_void, hostent, size_t, socklen_t};

use super::threads::{Address, may_suspend, pointer, resolvers, text};
use crate::hook::errno;
use crate::pool::{self, ThreadPool};
use crate::rt::{Deadline, Key};
use crate::sys::real::{self, h_errno};

/// gethostbyname(3). May suspend. What it answers belongs to the coroutine, until the next call.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    if !may_suspend() {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyname(name) };
    }
    own_entry(|entry, buffer, size, result, error| {
        // SAFETY: as above, and places of our own.
        unsafe { gethostbyname_r(name, entry, buffer, size, result, error) }
    })
}

/// gethostbyname2(3). May suspend. As [`gethostbyname`].
///
/// # Safety
/// As for [`gethostbyname`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    if !may_suspend() {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyname2(name, family) };
    }
    own_entry(|entry, buffer, size, result, error| {
        // SAFETY: as above, and places of our own.
        unsafe { gethostbyname2_r(name, family, entry, buffer, size, result, error) }
    })
}

/// gethostbyaddr(3). May suspend. As [`gethostbyname`].
///
/// # Safety
/// As for [`gethostbyname`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr(
    address: *const c_void,
    address_size: socklen_t,
    family: c_int,
) -> *mut hostent {
    if !may_suspend() {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyaddr(address, address_size, family) };
    }
    own_entry(|entry, buffer, size, result, error| {
        // SAFETY: as above, and places of our own.
        unsafe {
            gethostbyaddr_r(address, address_size, family, entry, buffer, size, result, error)
        }
    })
}

/// gethostbyname_r(3). May suspend.
///
/// # Safety
/// As for [`gethostbyname`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    entry: *mut hostent,
    buffer: *mut c_char,
    size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let Some(pool) = resolvers() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyname_r(name, entry, buffer, size, result, error) };
    };
    // SAFETY: as above.
    let name = unsafe { text(name) };
    let ask = move |places: &mut Places| {
        let Places { entry, buffer, size, result, error } = places;
        // SAFETY: a copy of the name, and places of its own.
        unsafe { real::gethostbyname_r(pointer(&name), entry, *buffer, *size, result, error) }
    };
    // SAFETY: the caller's places.
    unsafe { look_up(pool, Given { entry, buffer, size, result, error }, ask) }
}

/// gethostbyname2_r(3). May suspend.
///
/// # Safety
/// As for [`gethostbyname`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2_r(
    name: *const c_char,
    family: c_int,
    entry: *mut hostent,
    buffer: *mut c_char,
    size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let Some(pool) = resolvers() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyname2_r(name, family, entry, buffer, size, result, error) };
    };
    // SAFETY: as above.
    let name = unsafe { text(name) };
    let ask = move |places: &mut Places| {
        let Places { entry, buffer, size, result, error } = places;
        let name = pointer(&name);
        // SAFETY: as in `gethostbyname_r`.
        unsafe { real::gethostbyname2_r(name, family, entry, *buffer, *size, result, error) }
    };
    // SAFETY: the caller's places.
    unsafe { look_up(pool, Given { entry, buffer, size, result, error }, ask) }
}

/// gethostbyaddr_r(3). May suspend.
///
/// # Safety
/// As for [`gethostbyname`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr_r(
    address: *const c_void,
    address_size: socklen_t,
    family: c_int,
    entry: *mut hostent,
    buffer: *mut c_char,
    size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let known = address_size as usize <= size_of::<libc::in6_addr>() && !address.is_null();
    let Some(pool) = known.then(resolvers).flatten() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe {
            real::gethostbyaddr_r(address, address_size, family, entry, buffer, size, result, error)
        };
    };
    // SAFETY: as above.
    let given = unsafe { Address::copy(address, address_size) };
    let ask = move |places: &mut Places| {
        let Places { entry, buffer, size, result, error } = places;
        let (address, length) = (given.0.as_ptr().cast(), address_size);
        // SAFETY: as in `gethostbyname_r`.
        unsafe {
            real::gethostbyaddr_r(address, length, family, entry, *buffer, *size, result, error)
        }
    };
    // SAFETY: the caller's places.
    unsafe { look_up(pool, Given { entry, buffer, size, result, error }, ask) }
}

/// Where the caller of a look-up wants the answer.
struct Given {
    entry: *mut hostent,
    buffer: *mut c_char,
    size: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
}

/// The same on a resolving thread: a caller that is cancelled leaves at once, and its places with it.
struct Places {
    entry: hostent,
    buffer: *mut c_char,
    size: usize,
    result: *mut hostent,
    error: c_int,
}

/// What a look-up found.
struct Found {
    entry: hostent,
    _memory: Vec<u128>,
    /// Where the buffer in that memory begins.
    buffer: *mut c_char,
    is_some: bool,
    error: c_int,
}

// SAFETY: its pointers lead into the memory that it owns, or nowhere.
unsafe impl Send for Found {}

/// Calls `ask` on a resolving thread, and hands the answer to the caller.
///
/// # Safety
/// Places as gethostbyname_r(3) wants them.
unsafe fn look_up(
    pool: &ThreadPool,
    given: Given,
    ask: impl FnOnce(&mut Places) -> c_int + Send + 'static,
) -> c_int {
    let size = given.size;
    // libc begins where the buffer is aligned: what fits into the one shall fit into the other.
    let offset = given.buffer as usize % size_of::<u128>();
    // Of a success libc says nothing there.
    // SAFETY: the caller's place.
    let error = unsafe { *given.error };
    let looked_up = pool.run_by(Deadline::NEVER, move || {
        let mut memory = vec![0u128; (offset + size).div_ceil(size_of::<u128>())];
        let buffer = memory.as_mut_ptr().cast::<c_char>().wrapping_add(offset);
        // SAFETY: all-zero bytes are a valid hostent.
        let entry: hostent = unsafe { std::mem::zeroed() };
        let mut places = Places { entry, buffer, size, result: std::ptr::null_mut(), error };
        let code = pool::blocking(|| ask(&mut places));
        let Places { entry, result, error, .. } = places;
        let is_some = !result.is_null();
        (code, errno::get(), Found { entry, _memory: memory, buffer, is_some, error })
    });
    let (code, errno) = match looked_up {
        Ok((code, errno, found)) => {
            // SAFETY: the caller's contract.
            unsafe { found.hand_over(&given) };
            (code, errno)
        }
        Err(failure) => {
            // SAFETY: the caller's places, which nobody filled.
            unsafe { (*given.result, *given.error) = (std::ptr::null_mut(), TRY_AGAIN) };
            let code = if failure.is_canceled() { libc::ECANCELED } else { libc::EAGAIN };
            (code, code)
        }
    };
    errno::set(errno);
    code
}

impl Found {
    /// Copies the answer, and has its pointers lead into the copy.
    ///
    /// # Safety
    /// Places as gethostbyname_r(3) wants them.
    unsafe fn hand_over(mut self, given: &Given) {
        if self.is_some {
            let moved = |pointer: *mut c_char| {
                let at = (pointer as usize).wrapping_sub(self.buffer as usize);
                if at < given.size { given.buffer.wrapping_add(at) } else { pointer }
            };
            for list in [self.entry.h_aliases, self.entry.h_addr_list] {
                let mut next = list;
                // SAFETY: a list of pointers in memory of ours that ends with NULL, here and below.
                while !next.is_null() && !unsafe { *next }.is_null() {
                    // SAFETY: as above.
                    unsafe { *next = moved(*next) };
                    next = next.wrapping_add(1);
                }
            }
            self.entry.h_name = moved(self.entry.h_name);
            self.entry.h_aliases = moved(self.entry.h_aliases.cast()).cast();
            self.entry.h_addr_list = moved(self.entry.h_addr_list.cast()).cast();
            // SAFETY: both have this size, and the caller's is a place for it.
            unsafe { std::ptr::copy_nonoverlapping(self.buffer, given.buffer, given.size) };
            // SAFETY: the caller's place.
            unsafe { *given.entry = self.entry };
        }
        let result = if self.is_some { given.entry } else { std::ptr::null_mut() };
        // SAFETY: the caller's places.
        unsafe { (*given.result, *given.error) = (result, self.error) };
    }
}

/// The answer of a call that gives a pointer to data of its own.
struct Entry {
    entry: hostent,
    _buffer: Vec<c_char>,
}

/// Calls `ask` with a buffer that is large enough, and keeps what it filled for the coroutine.
fn own_entry(
    mut ask: impl FnMut(*mut hostent, *mut c_char, usize, *mut *mut hostent, *mut c_int) -> c_int,
) -> *mut hostent {
    static LAST: Key<Box<Entry>> = Key::new();
    let mut size = 1024;
    loop {
        let mut buffer = vec![0 as c_char; size];
        // SAFETY: all-zero bytes are a valid hostent.
        let entry: hostent = unsafe { std::mem::zeroed() };
        let mut kept = Box::new(Entry { entry, _buffer: Vec::new() });
        let mut result = std::ptr::null_mut();
        let mut error = 0;
        let code = ask(&mut kept.entry, buffer.as_mut_ptr(), size, &mut result, &mut error);
        if code == libc::ERANGE && size < LARGEST_ENTRY {
            size *= 2;
            continue;
        }
        // SAFETY: the location is valid as long as the thread runs.
        unsafe { *h_errno() = error };
        if code != 0 || result.is_null() {
            return std::ptr::null_mut();
        }
        kept._buffer = buffer;
        let place = &raw mut kept.entry;
        LAST.set(kept);
        return place;
    }
}

const LARGEST_ENTRY: usize = 1 << 20;
/// Of netdb.h, for `h_errno`.
const TRY_AGAIN: c_int = 2;
