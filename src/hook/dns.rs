//! Names and addresses of hosts: libc looks them up, on threads of their own. A look-up may read
//! files, ask servers, load modules of nsswitch.conf(5): its inner calls cannot be hooked.

use std::ffi::{CStr, CString};
use std::net::IpAddr;
use std::sync::OnceLock;

use libc::{addrinfo, c_char, c_int, c_void, hostent, size_t, sockaddr, socklen_t};

use super::errno;
use super::switch::is_on;
use crate::pool::{self, ThreadPool};
use crate::rt::{self, Deadline, Key};
use crate::sys::real::{self, h_errno};

/// getaddrinfo(3). May suspend.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    host: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's contract, here and below.
    let in_place = || unsafe { real::getaddrinfo(host, service, hints, result) };
    if !is_on() || !rt::can_suspend() {
        return in_place();
    }
    // SAFETY: as above: NULL or C strings.
    let (host_text, service_text) = unsafe { (text(host), text(service)) };
    // SAFETY: as above: NULL or valid.
    let hints = unsafe { hints.as_ref() }.map(|hints| {
        let (flags, family) = (hints.ai_flags, hints.ai_family);
        (flags, family, hints.ai_socktype, hints.ai_protocol)
    });
    if is_number(&host_text, &service_text) {
        return in_place();
    }
    let Some(pool) = resolvers() else { return in_place() };
    let answer = pool.run_by(Deadline::NEVER, move || {
        // SAFETY: all-zero bytes are a valid addrinfo.
        let mut asked: addrinfo = unsafe { std::mem::zeroed() };
        if let Some((flags, family, kind, protocol)) = hints {
            asked.ai_flags = flags;
            asked.ai_family = family;
            asked.ai_socktype = kind;
            asked.ai_protocol = protocol;
        }
        let asked = if hints.is_some() { &raw const asked } else { std::ptr::null() };
        let mut found = Addresses(std::ptr::null_mut());
        // SAFETY: copies of what the caller gave, and a place for the result.
        let code = pool::blocking(|| unsafe {
            real::getaddrinfo(pointer(&host_text), pointer(&service_text), asked, &mut found.0)
        });
        (code, errno::get(), found)
    });
    match answer {
        Ok((0, _, mut found)) => {
            // SAFETY: the caller's place for the result.
            unsafe { *result = std::mem::replace(&mut found.0, std::ptr::null_mut()) };
            0
        }
        Ok((code, errno, _)) => {
            errno::set(errno);
            code
        }
        Err(error) if error.is_canceled() => {
            errno::set(libc::ECANCELED);
            libc::EAI_SYSTEM
        }
        Err(_) => {
            errno::set(libc::EAGAIN);
            libc::EAI_AGAIN
        }
    }
}

/// getnameinfo(3). May suspend.
///
/// # Safety
/// As for [`getaddrinfo`].
#[unsafe(no_mangle)]
unsafe extern "C" fn getnameinfo(
    address: *const sockaddr,
    size: socklen_t,
    host: *mut c_char,
    host_size: socklen_t,
    service: *mut c_char,
    service_size: socklen_t,
    flags: c_int,
) -> c_int {
    let numbers = libc::NI_NUMERICHOST | libc::NI_NUMERICSERV;
    let pool = (is_on() && rt::can_suspend() && flags & numbers != numbers).then(resolvers);
    let Some(Some(pool)) = pool else {
        // SAFETY: the caller's contract, here and below.
        return unsafe {
            real::getnameinfo(address, size, host, host_size, service, service_size, flags)
        };
    };
    let (address, host, service) = (Lent(address), Lent(host), Lent(service));
    let looked_up = pool.run(move || {
        let (address, host, service) = (address.get(), host.get(), service.get());
        // SAFETY: as above; the caller waits until this has ended.
        let code = pool::blocking(|| unsafe {
            real::getnameinfo(address, size, host, host_size, service, service_size, flags)
        });
        (code, errno::get())
    });
    match looked_up {
        Ok((code, errno)) => {
            errno::set(errno);
            code
        }
        Err(error) => {
            errno::set(if error.is_canceled() { libc::ECANCELED } else { libc::EAGAIN });
            libc::EAI_SYSTEM
        }
    }
}

