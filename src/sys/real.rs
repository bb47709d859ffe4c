//! libc's own functions, under the names that `crate::hook` defines.
//!
//! A constructor resolves their addresses by `dlsym(RTLD_NEXT)` when this code is loaded; calls before
//! that resolve them lazily. So a call from inside `malloc`, from a signal handler or in a forked child
//! finds the address and takes no lock.

use std::sync::atomic::{AtomicPtr, Ordering};

use libc::{
    addrinfo, c_char, c_int, c_uint, c_void, clockid_t, epoll_event, fd_set, hostent, iovec,
    mmsghdr, msghdr, nfds_t, off_t, pollfd, pthread_cond_t, pthread_mutex_t, pthread_rwlock_t,
    sem_t, sigset_t, size_t, sockaddr, socklen_t, ssize_t, timespec, timeval,
};

macro_rules! real {
    ($(fn $name:ident($($arg:ident: $type:ty),* $(,)?) -> $result:ty;)*) => {
        $(
            /// libc's function of this name; its man page is the contract.
            #[allow(clippy::too_many_arguments, reason = "libc decides")]
            #[inline]
            pub(crate) unsafe fn $name($($arg: $type),*) -> $result {
                let address = address(Index::$name as usize);
                // SAFETY: libc's symbol of this name is a function of this type.
                let function = unsafe {
                    std::mem::transmute::<
                        *mut c_void,
                        unsafe extern "C" fn($($type),*) -> $result,
                    >(address)
                };
                // SAFETY: the caller keeps to the man page.
                unsafe { function($($arg),*) }
            }
        )*

        #[allow(non_camel_case_types, reason = "these are the names of the functions")]
        #[derive(Clone, Copy)]
        enum Index { $($name),* }

        /// The names with their terminating NUL, in the order of `Index`.
        const NAMES: &[&str] = &[$(concat!(stringify!($name), "\0")),*];

        /// The replacement of each, where there is no other function of its name.
        const RAW: &[fn() -> *mut c_void] = &[$(|| {
            super::raw::$name as unsafe extern "C" fn($($type),*) -> $result as *mut c_void
        }),*];

        static ADDRESSES: [AtomicPtr<c_void>; NAMES.len()] =
            [const { AtomicPtr::new(std::ptr::null_mut()) }; NAMES.len()];

        /// libc, with the functions above instead of the hooks of the same names.
        pub(crate) mod c {
            #[allow(unused_imports, reason = "which of them are used depends on the features")]
            pub(crate) use libc::*;

            #[allow(unused_imports, reason = "some are for hooks alone")]
            pub(crate) use super::{$($name),*};
        }
    };
}

