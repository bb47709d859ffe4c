//! Sockets as C programs have them, and running the same steps in a plain thread and in a hooked
//! coroutine.

#![allow(dead_code, reason = "no test program uses all of it")]

use std::os::fd::RawFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use fastrpc::hook::Guard;
use fastrpc::rt;
use libc::{c_int, c_void};

/// Runs `f` in a coroutine with hooks on.
pub fn hooked<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    crate::common::in_coroutine(move || {
        let _hooked = Guard::enabled();
        f()
    })
}

/// Runs `f` in a plain thread and in a hooked coroutine, and compares what it saw.
pub fn same(what: &str, f: impl Fn() -> Vec<String> + Clone + Send + 'static) {
    let g = f.clone();
    let bare_steps = std::thread::spawn(g).join().expect("no panic in the thread");
    let hooked = hooked(f);
    for (step, (bare, hooked)) in bare_steps.iter().zip(&hooked).enumerate() {
        assert_eq!(
            bare,
            hooked,
            "{what}, step {step}: a plain thread, and a hooked coroutine, after {:#?}",
            &bare_steps[step.saturating_sub(20)..step]
        );
    }
    assert_eq!(bare_steps.len(), hooked.len(), "{what}");
}

/// Returns a result as text: the number, or the error.
pub fn outcome(result: impl Into<i64>) -> String {
    match result.into() {
        -1 => std::io::Error::last_os_error().to_string(),
        result => result.to_string(),
    }
}

pub fn errno() -> c_int {
    std::io::Error::last_os_error().raw_os_error().unwrap_or(0)
}

pub fn pair(kind: c_int) -> [RawFd; 2] {
    let mut fds = [0; 2];
    // SAFETY: a place for two fds.
    let made = unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) };
    assert_eq!(made, 0);
    fds
}

pub fn pipe() -> [RawFd; 2] {
    let mut fds = [0; 2];
    // SAFETY: a place for two fds.
    assert_eq!(unsafe { libc::pipe(fds.as_mut_ptr()) }, 0);
    fds
}

/// Returns a TCP or UDP socket bound to a free port of 127.0.0.1, and its address.
pub fn inet(kind: c_int) -> (RawFd, libc::sockaddr_in) {
    // SAFETY: makes a socket.
    let fd = unsafe { libc::socket(libc::AF_INET, kind, 0) };
    assert!(fd >= 0);
    let mut address = loopback(0);
    let mut size = SIZE;
    // SAFETY: a valid address.
    assert_eq!(unsafe { libc::bind(fd, (&raw const address).cast(), SIZE) }, 0);
    // SAFETY: a place for an address.
    unsafe { libc::getsockname(fd, (&raw mut address).cast(), &mut size) };
    (fd, address)
}

pub fn loopback(port: u16) -> libc::sockaddr_in {
    // SAFETY: all-zero bytes are a valid address.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = port.to_be();
    address.sin_addr.s_addr = u32::from_be_bytes([127, 0, 0, 1]).to_be();
    address
}

pub fn tcp() -> RawFd {
    // SAFETY: makes a socket.
    unsafe { libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0) }
}

pub fn accept(listener: RawFd) -> c_int {
    // SAFETY: asks for no address.
    unsafe { libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut()) }
}

pub fn shutdown(fd: RawFd, how: c_int) -> c_int {
    // SAFETY: takes any numbers.
    unsafe { libc::shutdown(fd, how) }
}

pub fn connect(fd: RawFd, address: &libc::sockaddr_in) -> c_int {
    // SAFETY: a valid address.
    unsafe { libc::connect(fd, (&raw const *address).cast(), SIZE) }
}

/// Returns two connected TCP sockets.
pub fn tcp_pair() -> [RawFd; 2] {
    let (listener, address) = inet(libc::SOCK_STREAM);
    // SAFETY: sockets of our own, here and below.
    assert_eq!(unsafe { libc::listen(listener, 1) }, 0);
    let client = tcp();
    assert_eq!(connect(client, &address), 0);
    let server = accept(listener);
    assert!(server >= 0);
    close(listener);
    [client, server]
}

/// Returns two connected UDP sockets.
pub fn udp_pair() -> [RawFd; 2] {
    let ((a, at_a), (b, at_b)) = (inet(libc::SOCK_DGRAM), inet(libc::SOCK_DGRAM));
    assert_eq!(connect(a, &at_b), 0);
    assert_eq!(connect(b, &at_a), 0);
    [a, b]
}

pub fn read(fd: RawFd, buffer: &mut [u8]) -> isize {
    // SAFETY: writable for its length.
    unsafe { libc::read(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len()) }
}

