//! Lookups of hosts: getaddrinfo(3), getnameinfo(3), gethostbyname(3) and its kin.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::sync::atomic::{AtomicBool, Ordering};

use fastrpc::hook::Guard;
use fastrpc::rt;
use libc::{hostent, size_t, socklen_t};

use crate::common::{in_coroutine, init};
use crate::support::*;

unsafe extern "C" {
    fn gethostbyname(name: *const c_char) -> *mut hostent;
    fn gethostbyname2(name: *const c_char, family: c_int) -> *mut hostent;
    fn gethostbyaddr(address: *const c_void, size: socklen_t, family: c_int) -> *mut hostent;
    fn gethostbyname_r(
        name: *const c_char,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn gethostbyname2_r(
        name: *const c_char,
        family: c_int,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn gethostbyaddr_r(
        address: *const c_void,
        address_size: socklen_t,
        family: c_int,
        entry: *mut hostent,
        buffer: *mut c_char,
        size: size_t,
        result: *mut *mut hostent,
        error: *mut c_int,
    ) -> c_int;
    fn __h_errno_location() -> *mut c_int;
}

#[test]
fn lookups_suspend() {
    init();
    let bare = look_up(c"localhost");
    assert!(bare.starts_with("0 "), "{bare}");
    let lookers: Vec<_> = (0..20)
        .map(|_| {
            rt::spawn(|| {
                let _hooked = Guard::enabled();
                (look_up(c"localhost"), look_up(c"no such host"), by_name(c"localhost"))
            })
            .unwrap()
        })
        .collect();
    let missing = look_up(c"no such host");
    for looker in lookers {
        let (found, none, entry) = looker.join().unwrap();
        assert_eq!((found, none), (bare.clone(), missing.clone()));
        assert_eq!(entry, [127, 0, 0, 1]);
    }
    assert_eq!(look_up(c"127.0.0.1"), hooked(|| look_up(c"127.0.0.1")));
}

fn look_up(host: &CStr) -> String {
    // SAFETY: all-zero bytes are valid hints.
    let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
    hints.ai_socktype = libc::SOCK_STREAM;
    hints.ai_family = libc::AF_INET;
    let mut found = std::ptr::null_mut();
    // SAFETY: C strings, valid hints, a place for the result.
    let code = unsafe { libc::getaddrinfo(host.as_ptr(), c"http".as_ptr(), &hints, &mut found) };
    let mut text = format!("{code} ");
    let mut next = found;
    // SAFETY: the list that was just made.
    while let Some(entry) = unsafe { next.as_ref() } {
        // SAFETY: an address of the family that was asked for.
        let address = unsafe { *entry.ai_addr.cast::<libc::sockaddr_in>() };
        text += &format!("{:x}:{} ", address.sin_addr.s_addr, u16::from_be(address.sin_port));
        next = entry.ai_next;
    }
    if code == 0 {
        // SAFETY: made by getaddrinfo.
        unsafe { libc::freeaddrinfo(found) };
    }
    text
}

fn by_name(host: &CStr) -> [u8; 4] {
    // SAFETY: a C string.
    let entry = unsafe { gethostbyname(host.as_ptr()).as_ref() }.expect("found");
    // SAFETY: an entry with an IPv4 address.
    unsafe { *(*entry.h_addr_list).cast::<[u8; 4]>() }
}

/// Returns `h_errno`, the error of gethostbyname(3) and its kin.
fn h_error() -> c_int {
    // SAFETY: the location is valid as long as the thread runs.
    unsafe { *__h_errno_location() }
}

fn shown(entry: *const hostent) -> String {
    // SAFETY: NULL or an entry that was just made.
    let Some(entry) = (unsafe { entry.as_ref() }) else {
        return format!("none, {}", h_error());
    };
    // SAFETY: an entry has a name, and a list of addresses of its length that ends in NULL.
    unsafe {
        let mut text = format!("{:?} {}", CStr::from_ptr(entry.h_name), entry.h_addrtype);
        let mut next = entry.h_addr_list;
        while !(*next).is_null() {
            let bytes = std::slice::from_raw_parts((*next).cast::<u8>(), entry.h_length as usize);
            text += &format!(" {bytes:?}");
            next = next.add(1);
        }
        text
    }
}

/// Calls a function that fills a buffer of `size` bytes.
fn filled(
    size: usize,
    ask: impl Fn(*mut hostent, *mut c_char, *mut *mut hostent, *mut c_int) -> c_int,
) -> String {
    let mut buffer = vec![0; size];
    // SAFETY: all-zero bytes are a valid entry.
    let mut entry: hostent = unsafe { std::mem::zeroed() };
    let (mut result, mut error) = (std::ptr::null_mut(), 0);
    let code = ask(&mut entry, buffer.as_mut_ptr(), &mut result, &mut error);
    let own = result.is_null() || std::ptr::eq(result, &entry);
    let error = if code == 0 && !result.is_null() { 0 } else { error };
    let found = if result.is_null() { "none".to_owned() } else { shown(result) };
    format!("{code} {error} {own} {found}")
}

#[test]
fn gethostbyname_and_its_kin_agree_with_libc() {
    same("hosts", || {
        let mut seen = Vec::new();
        let localhost = [127u8, 0, 0, 1];
        let address = localhost.as_ptr().cast::<c_void>();
        for name in [c"localhost", c"127.0.0.1", c"::1", c"no such host", c""] {
            let text = name.as_ptr();
            // SAFETY: C strings, here and below.
            seen.push(shown(unsafe { gethostbyname(text) }));
            for family in [libc::AF_INET, libc::AF_INET6, 77] {
                // SAFETY: as above.
                seen.push(shown(unsafe { gethostbyname2(text, family) }));
                // SAFETY: places for the answer, here and below.
                seen.push(filled(4096, |entry, buffer, result, error| unsafe {
                    gethostbyname2_r(text, family, entry, buffer, 4096, result, error)
                }));
            }
            for size in [4096, 8] {
                // SAFETY: as above.
                seen.push(filled(size, |entry, buffer, result, error| unsafe {
                    gethostbyname_r(text, entry, buffer, size, result, error)
                }));
            }
        }
        for (size, family) in [(4, libc::AF_INET), (3, libc::AF_INET), (4, 77)] {
            // SAFETY: four bytes, of which no more are asked for, here and below.
            seen.push(shown(unsafe { gethostbyaddr(address, size, family) }));
            for room in [4096, 8] {
                // SAFETY: as above.
                seen.push(filled(room, |entry, buffer, result, error| unsafe {
                    gethostbyaddr_r(address, size, family, entry, buffer, room, result, error)
                }));
            }
        }
        seen
    });
}

fn name_of(address: &libc::sockaddr_in, size: socklen_t, room: [u32; 2], flags: c_int) -> String {
    let (mut host, mut service) = ([0 as c_char; 256], [0 as c_char; 64]);
    // SAFETY: an address, and places for the texts.
    let code = unsafe {
        let place = (&raw const *address).cast();
        let (h, s) = (host.as_mut_ptr(), service.as_mut_ptr());
        libc::getnameinfo(place, size, h, room[0], s, room[1], flags)
    };
    // SAFETY: texts with a NUL: the last byte is never written.
    let (host, service) =
        unsafe { (CStr::from_ptr(host.as_ptr()), CStr::from_ptr(service.as_ptr())) };
    if code == 0 { format!("{host:?} {service:?}") } else { code.to_string() }
}

#[test]
fn getnameinfo_agrees_with_libc() {
    same("getnameinfo", || {
        let mut address = loopback(80);
        let mut seen = Vec::new();
        for flags in [
            0,
            libc::NI_NUMERICHOST,
            libc::NI_NUMERICSERV,
            libc::NI_NUMERICHOST | libc::NI_NUMERICSERV,
            libc::NI_NAMEREQD,
            libc::NI_DGRAM,
        ] {
            seen.push(name_of(&address, SIZE, [255, 63], flags));
            // Buffers that are too small, or NULL.
            seen.push(name_of(&address, SIZE, [2, 63], flags));
            seen.push(name_of(&address, SIZE, [255, 1], flags));
            seen.push(name_of(&address, SIZE, [0, 0], flags));
            seen.push(name_of(&address, SIZE, [255, 0], flags));
            seen.push(name_of(&address, SIZE, [0, 63], flags));
        }
        seen.push(name_of(&address, 3, [255, 63], 0));
        seen.push(name_of(&address, SIZE, [255, 63], 1 << 30));
        address.sin_family = 77;
        seen.push(name_of(&address, SIZE, [255, 63], 0));
        seen
    });
}

#[test]
fn a_hostent_belongs_to_the_coroutine_until_its_next_call() {
    let (first, second) = in_coroutine(|| {
        let ask = |name: &'static CStr| {
            fastrpc::rt::spawn(move || {
                let _hooked = fastrpc::hook::Guard::enabled();
                // SAFETY: a C string.
                let entry = unsafe { gethostbyname(name.as_ptr()) };
                fastrpc::rt::sleep(std::time::Duration::from_millis(20)).expect("not canceled");
                shown(entry)
            })
            .expect("spawned")
        };
        let (first, second) = (ask(c"127.0.0.1"), ask(c"127.0.0.2"));
        (first.join().expect("ended"), second.join().expect("ended"))
    });
    assert!(
        first.contains("[127, 0, 0, 1]") && second.contains("[127, 0, 0, 2]"),
        "{first} {second}"
    );
}

/// Returns the name and the blocked signals of each thread of this process.
fn threads() -> Vec<(String, u64)> {
    let tasks = std::fs::read_dir("/proc/self/task").expect("listed");
    let status = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("status"));
    tasks
        .filter_map(|task| status(task.ok()?).ok())
        .filter_map(|status| {
            let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
            let blocked = u64::from_str_radix(field("SigBlk:\t")?, 16).ok()?;
            Some((field("Name:\t")?.to_owned(), blocked))
        })
        .collect()
}

