//! System calls in place of libc's functions, for statically linked programs, which have no second
//! `read` for the dynamic linker to find behind ours. (Our names are weak, so that such a program
//! links at all; see cmake/one_object.sh.)
//!
//! What libc does beyond the system call is missing: they are no cancellation points of threads.
//! Hosts are looked up by libc's `getaddrinfo`, which takes precedence over ours there; the older
//! functions fail.

use libc::{
    addrinfo, c_char, c_int, c_long, c_uint, c_void, clockid_t, epoll_event, fd_set, hostent,
    iovec, mmsghdr, msghdr, nfds_t, off_t, pollfd, sigset_t, size_t, sockaddr, socklen_t, ssize_t,
    timespec, timeval,
};

pub(super) use super::raw_lock::*;
pub(super) use super::raw_rwlock::*;

/// The size of the kernel's signal sets, which are shorter than libc's.
const SIGNAL_SET: usize = 8;

/// A system call with the contract of the function around it.
macro_rules! call {
    ($number:ident $(, $arg:expr)*) => {
        // SAFETY: the caller keeps to the man page, which is the kernel's contract too.
        unsafe { libc::syscall(libc::$number $(, $arg)*) } as _
    };
}

pub(super) unsafe extern "C" fn read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t {
    call!(SYS_read, fd, buffer, size)
}

pub(super) unsafe extern "C" fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    call!(SYS_readv, fd, parts, count)
}

pub(super) unsafe extern "C" fn __read_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
) -> ssize_t {
    check_room(size, room);
    call!(SYS_read, fd, buffer, size)
}

pub(super) unsafe extern "C" fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t {
    call!(SYS_write, fd, buffer, size)
}

pub(super) unsafe extern "C" fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t {
    call!(SYS_writev, fd, parts, count)
}

pub(super) unsafe extern "C" fn sendfile(
    to: c_int,
    from: c_int,
    offset: *mut off_t,
    size: size_t,
) -> ssize_t {
    call!(SYS_sendfile, to, from, offset, size)
}

pub(super) unsafe extern "C" fn connect(
    fd: c_int,
    address: *const sockaddr,
    size: socklen_t,
) -> c_int {
    call!(SYS_connect, fd, address, size)
}

pub(super) unsafe extern "C" fn accept(
    fd: c_int,
    address: *mut sockaddr,
    size: *mut socklen_t,
) -> c_int {
    call!(SYS_accept4, fd, address, size, 0)
}

pub(super) unsafe extern "C" fn accept4(
    fd: c_int,
    address: *mut sockaddr,
    size: *mut socklen_t,
    flags: c_int,
) -> c_int {
    call!(SYS_accept4, fd, address, size, flags)
}

pub(super) unsafe extern "C" fn recv(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    flags: c_int,
) -> ssize_t {
    let none = std::ptr::null_mut::<c_void>();
    call!(SYS_recvfrom, fd, buffer, size, flags, none, none)
}

pub(super) unsafe extern "C" fn __recv_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
    flags: c_int,
) -> ssize_t {
    check_room(size, room);
    // SAFETY: the same contract.
    unsafe { recv(fd, buffer, size, flags) }
}

pub(super) unsafe extern "C" fn recvfrom(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_size: *mut socklen_t,
) -> ssize_t {
    call!(SYS_recvfrom, fd, buffer, size, flags, address, address_size)
}

pub(super) unsafe extern "C" fn __recvfrom_chk(
    fd: c_int,
    buffer: *mut c_void,
    size: size_t,
    room: size_t,
    flags: c_int,
    address: *mut sockaddr,
    address_size: *mut socklen_t,
) -> ssize_t {
    check_room(size, room);
    call!(SYS_recvfrom, fd, buffer, size, flags, address, address_size)
}

pub(super) unsafe extern "C" fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t {
    call!(SYS_recvmsg, fd, message, flags)
}

pub(super) unsafe extern "C" fn recvmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
    timeout: *mut timespec,
) -> c_int {
    call!(SYS_recvmmsg, fd, messages, count, flags, timeout)
}

pub(super) unsafe extern "C" fn send(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    flags: c_int,
) -> ssize_t {
    call!(SYS_sendto, fd, buffer, size, flags, std::ptr::null::<c_void>(), 0)
}

pub(super) unsafe extern "C" fn sendto(
    fd: c_int,
    buffer: *const c_void,
    size: size_t,
    flags: c_int,
    address: *const sockaddr,
    address_size: socklen_t,
) -> ssize_t {
    call!(SYS_sendto, fd, buffer, size, flags, address, address_size)
}

