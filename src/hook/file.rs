//! `read`, `write` and their kin, on whatever the fd is.

use libc::{c_int, c_void, iovec, off_t, size_t, ssize_t};

use super::blocked::{self, Blocked};
use super::socket::{self, receive};
use super::switch::is_on;
use super::toggle::without_blocking;
use super::{errno, message};
use crate::rt::{Deadline, Interest};
use crate::sys::real;

/// read(2). May suspend.
///
/// # Safety
/// As the man page says; so for all functions here.
#[unsafe(no_mangle)]
unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    if !is_on() || size == 0 {
        // SAFETY: the caller's contract, here and in all that follows.
        return unsafe { real::read(fd, buffer, size) };
    }
    let parts = [iovec { iov_base: buffer, iov_len: size }];
    // SAFETY: as above.
    unsafe { read_parts(fd, &parts) }
}

/// The name within glibc.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { read(fd, buffer, size) }
}

/// read(2) as `_FORTIFY_SOURCE` calls it. May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
) -> ssize_t {
    if !is_on() || size > room {
        // SAFETY: the caller's contract; it ends the process when there is too little room.
        return unsafe { real::__read_chk(fd, buffer, size, room) };
    }
    // SAFETY: the same contract.
    unsafe { read(fd, buffer, size) }
}

/// readv(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if is_on() && message::is_count(count) && !parts.is_null() {
        // SAFETY: the caller's contract.
        let parts = unsafe { message::parts(parts, count as usize) };
        if message::length(parts) > 0 {
            // SAFETY: the same.
            return unsafe { read_parts(fd, parts) };
        }
    }
    // SAFETY: the same.
    unsafe { real::readv(fd, parts, count) }
}

/// write(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract.
        return unsafe { real::write(fd, buffer, size) };
    }
    let parts = [iovec { iov_base: buffer.cast_mut(), iov_len: size }];
    // SAFETY: the same.
    unsafe { write_parts(fd, &parts) }
}

/// The name within glibc.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn __write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { write(fd, buffer, size) }
}

/// writev(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    if is_on() && message::is_count(count) && !parts.is_null() {
        // SAFETY: the caller's contract.
        let parts = unsafe { message::parts(parts, count as usize) };
        // Of nothing, unlike write(2), it makes no empty datagram.
        if message::length(parts) > 0 {
            // SAFETY: the same.
            return unsafe { write_parts(fd, parts) };
        }
    }
    // SAFETY: the same.
    unsafe { real::writev(fd, parts, count) }
}

/// sendfile(2). May suspend.
///
/// # Safety
/// As for [`read`].
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile(to: c_int, from: c_int, offset: *mut off_t, size: size_t) -> ssize_t {
    if !is_on() {
        // SAFETY: the caller's contract.
        return unsafe { real::sendfile(to, from, offset, size) };
    }
    errno::unless_failed(|| {
        let mut blocked = Blocked::new(to, Interest::Write);
        let mut sent = 0;
        loop {
            let rest = size - sent;
            // SAFETY: the same; the offset, or that of the file, moved by what was sent.
            let (now, own) =
                without_blocking(to, || unsafe { real::sendfile(to, from, offset, rest) });
            match now {
                -1 if errno::get() != libc::EAGAIN || own => break answer(sent),
                -1 => {}
                now => {
                    sent += now as usize;
                    if now == 0 || sent == size || own {
                        break sent as ssize_t;
                    }
                }
            }
            if let Err(code) = blocked.wait() {
                errno::set(code);
                break answer(sent);
            }
        }
    })
}

/// The name of sendfile(2) for files of more than 2 GiB: the same where `off_t` has 64 bits.
///
/// # Safety
/// As for [`read`].
#[cfg(target_pointer_width = "64")]
#[unsafe(no_mangle)]
unsafe extern "C" fn sendfile64(
    to: c_int,
    from: c_int,
    offset: *mut off_t,
    size: size_t,
) -> ssize_t {
    // SAFETY: the same contract.
    unsafe { sendfile(to, from, offset, size) }
}

/// What was done, if anything, or else the error in errno.
fn answer(done: usize) -> ssize_t {
    if done > 0 { done as ssize_t } else { -1 }
}

