//! Sockets: connecting and accepting.

use libc::{c_int, sockaddr, socklen_t};

use super::nonblocking::{undisturbed, without_blocking};
use super::sockopt::{is_tcp, option, timeout};
use super::would_block::WouldBlock;
use crate::hook::switch::is_on;
use crate::hook::{errno, wait};
use crate::rt::{Deadline, Interest};
use crate::sys::real;

/// connect(2). May suspend.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn connect(fd: c_int, address: *const sockaddr, size: socklen_t) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::connect(fd, address, size) };
    if !is_on() {
        return real();
    }
    errno::unless_failed(|| {
        let mut deadline = None;
        let mut waited = false;
        loop {
            let (result, own) = without_blocking(fd, real);
            if result == 0 || own {
                return result;
            }
            let code = errno::get();
            if code == libc::EISCONN && waited {
                // Somebody else waited for the same, and has asked before.
                return 0;
            }
            if !matches!(code, libc::EINPROGRESS | libc::EALREADY | libc::EAGAIN) {
                return result;
            }
            let deadline =
                *deadline.get_or_insert_with(|| Deadline::from(timeout(fd, Interest::Write)));
            if code != libc::EAGAIN {
                match connected(fd, deadline) {
                    // TCP alone says by another call how it ended, and only then takes it for done.
                    0 if is_tcp(fd) => waited = true,
                    result => return result,
                }
                continue;
            }
            // A Unix listener's queue is full, and nothing tells when it is not (unix(7)).
            if let Err(code) = WouldBlock::new(fd, Interest::Write).pause(deadline) {
                return errno::fail(code);
            }
        }
    })
}

/// The name within glibc.
///
/// # Safety
/// As for [`connect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __connect(fd: c_int, address: *const sockaddr, size: socklen_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { connect(fd, address, size) }
}

/// Waits for the end of a connect that has begun.
fn connected(fd: c_int, deadline: Deadline) -> c_int {
    let bits = match wait::ready(fd, Interest::Write, deadline) {
        Ok(bits) => bits,
        // As socket(7) says of SO_SNDTIMEO; the connect goes on.
        Err(libc::EAGAIN) => return errno::fail(libc::EINPROGRESS),
        Err(code) => return errno::fail(code),
    };
    if is_tcp(fd) {
        return 0;
    }
    match option(fd, libc::SO_ERROR) {
        Ok(0) if bits & libc::POLLHUP != 0 && bits & libc::POLLIN == 0 => {
            errno::fail(libc::ECONNABORTED)
        }
        Ok(0) => 0,
        Ok(code) | Err(code) => errno::fail(code),
    }
}

/// accept(2). May suspend.
///
/// # Safety
/// As for [`connect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn accept(fd: c_int, address: *mut sockaddr, size: *mut socklen_t) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::accept(fd, address, size) };
    if is_on() { accept_with(fd, real) } else { undisturbed(fd, real) }
}

/// accept4(2). May suspend.
///
/// # Safety
/// As for [`connect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    size: *mut socklen_t,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's contract.
    let real = || unsafe { real::accept4(fd, address, size, flags) };
    if is_on() { accept_with(fd, real) } else { undisturbed(fd, real) }
}

fn accept_with(fd: c_int, real: impl Fn() -> c_int) -> c_int {
    errno::unless_failed(|| {
        let mut blocked = WouldBlock::new(fd, Interest::Read);
        loop {
            let (accepted, own) = without_blocking(fd, &real);
            if accepted != -1 || own || errno::get() != libc::EAGAIN {
                return accepted;
            }
            if let Err(code) = blocked.wait() {
                return errno::fail(code);
            }
        }
    })
}
