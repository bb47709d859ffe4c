//! Waits on the program's fds: any number of fds, by any number of waiters.
//!
//! Each wait arms its fd anew (level-triggered, one-shot), in an epoll set of its own beside that of
//! our sources, so that no stale state is left, whatever the owner does with the fd between two waits.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::poller::{Poller, epoll_create};
use crate::rt::Current;
use crate::rt::fork;
use crate::rt::park::inbox::{self, Message};
use crate::rt::park::observer::Blocking;
use crate::rt::park::wait::{WaitError, Waiter, Waker};
use crate::rt::time::{self, Deadline};
use crate::rt::worker::Worker;
use crate::sys::syscall;

/// The readiness that a wait on an fd is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Readable: data, the end of the stream, or a connection to accept.
    Read,
    /// Writable: room in the buffer, or the end of a connect.
    Write,
    /// Readable or writable.
    Both,
}

impl Interest {
    fn events(self) -> libc::c_short {
        match self {
            Interest::Read => libc::POLLIN | libc::POLLRDHUP,
            Interest::Write => libc::POLLOUT,
            Interest::Both => libc::POLLIN | libc::POLLRDHUP | libc::POLLOUT,
        }
    }
}

/// Waits until `fd` is ready and returns its `POLL*` bits, as of poll(2).
///
/// Suspends a coroutine and blocks a plain thread. Several may wait on one fd at once.
///
/// # Errors
/// `ETIMEDOUT`, `ECANCELED`; `EBADF` for an fd that is not open or was passed to [`notify_close`]
/// meanwhile.
pub fn wait_fd(fd: RawFd, interest: Interest, deadline: Deadline) -> io::Result<libc::c_short> {
    if fd < 0 {
        // poll(2) would skip it, and the wait might never end.
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    if fork::is_forked() {
        return Err(fork::forked_error());
    }
    if !crate::rt::is_coroutine() {
        return wait_in_thread(fd, interest, deadline);
    }
    match poll_now(fd, interest)? {
        0 if deadline.has_passed() => Err(WaitError::TimedOut.into()),
        0 => wait_unready(fd, interest, deadline),
        bits => Ok(bits),
    }
}

/// Waits like [`wait_fd`], in a coroutine that has just seen that `fd` is not ready: saves the first
/// poll(2).
pub(crate) fn wait_unready(
    fd: RawFd,
    interest: Interest,
    deadline: Deadline,
) -> io::Result<libc::c_short> {
    loop {
        let mut entry = [libc::pollfd { fd, events: interest.events(), revents: 0 }];
        let worker = Worker::current().expect("in a coroutine");
        let bits = worker.raw_fds.wait(&entry, deadline)? as libc::c_short;
        if worker.raw_fds.mark_closed(&mut entry) > 0 {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        // Hang-ups and errors may be those of another file that had the number before.
        if bits & interest.events() != 0 && bits & HANGUP_BITS == 0 {
            return Ok(bits);
        }
        match poll_now(fd, interest)? {
            0 if deadline.has_passed() => return Err(WaitError::TimedOut.into()),
            0 => {}
            bits => return Ok(bits),
        }
    }
}

/// Returns the bits that `fd` has now; 0 for none.
fn poll_now(fd: RawFd, interest: Interest) -> io::Result<libc::c_short> {
    let mut entry = [libc::pollfd { fd, events: interest.events(), revents: 0 }];
    poll_until(&mut entry, Deadline::NOW)?;
    valid(entry[0].revents)
}

fn valid(bits: libc::c_short) -> io::Result<libc::c_short> {
    if bits & libc::POLLNVAL != 0 {
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    Ok(bits)
}

/// Waits like poll(2) until one of `fds` is ready, sets their `revents`, and returns the number of
/// ready ones; 0 when the deadline passed. Negative fds are skipped.
///
/// Suspends a coroutine and blocks a plain thread.
///
/// # Errors
/// Those of poll(2), and `ECANCELED`.
pub fn poll_fds(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<usize> {
    if fork::is_forked() {
        return Err(fork::forked_error());
    }
    if !crate::rt::is_coroutine() {
        return poll_until(fds, deadline);
    }
    loop {
        let ready = poll_until(fds, Deadline::NOW)?;
        if ready > 0 || deadline.has_passed() {
            return Ok(ready);
        }
        let worker = Worker::current().expect("in a coroutine");
        match worker.raw_fds.wait(fds, deadline) {
            Ok(_) => {}
            Err(WaitError::TimedOut) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let closed = worker.raw_fds.mark_closed(fds);
        if closed > 0 {
            return Ok(closed);
        }
    }
}

/// Wakes all waiters of `fd`, on any worker, with `EBADF` (`POLLNVAL` from [`poll_fds`]). To be called
/// before the fd is closed. Costs one load of a counter when there are no waiters.
pub fn notify_close(fd: RawFd) {
    if has_waiters(fd) {
        let time = CLOSES.fetch_add(1, Ordering::SeqCst);
        on_each_worker(move |fds| fds.close(fd, time));
    }
}

/// Lets those who began to wait on `fd` between [`notify_close`] and close(2) find that it was closed.
#[cfg(feature = "hook")]
pub(crate) fn recheck_closed(fd: RawFd) {
    if has_waiters(fd) {
        on_each_worker(move |fds| fds.wake_all(fd));
    }
}

/// Whether there are waiters of `fd`, or of another fd that shares its counter.
pub(crate) fn has_waiters(fd: RawFd) -> bool {
    counter(fd).load(Ordering::SeqCst) > 0
}

fn on_each_worker(f: impl Fn(&RawFds) + Clone + Send + 'static) {
    if fork::is_forked() {
        return;
    }
    for index in 0..inbox::all().map_or(0, <[_]>::len) {
        match Worker::current() {
            Some(worker) if worker.index() == index => f(&worker.raw_fds),
            _ => {
                let f = f.clone();
                let run = move || f(&Worker::current().expect("on a worker").raw_fds);
                inbox::send(index, Message::Run(Box::new(run)));
            }
        }
    }
}

/// Waits for one fd in a plain thread.
pub(super) fn wait_in_thread(
    fd: RawFd,
    interest: Interest,
    deadline: Deadline,
) -> io::Result<libc::c_short> {
    let mut entry = [libc::pollfd { fd, events: interest.events(), revents: 0 }];
    match poll_until(&mut entry, deadline)? {
        0 => Err(WaitError::TimedOut.into()),
        _ => valid(entry[0].revents),
    }
}

/// Calls poll(2) with a deadline, again after interruptions.
fn poll_until(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<usize> {
    loop {
        let timeout = time::millis_until(deadline);
        // Only a plain thread passes a timeout: a coroutine must not block here.
        let _blocking = (timeout != 0).then(Blocking::begin);
        // `fds` is valid for its length.
        match syscall!(poll(fds.as_mut_ptr(), fds.len() as libc::nfds_t, timeout)) {
            Ok(0) if !deadline.has_passed() && timeout != 0 => {}
            Ok(ready) => return Ok(ready as usize),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// A worker's waits on raw fds.
pub(in crate::rt) struct RawFds {
    epoll: OwnedFd,
    fds: RefCell<HashMap<RawFd, Vec<RawWaiter>, BuildHasherDefault<FdHasher>>>,
    /// Coroutines whose fds were closed while they waited; each removes its own entries.
    closed: RefCell<Vec<(u64, RawFd)>>,
}

struct RawWaiter {
    waker: Waker,
    events: libc::c_short,
    coroutine: u64,
    /// Receives the epoll bits. On the stack of the coroutine, which removes its waiters before it
    /// returns.
    seen: *const Cell<u32>,
    /// `CLOSES` when the wait began: a later close is of this fd; an earlier one, whose message
    /// arrives late, was of another file that had the number before.
    since: u64,
}

impl RawFds {
    pub(in crate::rt) fn new(poller: &Poller) -> io::Result<RawFds> {
        let epoll = epoll_create()?;
        poller.add_raw_set(&epoll)?;
        Ok(RawFds { epoll, fds: RefCell::default(), closed: RefCell::default() })
    }

    /// Suspends the coroutine until one of `fds` may be ready. Returns the epoll bits of the first
    /// one, or 0 when the caller has to poll for another reason.
    fn wait(&self, fds: &[libc::pollfd], deadline: Deadline) -> Result<u32, WaitError> {
        let waiter = Waiter::new();
        let seen = Cell::new(0);
        let coroutine = Current::running_id();
        let since = CLOSES.load(Ordering::SeqCst);
        for entry in fds.iter().filter(|entry| entry.fd >= 0) {
            let waker = waiter.waker();
            let raw = RawWaiter { waker, events: entry.events, coroutine, seen: &seen, since };
            // Before the fd is armed: a later close sees the count.
            counter(entry.fd).fetch_add(1, Ordering::SeqCst);
            let mut all = self.fds.borrow_mut();
            let waiters = all.entry(entry.fd).or_default();
            waiters.push(raw);
            if self.arm(entry.fd, waiters).is_err() {
                // What epoll refuses, a regular file for example, is ready to poll(2).
                waiter.waker().wake();
            }
        }
        let result = waiter.wait(deadline);
        for entry in fds.iter().filter(|entry| entry.fd >= 0) {
            counter(entry.fd).fetch_sub(1, Ordering::SeqCst);
            self.forget_finished(entry.fd);
        }
        result.map(|()| seen.get())
    }

    /// Arms `fd` for all that its waiters wait for.
    fn arm(&self, fd: RawFd, waiters: &[RawWaiter]) -> io::Result<()> {
        let wanted = waiters.iter().fold(0, |bits, waiter| bits | waiter.events);
        let events = epoll_bits(wanted) | libc::EPOLLONESHOT as u32;
        let mut event = libc::epoll_event { events, u64: fd as u64 };
        let epoll = self.epoll.as_raw_fd();
        // `event` is a valid epoll_event, here and below.
        match syscall!(epoll_ctl(epoll, libc::EPOLL_CTL_MOD, fd, &mut event)) {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {
                syscall!(epoll_ctl(epoll, libc::EPOLL_CTL_ADD, fd, &mut event)).map(drop)
            }
            result => result.map(drop),
        }
    }

    /// Removes the waiters of `fd` whose wait is over, and with the last one the fd from the set.
    fn forget_finished(&self, fd: RawFd) {
        let mut fds = self.fds.borrow_mut();
        let Some(waiters) = fds.get_mut(&fd) else { return };
        waiters.retain(|waiter| waiter.waker.is_waiting());
        if waiters.is_empty() {
            fds.remove(&fd);
            self.disarm(fd);
        }
    }

    fn disarm(&self, fd: RawFd) {
        let epoll = self.epoll.as_raw_fd();
        // Takes no event; fails for an fd that was closed meanwhile, which the kernel has removed.
        let _ = syscall!(epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()));
    }

    /// Handles the events of the set. Called by the reactor.
    pub(in crate::rt) fn poll(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let epoll = self.epoll.as_raw_fd();
        // `events` is writable for its length.
        let count = syscall!(epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, 0));
        for event in &events[..count.unwrap_or(0) as usize] {
            self.ready(event.u64 as RawFd, event.events);
        }
    }

    fn ready(&self, fd: RawFd, bits: u32) {
        let mut fds = self.fds.borrow_mut();
        let Some(waiters) = fds.get_mut(&fd) else { return };
        let always_reported = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
        waiters.retain(|waiter| {
            let concerned = bits & (epoll_bits(waiter.events) | always_reported) != 0;
            if concerned && waiter.waker.wake() {
                // SAFETY: its coroutine was suspended in `wait` until this very wake and has not run
                // since, so its stack frame is alive.
                unsafe { (*waiter.seen).set(bits) };
            }
            !concerned && waiter.waker.is_waiting()
        });
        if waiters.is_empty() {
            fds.remove(&fd);
            return;
        }
        // One-shot: the remaining waiters need it armed again.
        let _ = self.arm(fd, waiters);
    }

    /// Wakes the waiters of `fd`, which is being closed as number `time` of all closes.
    fn close(&self, fd: RawFd, time: u64) {
        let Some(waiters) = self.fds.borrow_mut().remove(&fd) else { return };
        self.disarm(fd);
        for waiter in waiters {
            if waiter.waker.wake() && waiter.since <= time {
                self.closed.borrow_mut().push((waiter.coroutine, fd));
            }
        }
    }

    /// Lets all waiters of `fd` poll it again.
    #[cfg(feature = "hook")]
    fn wake_all(&self, fd: RawFd) {
        let Some(waiters) = self.fds.borrow_mut().remove(&fd) else { return };
        self.disarm(fd);
        for waiter in waiters {
            waiter.waker.wake();
        }
    }

    /// Sets `POLLNVAL` for those of `fds` that were closed while the calling coroutine waited.
    fn mark_closed(&self, fds: &mut [libc::pollfd]) -> usize {
        let coroutine = Current::running_id();
        let mut marked = 0;
        self.closed.borrow_mut().retain(|(owner, fd)| {
            if *owner != coroutine {
                return true;
            }
            for entry in fds.iter_mut().filter(|entry| entry.fd == *fd) {
                entry.revents = libc::POLLNVAL;
                marked += 1;
            }
            false
        });
        marked
    }
}

/// Returns the number of waiters of `fd` and of the fds that share its counter.
fn counter(fd: RawFd) -> &'static AtomicU32 {
    &WAITERS[fd as usize % WAITERS.len()]
}

static WAITERS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
static CLOSES: AtomicU64 = AtomicU64::new(0);

/// A hash of small numbers. Fds are not chosen by an attacker.
#[derive(Default)]
struct FdHasher(u64);

impl Hasher for FdHasher {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 << 8) | u64::from(byte);
        }
    }

    fn write_i32(&mut self, number: i32) {
        self.0 = (number as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

const HANGUP_BITS: libc::c_short = libc::POLLERR | libc::POLLHUP | libc::POLLRDHUP;

/// Converts poll's bits, which are the same as epoll's.
fn epoll_bits(events: libc::c_short) -> u32 {
    events as u16 as u32
}
