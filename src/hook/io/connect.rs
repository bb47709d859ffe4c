//! connect(2) and accept(2).

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
/// The man page's contract, as for all hooks here.
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
                // Another coroutine waited for the same connect, and saw its end first.
                return 0;
            }
            if !matches!(code, libc::EINPROGRESS | libc::EALREADY | libc::EAGAIN) {
                return result;
            }
            let deadline =
                *deadline.get_or_insert_with(|| Deadline::from(timeout(fd, Interest::Write)));
            if code != libc::EAGAIN {
                match finish_connect(fd, deadline) {
                    // TCP reports the outcome, and ends the connect, in another call of connect(2).
                    0 if is_tcp(fd) => waited = true,
                    result => return result,
                }
                continue;
            }
            // The backlog of a Unix listener is full, and no event tells when it has room (unix(7)).
            if let Err(code) = WouldBlock::new(fd, Interest::Write).pause(deadline) {
                return errno::fail(code);
            }
        }
    })
}

/// connect(2) under glibc's internal name.
///
/// # Safety
/// As for [`connect`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __connect(fd: c_int, address: *const sockaddr, size: socklen_t) -> c_int {
    // SAFETY: the same contract.
    unsafe { connect(fd, address, size) }
}

/// Waits for the end of a connect in progress.
fn finish_connect(fd: c_int, deadline: Deadline) -> c_int {
    let bits = match wait::ready(fd, Interest::Write, deadline) {
        Ok(bits) => bits,
        // SO_SNDTIMEO is over (socket(7)); the connect stays in progress.
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
