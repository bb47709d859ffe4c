//! Reads and writes of non-sockets: pipes, terminals, eventfds, files.
//
// One system call where all can be read or written at once: then the kind of the fd does not matter.
// Otherwise fstat(2) tells it.

use std::sync::atomic::{AtomicBool, Ordering};

use libc::{c_int, iovec, ssize_t};

use super::iov;
use super::nonblocking::{is_nonblocking, without_blocking};
use super::send;
use super::would_block::WouldBlock;
use crate::hook::{errno, wait};
use crate::rt::{Deadline, Interest};
use crate::sys::real;

/// The fd is a socket, and nothing has been read or written.
#[derive(Debug)]
pub(super) struct IsSocket;

/// Whether `fd` was a non-socket when it was last seen; its number may be another file's by now.
#[inline]
pub(super) fn is_likely(fd: c_int) -> bool {
    LIKELY[fd as usize % LIKELY.len()].load(Ordering::Relaxed)
}

/// Reads into `parts`, waiting as the program expects.
///
/// # Safety
/// As readv(2).
pub(super) unsafe fn read(fd: c_int, parts: &[iovec]) -> Result<ssize_t, IsSocket> {
    let size = iov::total_len(parts);
    // SAFETY: the parts are the caller's, here and below.
    let plain = |parts: &[iovec]| unsafe { real::readv(fd, parts.as_ptr(), parts.len() as c_int) };
    let attempt = |parts: &[iovec]| {
        // SAFETY: the same; the offset -1 stands for the file's own.
        unsafe { libc::preadv2(fd, parts.as_ptr(), parts.len() as c_int, -1, libc::RWF_NOWAIT) }
    };
    let mut got = attempt(parts);
    if got == size as ssize_t {
        return Ok(got);
    }
    match Kind::of(fd) {
        Kind::Socket => {
            forget(fd);
            if got == -1 && (errno::get() == libc::EAGAIN || is_unsupported()) {
                return Err(IsSocket);
            }
        }
        Kind::File if got > 0 => {
            // That much was in the page cache; the rest may be on the disk.
            let rest = plain(&iov::skip(parts, got as usize));
            got += rest.max(0);
        }
        Kind::File => got = plain(parts),
        Kind::Device if got == -1 => {
            got = match device_ready(fd, Interest::Read) {
                Ok(()) => plain(parts),
                Err(code) => errno::fail_size(code),
            }
        }
        Kind::Device => {}
        Kind::Stream => {
            let mut blocked = WouldBlock::new(fd, Interest::Read);
            while got == -1 {
                if is_unsupported() {
                    got = without_blocking(fd, || plain(parts)).0;
                }
                if got != -1 || errno::get() != libc::EAGAIN {
                    break;
                }
                if let Err(code) = blocked.wait() {
                    errno::set(code);
                    break;
                }
                got = attempt(parts);
            }
        }
    }
    Ok(got)
}

/// Writes all of `parts`, waiting as the program expects.
///
/// # Safety
/// As writev(2).
pub(super) unsafe fn write(fd: c_int, parts: &[iovec]) -> Result<ssize_t, IsSocket> {
    let size = iov::total_len(parts);
    // SAFETY: the parts are the caller's, here and below.
    let plain = |parts: &[iovec]| unsafe { real::writev(fd, parts.as_ptr(), parts.len() as c_int) };
    let attempt = |parts: &[iovec]| {
        // SAFETY: the same; the offset -1 stands for the file's own.
        unsafe { libc::pwritev2(fd, parts.as_ptr(), parts.len() as c_int, -1, libc::RWF_NOWAIT) }
    };
    let first = attempt(parts);
    if first == size as ssize_t {
        return Ok(first);
    }
    let sent = match Kind::of(fd) {
        Kind::Socket => {
            forget(fd);
            match first {
                -1 if errno::get() == libc::EAGAIN || is_unsupported() => return Err(IsSocket),
                // After a part an error is for the next call, and so is SIGPIPE.
                1.. => {
                    let rest = iov::skip(parts, first as usize);
                    let (message, left) = (iov::message(&rest), size - first as usize);
                    // SAFETY: the same.
                    let more = unsafe {
                        send::send_message(fd, &message, &rest, left, libc::MSG_NOSIGNAL)
                    };
                    first + more.max(0)
                }
                _ => first,
            }
        }
        Kind::File if first > 0 => {
            let rest = plain(&iov::skip(parts, first as usize));
            first + rest.max(0)
        }
        Kind::File => plain(parts),
        Kind::Device if first == -1 => match device_ready(fd, Interest::Write) {
            Ok(()) => plain(parts),
            Err(code) => errno::fail_size(code),
        },
        Kind::Device => first,
        Kind::Stream => write_stream(fd, parts, size, first, attempt, plain),
    };
    Ok(sent)
}