pub(super) unsafe extern "C" fn sendmsg(
    fd: c_int,
    message: *const msghdr,
    flags: c_int,
) -> ssize_t {
    call!(SYS_sendmsg, fd, message, flags)
}

pub(super) unsafe extern "C" fn sendmmsg(
    fd: c_int,
    messages: *mut mmsghdr,
    count: c_uint,
    flags: c_int,
) -> c_int {
    call!(SYS_sendmmsg, fd, messages, count, flags)
}

pub(super) unsafe extern "C" fn close(fd: c_int) -> c_int {
    call!(SYS_close, fd)
}

pub(super) unsafe extern "C" fn dup2(old: c_int, new: c_int) -> c_int {
    if old == new {
        // An error to dup3(2); dup2(2) returns the fd, if it is open.
        let flags: c_int = call!(SYS_fcntl, old, libc::F_GETFD);
        return if flags == -1 { -1 } else { new };
    }
    call!(SYS_dup3, old, new, 0)
}

pub(super) unsafe extern "C" fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int {
    call!(SYS_dup3, old, new, flags)
}

pub(super) unsafe extern "C" fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int {
    let mut time = timespec {
        tv_sec: (timeout / 1000).into(),
        tv_nsec: c_long::from(timeout % 1000) * 1_000_000,
    };
    let time = if timeout < 0 { std::ptr::null_mut() } else { &raw mut time };
    call!(SYS_ppoll, fds, count, time, std::ptr::null::<c_void>(), SIGNAL_SET)
}

pub(super) unsafe extern "C" fn __poll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: c_int,
    room: size_t,
) -> c_int {
    check_room(count as size_t, room / size_of::<pollfd>());
    // SAFETY: the same contract.
    unsafe { poll(fds, count, timeout) }
}

pub(super) unsafe extern "C" fn ppoll(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // The kernel stores the time that is left, which libc promises not to do.
    // SAFETY: NULL or valid, by the same contract.
    let mut time = unsafe { timeout.as_ref() }.copied();
    let time = time.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    call!(SYS_ppoll, fds, count, time, mask, SIGNAL_SET)
}

pub(super) unsafe extern "C" fn __ppoll_chk(
    fds: *mut pollfd,
    count: nfds_t,
    timeout: *const timespec,
    mask: *const sigset_t,
    room: size_t,
) -> c_int {
    check_room(count as size_t, room / size_of::<pollfd>());
    // SAFETY: the same contract.
    unsafe { ppoll(fds, count, timeout, mask) }
}

pub(super) unsafe extern "C" fn select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    // SAFETY: NULL or valid, by select(2).
    let wanted = unsafe { timeout.as_ref() };
    if wanted.is_some_and(|time| time.tv_sec < 0 || time.tv_usec < 0) {
        // SAFETY: the location is valid as long as the thread runs.
        unsafe { *libc::__errno_location() = libc::EINVAL };
        return -1;
    }
    let mut time = wanted.map(|time| timespec {
        tv_sec: time.tv_sec + time.tv_usec / 1_000_000,
        tv_nsec: time.tv_usec % 1_000_000 * 1000,
    });
    let rest = time.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    let none = std::ptr::null::<c_void>();
    let found = call!(SYS_pselect6, count, read, write, except, rest, none);
    if let Some(time) = time {
        let left = timeval { tv_sec: time.tv_sec, tv_usec: time.tv_nsec / 1000 };
        // SAFETY: the caller's time-out, which select(2) changes on Linux.
        unsafe { *timeout = left };
    }
    found
}

pub(super) unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: NULL or valid, by the same contract.
    let mut time = unsafe { timeout.as_ref() }.copied();
    let time = time.as_mut().map_or(std::ptr::null_mut(), std::ptr::from_mut);
    // The kernel takes the mask and its size by a pointer to both.
    let mask = (mask, SIGNAL_SET);
    call!(SYS_pselect6, count, read, write, except, time, &raw const mask)
}

pub(super) unsafe extern "C" fn epoll_wait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
) -> c_int {
    let none = std::ptr::null::<c_void>();
    call!(SYS_epoll_pwait, epoll, events, count, timeout, none, SIGNAL_SET)
}

pub(super) unsafe extern "C" fn epoll_pwait(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: c_int,
    mask: *const sigset_t,
) -> c_int {
    call!(SYS_epoll_pwait, epoll, events, count, timeout, mask, SIGNAL_SET)
}

pub(super) unsafe extern "C" fn epoll_pwait2(
    epoll: c_int,
    events: *mut epoll_event,
    count: c_int,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    call!(SYS_epoll_pwait2, epoll, events, count, timeout, mask, SIGNAL_SET)
}