pub fn write(fd: RawFd, bytes: &[u8]) -> isize {
    // SAFETY: readable for its length.
    unsafe { libc::write(fd, bytes.as_ptr().cast::<c_void>(), bytes.len()) }
}

pub fn recv(fd: RawFd, buffer: &mut [u8], flags: c_int) -> isize {
    // SAFETY: writable for its length.
    unsafe { libc::recv(fd, buffer.as_mut_ptr().cast::<c_void>(), buffer.len(), flags) }
}

/// Sends without SIGPIPE.
pub fn send(fd: RawFd, bytes: &[u8], flags: c_int) -> isize {
    let flags = flags | libc::MSG_NOSIGNAL;
    // SAFETY: readable for its length.
    unsafe { libc::send(fd, bytes.as_ptr().cast::<c_void>(), bytes.len(), flags) }
}

pub fn close(fd: RawFd) -> c_int {
    // SAFETY: takes any number.
    unsafe { libc::close(fd) }
}

pub fn close_all(fds: impl IntoIterator<Item = RawFd>) {
    fds.into_iter().for_each(|fd| assert_eq!(close(fd), 0));
}

pub fn flags(fd: RawFd) -> c_int {
    // SAFETY: asks for the flags.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

pub fn set_nonblocking(fd: RawFd, on: bool) {
    let now = flags(fd) & !libc::O_NONBLOCK;
    // SAFETY: sets flags of an fd of our own.
    unsafe { libc::fcntl(fd, libc::F_SETFL, now | if on { libc::O_NONBLOCK } else { 0 }) };
}

/// Sets `SO_RCVTIMEO` or `SO_SNDTIMEO`.
pub fn set_timeout(fd: RawFd, option: c_int, millis: i64) {
    let value = libc::timeval { tv_sec: millis / 1000, tv_usec: millis % 1000 * 1000 };
    let size = size_of_val(&value) as libc::socklen_t;
    // SAFETY: a valid timeval.
    unsafe { libc::setsockopt(fd, libc::SOL_SOCKET, option, (&raw const value).cast(), size) };
}

/// A coroutine that ticks every 10 ms on the same worker: it proves that others suspend and do not
/// block.
pub struct Ticker {
    ticks: Arc<AtomicUsize>,
    stop: Arc<AtomicBool>,
}

impl Ticker {
    pub fn start() -> Ticker {
        crate::common::init();
        let ticker = Ticker { ticks: Arc::default(), stop: Arc::default() };
        let (ticks, stop) = (ticker.ticks.clone(), ticker.stop.clone());
        let ticking = move || {
            while !stop.load(Ordering::Relaxed) {
                rt::sleep(Duration::from_millis(10)).unwrap();
                ticks.fetch_add(1, Ordering::Relaxed);
            }
        };
        rt::spawn(ticking).unwrap();
        ticker
    }

    pub fn ticks(&self) -> usize {
        self.ticks.load(Ordering::Relaxed)
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
    }
}

/// Runs `f`, which waits for what `peer` does, in a hooked coroutine. The peer is called in a
/// thread once another coroutine has run while `f` waited.
pub fn suspends<T: Send + 'static>(
    what: &str,
    peer: impl FnOnce() + Send + 'static,
    f: impl FnOnce() -> T + Send + 'static,
) -> T {
    let ticker = Ticker::start();
    let begun = Arc::new(AtomicUsize::new(usize::MAX));
    let (ticks, at) = (ticker.ticks.clone(), begun.clone());
    let peer = std::thread::spawn(move || {
        let start = Instant::now();
        while ticks.load(Ordering::Relaxed) <= at.load(Ordering::Relaxed)
            && start.elapsed() < Duration::from_secs(10)
        {
            std::thread::sleep(Duration::from_millis(1));
        }
        peer();
    });
    let ticks = ticker.ticks.clone();
    let (result, ticked) = hooked(move || {
        let before = ticks.load(Ordering::Relaxed);
        begun.store(before, Ordering::Relaxed);
        let result = f();
        (result, ticks.load(Ordering::Relaxed) - before)
    });
    peer.join().expect("no panic in the peer");
    assert!(ticked > 0, "{what}: no other coroutine ran meanwhile");
    result
}

/// Calls `f` in a thread after 60 ms.
pub fn later(f: impl FnOnce() + Send + 'static) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(60));
        f();
    })
}

pub fn elapsed<T>(f: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    let result = f();
    (result, start.elapsed())
}

pub const SIZE: libc::socklen_t = size_of::<libc::sockaddr_in>() as libc::socklen_t;
