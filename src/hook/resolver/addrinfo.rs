//! getaddrinfo(3) and getnameinfo(3).

use std::ffi::CString;
use std::net::IpAddr;

use libc::{addrinfo, c_char, c_int, sockaddr, socklen_t};

use super::threads::{Address, may_suspend, pointer, resolvers, text};
use crate::hook::errno;
use crate::pool;
use crate::rt::Deadline;
use crate::sys::real;

/// getaddrinfo(3). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn getaddrinfo(
    host: *const c_char,
    service: *const c_char,
    hints: *const addrinfo,
    result: *mut *mut addrinfo,
) -> c_int {
    // SAFETY: the caller's contract, here and below.
    let in_place = || unsafe { real::getaddrinfo(host, service, hints, result) };
    if !may_suspend() {
        return in_place();
    }
    // SAFETY: as above: NULL or C strings.
    let (host_text, service_text) = unsafe { (text(host), text(service)) };
    // SAFETY: as above: NULL or valid.
    let hints = unsafe { hints.as_ref() }.map(|hints| {
        let (flags, family) = (hints.ai_flags, hints.ai_family);
        (flags, family, hints.ai_socktype, hints.ai_protocol)
    });
    if is_numeric(&host_text, &service_text) {
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
        // SAFETY: copies of the caller's arguments, and a place for the result.
        let code = pool::blocking(|| unsafe {
            real::getaddrinfo(pointer(&host_text), pointer(&service_text), asked, &mut found.0)
        });
        (code, errno::get(), found)
    });
    match answer {
        Ok((0, _, mut found)) => {
            // SAFETY: the caller's out-pointer.
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
    let known = size as usize <= size_of::<libc::sockaddr_storage>() && !address.is_null();
    let needs_lookup = known && flags & numbers != numbers;
    let Some(pool) = needs_lookup.then(resolvers).flatten() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe {
            real::getnameinfo(address, size, host, host_size, service, service_size, flags)
        };
    };
    // SAFETY: as above.
    let given = unsafe { Address::copy(address.cast(), size) };
    // The thread's own buffers, which a canceled caller leaves behind.
    let mut texts = [host_size, service_size].map(|size| vec![0; MAX_NAME.min(size as usize)]);
    let [no_host, no_service] = [host, service].map(|buffer| buffer.is_null());
    let looked_up = pool.run_by(Deadline::NEVER, move || {
        let address = given.0.as_ptr().cast();
        let sizes = texts.each_ref().map(|text| text.len() as socklen_t);
        let [host, service] = texts.each_mut().map(|text| text.as_mut_ptr());
        let host = if no_host { std::ptr::null_mut() } else { host };
        let service = if no_service { std::ptr::null_mut() } else { service };
        // SAFETY: buffers of these sizes, or NULL where the caller gave NULL.
        let code = pool::blocking(|| unsafe {
            real::getnameinfo(address, size, host, sizes[0], service, sizes[1], flags)
        });
        (code, errno::get(), texts)
    });
    match looked_up {
        Ok((0, _, texts)) => {
            for (buffer, text) in [host, service].into_iter().zip(texts) {
                let end = text.iter().position(|byte| *byte == 0);
                if let (false, Some(end)) = (buffer.is_null(), end) {
                    // SAFETY: the caller's buffer, which is at least as long.
                    unsafe { std::ptr::copy_nonoverlapping(text.as_ptr(), buffer, end + 1) };
                }
            }
            0
        }
        Ok((code, errno, _)) => {
            errno::set(errno);
            code
        }
        Err(error) => {
            errno::set(if error.is_canceled() { libc::ECANCELED } else { libc::EAGAIN });
            libc::EAI_SYSTEM
        }
    }
}

/// A list allocated by getaddrinfo(3).
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

/// Whether host and service are numeric, so that there is nothing to look up.
fn is_numeric(host: &Option<CString>, service: &Option<CString>) -> bool {
    let as_text = |text: &CString| text.to_str().unwrap_or_default().to_owned();
    let address = host.as_ref().is_none_or(|host| as_text(host).parse::<IpAddr>().is_ok());
    address && service.as_ref().is_none_or(|service| as_text(service).parse::<u16>().is_ok())
}

/// Far more than a host or a service can have.
const MAX_NAME: usize = 1 << 16;