pub(super) unsafe extern "C" fn sleep(seconds: c_uint) -> c_uint {
    let wanted = timespec { tv_sec: seconds.into(), tv_nsec: 0 };
    let mut rest = timespec { tv_sec: 0, tv_nsec: 0 };
    match call!(SYS_nanosleep, &raw const wanted, &raw mut rest) {
        0 => 0,
        -1_i64 => rest.tv_sec as c_uint,
        _ => unreachable!("nanosleep(2) returns nothing else"),
    }
}

pub(super) unsafe extern "C" fn usleep(microseconds: c_uint) -> c_int {
    let wanted = timespec {
        tv_sec: (microseconds / 1_000_000).into(),
        tv_nsec: c_long::from(microseconds % 1_000_000) * 1000,
    };
    call!(SYS_nanosleep, &raw const wanted, std::ptr::null_mut::<timespec>())
}

pub(super) unsafe extern "C" fn nanosleep(wanted: *const timespec, rest: *mut timespec) -> c_int {
    call!(SYS_nanosleep, wanted, rest)
}

pub(super) unsafe extern "C" fn clock_nanosleep(
    clock: clockid_t,
    flags: c_int,
    wanted: *const timespec,
    rest: *mut timespec,
) -> c_int {
    // It returns its error, and leaves errno alone.
    // SAFETY: the location is valid as long as the thread runs.
    let place = unsafe { libc::__errno_location() };
    // SAFETY: as above.
    let before = unsafe { *place };
    match call!(SYS_clock_nanosleep, clock, flags, wanted, rest) {
        0 => 0,
        // SAFETY: as above.
        -1_i64 => unsafe { std::mem::replace(&mut *place, before) },
        _ => unreachable!("clock_nanosleep(2) returns nothing else"),
    }
}

pub(super) unsafe extern "C" fn getaddrinfo(
    _host: *const c_char,
    _service: *const c_char,
    _hints: *const addrinfo,
    _result: *mut *mut addrinfo,
) -> c_int {
    libc::EAI_FAIL
}

pub(super) unsafe extern "C" fn getnameinfo(
    _address: *const sockaddr,
    _size: socklen_t,
    _host: *mut c_char,
    _host_size: socklen_t,
    _service: *mut c_char,
    _service_size: socklen_t,
    _flags: c_int,
) -> c_int {
    libc::EAI_FAIL
}

pub(super) unsafe extern "C" fn gethostbyname(_name: *const c_char) -> *mut hostent {
    no_host()
}

pub(super) unsafe extern "C" fn gethostbyname2(
    _name: *const c_char,
    _family: c_int,
) -> *mut hostent {
    no_host()
}

pub(super) unsafe extern "C" fn gethostbyaddr(
    _address: *const c_void,
    _size: socklen_t,
    _family: c_int,
) -> *mut hostent {
    no_host()
}

pub(super) unsafe extern "C" fn gethostbyname_r(
    _name: *const c_char,
    _entry: *mut hostent,
    _buffer: *mut c_char,
    _size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's out-pointers.
    unsafe { no_host_r(result, error) }
}

pub(super) unsafe extern "C" fn gethostbyname2_r(
    _name: *const c_char,
    _family: c_int,
    _entry: *mut hostent,
    _buffer: *mut c_char,
    _size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's out-pointers.
    unsafe { no_host_r(result, error) }
}

pub(super) unsafe extern "C" fn gethostbyaddr_r(
    _address: *const c_void,
    _address_size: socklen_t,
    _family: c_int,
    _entry: *mut hostent,
    _buffer: *mut c_char,
    _size: size_t,
    result: *mut *mut hostent,
    error: *mut c_int,
) -> c_int {
    // SAFETY: the caller's out-pointers.
    unsafe { no_host_r(result, error) }
}

fn no_host() -> *mut hostent {
    // SAFETY: the location is valid as long as the thread runs.
    unsafe { *super::real::h_errno() = NO_RECOVERY };
    std::ptr::null_mut()
}

/// # Safety
/// Two valid out-pointers.
unsafe fn no_host_r(result: *mut *mut hostent, error: *mut c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { (*result, *error) = (std::ptr::null_mut(), NO_RECOVERY) };
    libc::ENOSYS
}

/// Aborts on an overflow, as `_FORTIFY_SOURCE` demands.
fn check_room(size: size_t, room: size_t) {
    if size > room {
        super::real::die(&[
            "fastrpc: buffer overflow detected: a hooked call was given a buffer smaller than its size\n",
        ]);
    }
}

/// From netdb.h, for `h_errno`.
const NO_RECOVERY: c_int = 3;