real! {
    fn read(fd: c_int, buffer: *mut c_void, size: size_t) -> ssize_t;
    fn readv(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    fn __read_chk(fd: c_int, buffer: *mut c_void, size: size_t, room: size_t) -> ssize_t;
    fn write(fd: c_int, buffer: *const c_void, size: size_t) -> ssize_t;
    fn writev(fd: c_int, parts: *const iovec, count: c_int) -> ssize_t;
    fn sendfile(to: c_int, from: c_int, offset: *mut off_t, size: size_t) -> ssize_t;

    fn connect(fd: c_int, address: *const sockaddr, size: socklen_t) -> c_int;
    fn accept(fd: c_int, address: *mut sockaddr, size: *mut socklen_t) -> c_int;
    fn accept4(fd: c_int, address: *mut sockaddr, size: *mut socklen_t, flags: c_int) -> c_int;
    fn recv(fd: c_int, buffer: *mut c_void, size: size_t, flags: c_int) -> ssize_t;
    fn __recv_chk(
        fd: c_int, buffer: *mut c_void, size: size_t, room: size_t, flags: c_int,
    ) -> ssize_t;
    fn recvfrom(
        fd: c_int, buffer: *mut c_void, size: size_t, flags: c_int,
        address: *mut sockaddr, address_size: *mut socklen_t,
    ) -> ssize_t;
    fn __recvfrom_chk(
        fd: c_int, buffer: *mut c_void, size: size_t, room: size_t, flags: c_int,
        address: *mut sockaddr, address_size: *mut socklen_t,
    ) -> ssize_t;
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t;
    fn recvmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec,
    ) -> c_int;
    fn send(fd: c_int, buffer: *const c_void, size: size_t, flags: c_int) -> ssize_t;
    fn sendto(
        fd: c_int, buffer: *const c_void, size: size_t, flags: c_int,
        address: *const sockaddr, address_size: socklen_t,
    ) -> ssize_t;
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t;
    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int;

    fn close(fd: c_int) -> c_int;
    fn dup2(old: c_int, new: c_int) -> c_int;
    fn dup3(old: c_int, new: c_int, flags: c_int) -> c_int;

    fn poll(fds: *mut pollfd, count: nfds_t, timeout: c_int) -> c_int;
    fn __poll_chk(fds: *mut pollfd, count: nfds_t, timeout: c_int, room: size_t) -> c_int;
    fn ppoll(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int;
    fn __ppoll_chk(
        fds: *mut pollfd, count: nfds_t, timeout: *const timespec, mask: *const sigset_t,
        room: size_t,
    ) -> c_int;
    fn select(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *mut timeval,
    ) -> c_int;
    fn pselect(
        count: c_int, read: *mut fd_set, write: *mut fd_set, except: *mut fd_set,
        timeout: *const timespec, mask: *const sigset_t,
    ) -> c_int;
    fn epoll_wait(epoll: c_int, events: *mut epoll_event, count: c_int, timeout: c_int) -> c_int;
    fn epoll_pwait(
        epoll: c_int, events: *mut epoll_event, count: c_int, timeout: c_int,
        mask: *const sigset_t,
    ) -> c_int;
    fn epoll_pwait2(
        epoll: c_int, events: *mut epoll_event, count: c_int, timeout: *const timespec,
        mask: *const sigset_t,
    ) -> c_int;

    fn sleep(seconds: c_uint) -> c_uint;
    fn usleep(microseconds: c_uint) -> c_int;
    fn nanosleep(wanted: *const timespec, rest: *mut timespec) -> c_int;
    fn clock_nanosleep(
        clock: clockid_t, flags: c_int, wanted: *const timespec, rest: *mut timespec,
    ) -> c_int;

    fn sem_wait(semaphore: *mut sem_t) -> c_int;
    fn sem_timedwait(semaphore: *mut sem_t, time: *const timespec) -> c_int;
    fn sem_clockwait(semaphore: *mut sem_t, clock: clockid_t, time: *const timespec) -> c_int;
    fn sem_post(semaphore: *mut sem_t) -> c_int;

    fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int;
    fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int;
    fn pthread_mutex_timedlock(mutex: *mut pthread_mutex_t, time: *const timespec) -> c_int;
    fn pthread_mutex_clocklock(
        mutex: *mut pthread_mutex_t, clock: clockid_t, time: *const timespec,
    ) -> c_int;
    fn pthread_mutex_unlock(mutex: *mut pthread_mutex_t) -> c_int;

    fn pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int;
    fn pthread_rwlock_tryrdlock(lock: *mut pthread_rwlock_t) -> c_int;
    fn pthread_rwlock_timedrdlock(lock: *mut pthread_rwlock_t, time: *const timespec) -> c_int;
    fn pthread_rwlock_clockrdlock(
        lock: *mut pthread_rwlock_t, clock: clockid_t, time: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int;
    fn pthread_rwlock_trywrlock(lock: *mut pthread_rwlock_t) -> c_int;
    fn pthread_rwlock_timedwrlock(lock: *mut pthread_rwlock_t, time: *const timespec) -> c_int;
    fn pthread_rwlock_clockwrlock(
        lock: *mut pthread_rwlock_t, clock: clockid_t, time: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int;

    fn pthread_cond_wait(cond: *mut pthread_cond_t, mutex: *mut pthread_mutex_t) -> c_int;
    fn pthread_cond_timedwait(
        cond: *mut pthread_cond_t, mutex: *mut pthread_mutex_t, time: *const timespec,
    ) -> c_int;
    fn pthread_cond_clockwait(
        cond: *mut pthread_cond_t, mutex: *mut pthread_mutex_t, clock: clockid_t,
        time: *const timespec,
    ) -> c_int;
    fn pthread_cond_signal(cond: *mut pthread_cond_t) -> c_int;
    fn pthread_cond_broadcast(cond: *mut pthread_cond_t) -> c_int;

    fn getaddrinfo(
        host: *const c_char, service: *const c_char, hints: *const addrinfo,
        result: *mut *mut addrinfo,
    ) -> c_int;
    fn getnameinfo(
        address: *const sockaddr, size: socklen_t, host: *mut c_char, host_size: socklen_t,
        service: *mut c_char, service_size: socklen_t, flags: c_int,
    ) -> c_int;
    fn gethostbyname(name: *const c_char) -> *mut hostent;
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent;
    fn gethostbyaddr(address: *const c_void, size: socklen_t, family: c_int) -> *mut hostent;
    fn gethostbyname_r(
        name: *const c_char, entry: *mut hostent, buffer: *mut c_char, size: size_t,
        result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int;
    fn gethostbyname2_r(
        name: *const c_char, family: c_int, entry: *mut hostent, buffer: *mut c_char,
        size: size_t, result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int;
    fn gethostbyaddr_r(
        address: *const c_void, address_size: socklen_t, family: c_int, entry: *mut hostent,
        buffer: *mut c_char, size: size_t, result: *mut *mut hostent, error: *mut c_int,
    ) -> c_int;
}

/// Returns the address of the calling thread's `h_errno` (netdb.h), valid as long as the thread runs.
pub(crate) fn h_errno() -> *mut c_int {
    unsafe extern "C" {
        fn __h_errno_location() -> *mut c_int;
    }
    // SAFETY: takes no arguments.
    unsafe { __h_errno_location() }
}

#[inline]
fn address(index: usize) -> *mut c_void {
    let known = ADDRESSES[index].load(Ordering::Relaxed);
    if known.is_null() { resolve(index) } else { known }
}

#[cold]
fn resolve(index: usize) -> *mut c_void {
    let name = NAMES[index].as_ptr().cast::<c_char>();
    let mut next = std::ptr::null_mut();
    if cfg!(target_arch = "x86_64") && NAMES[index].starts_with("pthread_cond_") {
        // There are two versions, and some releases of glibc return the old one.
        let version = c"GLIBC_2.3.2".as_ptr();
        // SAFETY: C strings: NAMES have a NUL at their end.
        next = unsafe { libc::dlvsym(libc::RTLD_NEXT, name, version) };
    }
    if next.is_null() {
        // dlsym(3) does not allocate when it finds the name: the caller may be the allocator.
        // SAFETY: as above.
        next = unsafe { libc::dlsym(libc::RTLD_NEXT, name) };
    }
    let address = if next.is_null() { RAW[index]() } else { next };
    ADDRESSES[index].store(address, Ordering::Relaxed);
    address
}

/// Writes to standard error, by no function that may be hooked, and aborts.
pub(super) fn die(text: &[&str]) -> ! {
    for part in text {
        // SAFETY: the bytes of a live string.
        unsafe { libc::syscall(libc::SYS_write, 2, part.as_ptr(), part.len()) };
    }
    // SAFETY: ends the process.
    unsafe { libc::abort() }
}

extern "C" fn resolve_all() {
    for index in 0..NAMES.len() {
        address(index);
    }
}

/// Runs when the program or the library is loaded.
#[used]
#[unsafe(link_section = ".init_array")]
static AT_LOAD: extern "C" fn() = resolve_all;

/// Keeps the linker from dropping `AT_LOAD`; true once it has run.
pub(crate) fn is_resolved() -> bool {
    std::hint::black_box(&raw const AT_LOAD);
    ADDRESSES.iter().all(|address| !address.load(Ordering::Relaxed).is_null())
}
