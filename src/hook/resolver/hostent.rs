//! gethostbyname(3), gethostbyaddr(3) and their `_r` forms, which fill a `hostent` and a buffer.

use libc::{c_char, c_int, c_void, hostent, size_t, socklen_t};

use super::threads::{Address, may_suspend, pointer, resolvers, text};
use crate::hook::errno;
use crate::pool::{self, ThreadPool};
use crate::rt::{Deadline, Key};
use crate::sys::real::{self, h_errno};

/// gethostbyname(3). May suspend. Its result belongs to the coroutine, until the coroutine's next call.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    if !may_suspend() {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::gethostbyname(name) };
    }
    with_own_buffer(|entry, buffer, size, result, error| {
        // SAFETY: as above, and a buffer of the right size.
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
    with_own_buffer(|entry, buffer, size, result, error| {
        // SAFETY: as above, and a buffer of the right size.
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
    with_own_buffer(|entry, buffer, size, result, error| {
        // SAFETY: as above, and a buffer of the right size.
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
    let ask = move |out: &mut Output| {
        let Output { entry, buffer, size, result, error } = out;
        // SAFETY: a copy of the name, and the thread's own buffers.
        unsafe { real::gethostbyname_r(pointer(&name), entry, *buffer, *size, result, error) }
    };
    // SAFETY: the caller's buffers.
    unsafe { look_up(pool, CallerOutput { entry, buffer, size, result, error }, ask) }
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
    let ask = move |out: &mut Output| {
        let Output { entry, buffer, size, result, error } = out;
        let name = pointer(&name);
        // SAFETY: as in `gethostbyname_r`.
        unsafe { real::gethostbyname2_r(name, family, entry, *buffer, *size, result, error) }
    };
    // SAFETY: the caller's buffers.
    unsafe { look_up(pool, CallerOutput { entry, buffer, size, result, error }, ask) }
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
    let ask = move |out: &mut Output| {
        let Output { entry, buffer, size, result, error } = out;
        let (address, length) = (given.0.as_ptr().cast(), address_size);
        // SAFETY: as in `gethostbyname_r`.
        unsafe {
            real::gethostbyaddr_r(address, length, family, entry, *buffer, *size, result, error)
        }
    };
    // SAFETY: the caller's buffers.
    unsafe { look_up(pool, CallerOutput { entry, buffer, size, result, error }, ask) }
}

/// The out-parameters of gethostbyname_r(3), as the caller gave them.
struct CallerOutput {
    entry: *mut hostent,
    buffer: *mut c_char,
    size: usize,
    result: *mut *mut hostent,
    error: *mut c_int,
}

/// The same on a resolver thread: a canceled caller returns at once, and takes its own with it.
struct Output {
    entry: hostent,
    buffer: *mut c_char,
    size: usize,
    result: *mut hostent,
    error: c_int,
}

/// The result of a lookup.
struct Found {
    entry: hostent,
    _memory: Vec<u128>,
    /// The beginning of the buffer within that memory.
    buffer: *mut c_char,
    is_some: bool,
    error: c_int,
}

// SAFETY: its pointers point into the memory that it owns, or are NULL.
unsafe impl Send for Found {}

/// Calls `ask` on a resolver thread, and copies the result to the caller's buffers.
///
/// # Safety
/// Out-parameters as for gethostbyname_r(3).
unsafe fn look_up(
    pool: &ThreadPool,
    given: CallerOutput,
    ask: impl FnOnce(&mut Output) -> c_int + Send + 'static,
) -> c_int {
    let size = given.size;
    // libc aligns within the buffer: with the same alignment the same result fits.
    let offset = given.buffer as usize % size_of::<u128>();
    // libc leaves it alone when it succeeds.
    // SAFETY: the caller's out-pointer.
    let error = unsafe { *given.error };
    let looked_up = pool.run_by(Deadline::NEVER, move || {
        let mut memory = vec![0u128; (offset + size).div_ceil(size_of::<u128>())];
        let buffer = memory.as_mut_ptr().cast::<c_char>().wrapping_add(offset);
        // SAFETY: all-zero bytes are a valid hostent.
        let entry: hostent = unsafe { std::mem::zeroed() };
        let mut out = Output { entry, buffer, size, result: std::ptr::null_mut(), error };
        let code = pool::blocking(|| ask(&mut out));
        let Output { entry, result, error, .. } = out;
        let is_some = !result.is_null();
        (code, errno::get(), Found { entry, _memory: memory, buffer, is_some, error })
    });
    let (code, errno) = match looked_up {
        Ok((code, errno, found)) => {
            // SAFETY: the caller's contract.
            unsafe { found.copy_to(&given) };
            (code, errno)
        }
        Err(failure) => {
            // SAFETY: the caller's out-pointers.
            unsafe { (*given.result, *given.error) = (std::ptr::null_mut(), TRY_AGAIN) };
            let code = if failure.is_canceled() { libc::ECANCELED } else { libc::EAGAIN };
            (code, code)
        }
    };
    errno::set(errno);
    code
}

impl Found {
    /// Copies the result, with its pointers moved into the caller's buffer.
    ///
    /// # Safety
    /// Out-parameters as for gethostbyname_r(3).
    unsafe fn copy_to(mut self, given: &CallerOutput) {
        if self.is_some {
            let moved = |pointer: *mut c_char| {
                let at = (pointer as usize).wrapping_sub(self.buffer as usize);
                if at < given.size { given.buffer.wrapping_add(at) } else { pointer }
            };
            for list in [self.entry.h_aliases, self.entry.h_addr_list] {
                let mut next = list;
                // SAFETY: a NULL-terminated list of pointers in our memory, here and below.
                while !next.is_null() && !unsafe { *next }.is_null() {
                    // SAFETY: as above.
                    unsafe { *next = moved(*next) };
                    next = next.wrapping_add(1);
                }
            }
            self.entry.h_name = moved(self.entry.h_name);
            self.entry.h_aliases = moved(self.entry.h_aliases.cast()).cast();
            self.entry.h_addr_list = moved(self.entry.h_addr_list.cast()).cast();
            // SAFETY: both buffers have this size.
            unsafe { std::ptr::copy_nonoverlapping(self.buffer, given.buffer, given.size) };
            // SAFETY: the caller's out-pointer.
            unsafe { *given.entry = self.entry };
        }
        let result = if self.is_some { given.entry } else { std::ptr::null_mut() };
        // SAFETY: the caller's out-pointers.
        unsafe { (*given.result, *given.error) = (result, self.error) };
    }
}

/// The result of a function that returns a pointer to memory of its own.
struct Entry {
    entry: hostent,
    _buffer: Vec<c_char>,
}

/// Calls `ask` with a buffer that is large enough, which the coroutine keeps until its next call.
fn with_own_buffer(
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
        if code == libc::ERANGE && size < MAX_BUFFER {
            size *= 2;
            continue;
        }
        // SAFETY: the location is valid as long as the thread runs.
        unsafe { *h_errno() = error };
        if code != 0 || result.is_null() {
            return std::ptr::null_mut();
        }
        kept._buffer = buffer;
        let entry = &raw mut kept.entry;
        LAST.set(kept);
        return entry;
    }
}

const MAX_BUFFER: usize = 1 << 20;
/// From netdb.h, for `h_errno`.
const TRY_AGAIN: c_int = 2;