/// Continues a write whose first attempt returned `first`.
fn write_stream(
    fd: c_int,
    parts: &[iovec],
    size: usize,
    first: ssize_t,
    attempt: impl Fn(&[iovec]) -> ssize_t,
    plain: impl Fn(&[iovec]) -> ssize_t,
) -> ssize_t {
    let mut blocked = WouldBlock::new(fd, Interest::Write);
    let mut done = 0;
    let mut rest = None;
    let mut sent = first;
    loop {
        let now: &[iovec] = rest.as_deref().unwrap_or(parts);
        if sent == -1 && is_unsupported() {
            sent = without_blocking(fd, || plain(now)).0;
        }
        match sent {
            -1 if errno::get() != libc::EAGAIN => return done_or_failed(done),
            -1 => {}
            sent => {
                done += sent as usize;
                if done >= size || sent == 0 {
                    return done as ssize_t;
                }
                rest = Some(iov::skip(parts, done));
            }
        }
        if let Err(code) = blocked.wait() {
            errno::set(code);
            return done_or_failed(done);
        }
        sent = attempt(rest.as_deref().unwrap_or(parts));
    }
}

/// Returns the number of bytes done, or if there are none -1, for the error in errno.
pub(super) fn done_or_failed(done: usize) -> ssize_t {
    if done > 0 { done as ssize_t } else { -1 }
}

/// The kind of an fd, by how it can be waited for.
enum Kind {
    Socket,
    /// Files and directories, which the kernel reports as always ready; also a bad fd, for which the
    /// real function fails.
    File,
    /// Terminals and other character devices. Their flags are not touched: a terminal shares them with
    /// the shell.
    Device,
    /// Pipes, FIFOs and anonymous inodes: eventfd, timerfd, signalfd, inotify.
    Stream,
}

impl Kind {
    /// Preserves errno.
    fn of(fd: c_int) -> Kind {
        // SAFETY: all-zero bytes are a valid stat.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the status.
        if errno::kept(|| unsafe { libc::fstat(fd, &mut status) }) == -1 {
            return Kind::File;
        }
        match status.st_mode & libc::S_IFMT {
            libc::S_IFSOCK => Kind::Socket,
            libc::S_IFREG | libc::S_IFDIR | libc::S_IFBLK | libc::S_IFLNK => Kind::File,
            libc::S_IFCHR => Kind::Device,
            _ => Kind::Stream,
        }
    }
}

/// Waits until a device is ready, unless the program made it non-blocking.
fn device_ready(fd: c_int, interest: Interest) -> Result<(), c_int> {
    if is_nonblocking(fd)? {
        return Ok(());
    }
    wait::ready(fd, interest, Deadline::NEVER).map(drop)
}

/// Whether the kernel, or this kind of file, does not support `RWF_NOWAIT`.
fn is_unsupported() -> bool {
    matches!(errno::get(), libc::EOPNOTSUPP | libc::ENOSYS | libc::EINVAL)
}

/// Remembers that `fd` is a non-socket.
pub(super) fn remember(fd: c_int) {
    LIKELY[fd as usize % LIKELY.len()].store(true, Ordering::Relaxed);
}

fn forget(fd: c_int) {
    LIKELY[fd as usize % LIKELY.len()].store(false, Ordering::Relaxed);
}

/// Non-sockets by fd number, modulo the length: a hint for what to try first, never for the result.
static LIKELY: [AtomicBool; 1024] = [const { AtomicBool::new(false) }; 1024];