fn bits(signals: impl IntoIterator<Item = c_int>) -> u64 {
    signals.into_iter().fold(0, |bits, signal| bits | 1 << (signal - 1))
}

/// Returns the signals that a resolver thread blocks: all but its own faults, and libc's two.
fn resolvers_block() -> u64 {
    let faults =
        [libc::SIGSEGV, libc::SIGBUS, libc::SIGFPE, libc::SIGILL, libc::SIGTRAP, libc::SIGSYS];
    !bits(faults.into_iter().chain([libc::SIGKILL, libc::SIGSTOP, 32, 33]))
}

#[test]
fn resolver_threads_block_signals() {
    hooked(|| {
        // SAFETY: a C string.
        let _ = unsafe { gethostbyname(c"localhost".as_ptr()) };
    });
    let all = threads();
    let resolvers: Vec<_> =
        all.iter().filter(|(name, _)| name.starts_with("fastrpc-dns-")).collect();
    assert!(!resolvers.is_empty(), "{all:x?}");
    for (name, blocked) in resolvers {
        assert_eq!(*blocked, resolvers_block(), "{name} of {all:x?}");
    }
    // Threads that run the program's code take its signals.
    let (caller, worker) = (own_mask(), in_coroutine(own_mask));
    assert_eq!(worker, caller);
    assert_eq!(worker & resolvers_block(), 0);
}

#[test]
fn resolver_threads_of_our_own_calls_block_signals() {
    let found = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let start = std::time::Instant::now();
            while !found.load(Ordering::Relaxed) && start.elapsed().as_secs() < 20 {
                let _ =
                    fastrpc::net::Addr::resolve("no-such-host.invalid:1", crate::common::soon());
            }
            assert!(found.load(Ordering::Relaxed), "no thread was seen that looks up");
        });
        crate::common::eventually("a thread looks up", || {
            let all = threads();
            let resolver = all.iter().find(|(name, _)| name == "fastrpc-dns");
            if let Some((_, blocked)) = resolver {
                found.store(true, Ordering::Relaxed);
                assert_eq!(*blocked, resolvers_block(), "{all:x?}");
            }
            resolver.is_some()
        });
    });
}

fn own_mask() -> u64 {
    let status = std::fs::read_to_string("/proc/thread-self/status").expect("read");
    let blocked = status.lines().find_map(|line| line.strip_prefix("SigBlk:\t"));
    u64::from_str_radix(blocked.expect("told"), 16).expect("a number")
}