/// # Safety
/// As readv(2).
unsafe fn read_parts(fd: c_int, parts: &[iovec]) -> ssize_t {
    errno::unless_failed(|| {
        let mut whole = message::of_parts(parts);
        // SAFETY: the parts are the caller's.
        let got = receive(fd, 0, || unsafe { real::recvmsg(fd, &mut whole, libc::MSG_DONTWAIT) });
        if got != -1 || errno::get() != libc::ENOTSOCK {
            return got;
        }
        let count = parts.len() as c_int;
        // SAFETY: the same.
        let plain = || unsafe { real::readv(fd, parts.as_ptr(), count) };
        match Kind::of(fd) {
            Kind::NeverBlocks => plain(),
            Kind::Device => match device_ready(fd, Interest::Read) {
                Ok(()) => plain(),
                Err(code) => errno::fail_size(code),
            },
            Kind::Stream => {
                let mut blocked = Blocked::new(fd, Interest::Read);
                loop {
                    // SAFETY: the same; an offset of -1 is the file's own.
                    let mut got =
                        unsafe { libc::preadv2(fd, parts.as_ptr(), count, -1, libc::RWF_NOWAIT) };
                    if got == -1 && is_unsupported() {
                        got = without_blocking(fd, plain).0;
                    }
                    if got != -1 || errno::get() != libc::EAGAIN {
                        break got;
                    }
                    if let Err(code) = blocked.wait() {
                        break errno::fail_size(code);
                    }
                }
            }
        }
    })
}

/// # Safety
/// As writev(2).
unsafe fn write_parts(fd: c_int, parts: &[iovec]) -> ssize_t {
    errno::unless_failed(|| {
        let size = message::length(parts);
        // SAFETY: the parts are the caller's.
        let sent = unsafe { socket::send_parts(fd, &message::of_parts(parts), parts, size, 0) };
        if sent != -1 || errno::get() != libc::ENOTSOCK {
            return sent;
        }
        let plain = |parts: &[iovec]| {
            // SAFETY: the same.
            unsafe { real::writev(fd, parts.as_ptr(), parts.len() as c_int) }
        };
        match Kind::of(fd) {
            Kind::NeverBlocks => plain(parts),
            Kind::Device => match device_ready(fd, Interest::Write) {
                Ok(()) => plain(parts),
                Err(code) => errno::fail_size(code),
            },
            Kind::Stream => {
                let mut blocked = Blocked::new(fd, Interest::Write);
                let mut done = 0;
                let mut rest = None;
                loop {
                    let now: &[iovec] = rest.as_deref().unwrap_or(parts);
                    let count = now.len() as c_int;
                    // SAFETY: the same; an offset of -1 is the file's own.
                    let mut sent =
                        unsafe { libc::pwritev2(fd, now.as_ptr(), count, -1, libc::RWF_NOWAIT) };
                    if sent == -1 && is_unsupported() {
                        sent = without_blocking(fd, || plain(now)).0;
                    }
                    match sent {
                        -1 if errno::get() != libc::EAGAIN => break answer(done),
                        -1 => {}
                        sent => {
                            done += sent as usize;
                            if done >= size || sent == 0 {
                                break done as ssize_t;
                            }
                            rest = Some(message::rest(parts, done));
                        }
                    }
                    if let Err(code) = blocked.wait() {
                        errno::set(code);
                        break answer(done);
                    }
                }
            }
        }
    })
}

/// What is not a socket.
enum Kind {
    /// Files and folders: the kernel takes them for ready whatever they do. Also what is no fd at
    /// all, about which the real function complains.
    NeverBlocks,
    /// Terminals and other character devices. Their flags are left alone: a terminal's are those of
    /// the shell as well.
    Device,
    /// Pipes, FIFOs, and fds that stand for no file: events, timers, signals, inotify.
    Stream,
}

impl Kind {
    fn of(fd: c_int) -> Kind {
        // SAFETY: all-zero bytes are a valid stat.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the status.
        if unsafe { libc::fstat(fd, &mut status) } == -1 {
            return Kind::NeverBlocks;
        }
        match status.st_mode & libc::S_IFMT {
            libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK | libc::S_IFLNK => Kind::NeverBlocks,
            libc::S_IFCHR => Kind::Device,
            _ => Kind::Stream,
        }
    }
}

/// Waits until a device is ready, unless the program does not want to wait.
fn device_ready(fd: c_int, interest: Interest) -> Result<(), c_int> {
    if blocked::is_nonblocking(fd)? {
        return Ok(());
    }
    blocked::ready(fd, interest, Deadline::NEVER).map(drop)
}

/// Whether the kernel, or this kind of file, knows nothing of `RWF_NOWAIT`.
fn is_unsupported() -> bool {
    matches!(errno::get(), libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
}