/// gethostbyname(3). May suspend. What it answers belongs to the coroutine, until the next call.
///
/// # Safety
/// As for [`getaddrinfo`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname(name: *const c_char) -> *mut hostent {
    if !is_on() || !rt::can_suspend() {
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
/// As for [`getaddrinfo`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent {
    if !is_on() || !rt::can_suspend() {
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
/// As for [`getaddrinfo`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyaddr(
    address: *const c_void,
    address_size: socklen_t,
    family: c_int,
) -> *mut hostent {
    if !is_on() || !rt::can_suspend() {
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
/// As for [`getaddrinfo`].
#[unsafe(no_mangle)]
unsafe extern "C" fn gethostbyname_r(
    name: *const c_char,
    entry: *mut hostent,
    buffer: *mut c_char,
    size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    let lent = Lent((name, entry, buffer, result, error));
    look_up(result, error, move || {
        let (name, entry, buffer, result, error) = lent.get();
        // SAFETY: the caller's contract; it waits until this has ended.
        unsafe { real::gethostbyname_r(name, entry, buffer, size, result, error) }
    })
}

/// gethostbyname2_r(3). May suspend.
///
/// # Safety
/// As for [`getaddrinfo`].
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
    let lent = Lent((name, entry, buffer, result, error));
    look_up(result, error, move || {
        let (name, entry, buffer, result, error) = lent.get();
        // SAFETY: as in `gethostbyname_r`.
        unsafe { real::gethostbyname2_r(name, family, entry, buffer, size, result, error) }
    })
}

/// gethostbyaddr_r(3). May suspend.
///
/// # Safety
/// As for [`getaddrinfo`].
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
    let lent = Lent((address, entry, buffer, result, error));
    look_up(result, error, move || {
        let (address, entry, buffer, result, error) = lent.get();
        // SAFETY: as in `gethostbyname_r`.
        unsafe {
            real::gethostbyaddr_r(address, address_size, family, entry, buffer, size, result, error)
        }
    })
}

/// Calls `real` where it does not block a worker. It fills places of the caller, who therefore
/// waits until it has ended, cancelled or not.
fn look_up(
    result: *mut *mut hostent,
    error: *mut c_int,
    real: impl FnOnce() -> c_int + Send,
) -> c_int {
    let pool = (is_on() && rt::can_suspend()).then(resolvers);
    let Some(Some(pool)) = pool else { return real() };
    let looked_up = pool.run(move || {
        let code = pool::blocking(real);
        (code, errno::get())
    });
    let (code, errno) = match looked_up {
        Ok(answer) => answer,
        Err(failure) => {
            // SAFETY: the caller's places, which nobody filled.
            unsafe { (*result, *error) = (std::ptr::null_mut(), TRY_AGAIN) };
            let code = if failure.is_canceled() { libc::ECANCELED } else { libc::EAGAIN };
            (code, code)
        }
    };
    errno::set(errno);
    code
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

/// A list that getaddrinfo made.
struct Addresses(*mut addrinfo);

// SAFETY: the list belongs to whoever has the pointer.
unsafe impl Send for Addresses {}

impl Drop for Addresses {
    fn drop(&mut self) {
        if !self.0.is_null() {
            // SAFETY: owned, and not freed before.
            unsafe { libc::freeaddrinfo(self.0) };
        }
    }
}

/// Pointers lent to a thread for which their owner waits.
struct Lent<T>(T);

// SAFETY: whoever makes one waits until the thread is done with it.
unsafe impl<T> Send for Lent<T> {}

impl<T> Lent<T> {
    fn get(self) -> T {
        self.0
    }
}

/// # Safety
/// NULL or a C string.
unsafe fn text(pointer: *const c_char) -> Option<CString> {
    // SAFETY: the caller's contract.
    (!pointer.is_null()).then(|| unsafe { CStr::from_ptr(pointer) }.to_owned())
}

fn pointer(text: &Option<CString>) -> *const c_char {
    text.as_ref().map_or(std::ptr::null(), |text| text.as_ptr())
}

/// Whether there is nothing to look up.
fn is_number(host: &Option<CString>, service: &Option<CString>) -> bool {
    let as_text = |text: &CString| text.to_str().unwrap_or_default().to_owned();
    let address = host.as_ref().is_none_or(|host| as_text(host).parse::<IpAddr>().is_ok());
    address && service.as_ref().is_none_or(|service| as_text(service).parse::<u16>().is_ok())
}

/// The threads that look up. A few stay; while they wait for answers others come.
fn resolvers() -> Option<&'static ThreadPool> {
    static POOL: OnceLock<Option<ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let mut options = pool::Options::default();
        options.threads = 4;
        options.extra_threads = 64;
        options.name = "fastrpc-dns".to_owned();
        ThreadPool::with_options(options).ok()
    });
    pool.as_ref()
}

const LARGEST_ENTRY: usize = 1 << 20;
/// Of netdb.h, for `h_errno`.
const TRY_AGAIN: c_int = 2;
