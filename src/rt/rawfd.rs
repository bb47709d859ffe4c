//! Waits on fds that belong to somebody else: any number of them, by any number of waiters.
//!
//! Each wait arms the fd anew (level-triggered, one shot), in an epoll set of its own beside that
//! of our sources: whatever the owner does with the fd between two waits, nothing stale is left.

use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::blocking::Blocking;
use super::poller::{Poller, epoll_create};
use super::time::{self, Deadline};
use super::wait::{WaitError, Waiter, Waker};
use super::worker::{self, Message, Worker};
use super::{Current, start};
use crate::sys::syscall;

/// For what a wait on an fd looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Data, the end of the stream, or a connection to accept.
    Read,
    /// Room to write, or the end of a connect.
    Write,
    /// Either.
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

/// Waits until `fd` is ready, and answers the `POLL*` bits of poll(2) that hold.
///
/// Suspends the coroutine; blocks a plain thread. Several may wait on one fd at once.
///
/// # Errors
/// `ETIMEDOUT`, `ECANCELED`, `EBADF` for an fd that is not open or was given to
/// [`notify_close`] meanwhile.
pub fn wait_fd(fd: RawFd, interest: Interest, deadline: Deadline) -> io::Result<libc::c_short> {
    if fd < 0 {
        // poll(2) would skip it, and the wait might never end.
        return Err(io::Error::from_raw_os_error(libc::EBADF));
    }
    let mut entry = [libc::pollfd { fd, events: interest.events(), revents: 0 }];
    match poll_fds(&mut entry, deadline)? {
        0 => Err(WaitError::TimedOut.into()),
        _ if entry[0].revents & libc::POLLNVAL != 0 => {
            Err(io::Error::from_raw_os_error(libc::EBADF))
        }
        _ => Ok(entry[0].revents),
    }
}

/// poll(2) for coroutines: waits until one of `fds` is ready, sets their `revents`, and answers
/// how many are; 0 when the deadline passed. Negative fds are skipped.
///
/// Suspends the coroutine; blocks a plain thread.
///
/// # Errors
/// Those of poll(2), and `ECANCELED`.
pub fn poll_fds(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<usize> {
    if worker::is_forked() {
        return Err(worker::forked_error());
    }
    if !super::is_coroutine() {
        return poll_until(fds, deadline);
    }
    loop {
        let ready = poll_until(fds, Deadline::NOW)?;
        if ready > 0 || deadline.has_passed() {
            return Ok(ready);
        }
        let worker = Worker::current().expect("in a coroutine");
        match worker.raw_fds.wait(fds, deadline) {
            Ok(()) => {}
            Err(WaitError::TimedOut) => return Ok(0),
            Err(error) => return Err(error.into()),
        }
        let closed = worker.raw_fds.mark_closed(fds);
        if closed > 0 {
            return Ok(closed);
        }
    }
}

/// Tells the runtime that `fd` is about to be closed: whoever waits on it, on any worker, wakes
/// with `EBADF` (`POLLNVAL` from [`poll_fds`]). Costs one look at a counter when nobody does.
pub fn notify_close(fd: RawFd) {
    if has_waiters(fd) {
        let time = CLOSES.fetch_add(1, Ordering::SeqCst);
        on_each_worker(move |fds| fds.close(fd, time));
    }
}

/// Tells the runtime that `fd` was closed: who came to wait on it after [`notify_close`] and
/// before close(2) looks again, and finds that it is closed.
#[cfg(feature = "hook")]
pub(crate) fn recheck_closed(fd: RawFd) {
    if has_waiters(fd) {
        on_each_worker(move |fds| fds.wake_all(fd));
    }
}

/// Whether somebody waits on `fd`, or on another fd with which it shares a counter.
pub(crate) fn has_waiters(fd: RawFd) -> bool {
    counter(fd).load(Ordering::SeqCst) > 0
}

fn on_each_worker(f: impl Fn(&RawFds) + Clone + Send + 'static) {
    if worker::is_forked() {
        return;
    }
    for index in 0..start::workers().map_or(0, <[_]>::len) {
        match Worker::current() {
            Some(worker) if worker.index() == index => f(&worker.raw_fds),
            _ => {
                let f = f.clone();
                let run = move || f(&Worker::current().expect("on a worker").raw_fds);
                worker::send(index, Message::Run(Box::new(run)));
            }
        }
    }
}

/// The wait of a plain thread on one fd.
pub(super) fn wait_in_thread(
    fd: RawFd,
    interest: Interest,
    deadline: Deadline,
) -> io::Result<libc::c_short> {
    let mut entry = [libc::pollfd { fd, events: interest.events(), revents: 0 }];
    match poll_until(&mut entry, deadline)? {
        0 => Err(WaitError::TimedOut.into()),
        _ => Ok(entry[0].revents),
    }
}

/// poll(2) with a deadline, past interruptions.
fn poll_until(fds: &mut [libc::pollfd], deadline: Deadline) -> io::Result<usize> {
    loop {
        let timeout = time::millis_until(deadline);
        // With a time a plain thread only: in a coroutine nothing may block.
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
pub(super) struct RawFds {
    epoll: OwnedFd,
    fds: RefCell<HashMap<RawFd, Vec<RawWaiter>>>,
    /// Fds that were closed under their waiters, by waiter: read once by each.
    closed: RefCell<Vec<(u64, RawFd)>>,
}

struct RawWaiter {
    waker: Waker,
    events: libc::c_short,
    coroutine: u64,
    /// The count of closes when it began to wait: a later close is of its fd, an earlier one,
    /// of which the news comes late, of another file that had the number before.
    since: u64,
}

impl RawFds {
    pub(super) fn new(poller: &Poller) -> io::Result<RawFds> {
        let epoll = epoll_create()?;
        poller.add_raw_set(&epoll)?;
        Ok(RawFds { epoll, fds: RefCell::default(), closed: RefCell::default() })
    }

    /// Suspends the coroutine until one of `fds` may be ready.
    fn wait(&self, fds: &[libc::pollfd], deadline: Deadline) -> Result<(), WaitError> {
        let waiter = Waiter::new();
        let coroutine = Current::running_id();
        let since = CLOSES.load(Ordering::SeqCst);
        for entry in fds.iter().filter(|entry| entry.fd >= 0) {
            let waker = waiter.waker();
            let raw = RawWaiter { waker, events: entry.events, coroutine, since };
            // Before the fd is watched: who closes it after that sees the count.
            counter(entry.fd).fetch_add(1, Ordering::SeqCst);
            self.fds.borrow_mut().entry(entry.fd).or_default().push(raw);
            if self.arm(entry.fd).is_err() {
                // What epoll refuses, a file say, poll(2) calls ready: the caller looks again.
                waiter.waker().wake();
            }
        }
        let result = waiter.wait(deadline);
        for entry in fds.iter().filter(|entry| entry.fd >= 0) {
            counter(entry.fd).fetch_sub(1, Ordering::SeqCst);
            self.forget_finished(entry.fd);
        }
        result
    }

    /// Watches `fd` for all that its waiters wait for.
    fn arm(&self, fd: RawFd) -> io::Result<()> {
        let fds = self.fds.borrow();
        let Some(waiters) = fds.get(&fd) else { return Ok(()) };
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

    /// Drops the waiters of `fd` whose wait is over; with the last one, the watch.
    fn forget_finished(&self, fd: RawFd) {
        let mut fds = self.fds.borrow_mut();
        let Some(waiters) = fds.get_mut(&fd) else { return };
        waiters.retain(|waiter| waiter.waker.is_waiting());
        if waiters.is_empty() {
            fds.remove(&fd);
            self.unwatch(fd);
        }
    }

    fn unwatch(&self, fd: RawFd) {
        let epoll = self.epoll.as_raw_fd();
        // Takes no event; fails for an fd that was closed meanwhile, which leaves the set so.
        let _ = syscall!(epoll_ctl(epoll, libc::EPOLL_CTL_DEL, fd, std::ptr::null_mut()));
    }

    /// The set reported something. Called by the reactor.
    pub(super) fn poll(&self) {
        let mut events = [libc::epoll_event { events: 0, u64: 0 }; 64];
        let epoll = self.epoll.as_raw_fd();
        // `events` is writable for its length.
        let count = syscall!(epoll_wait(epoll, events.as_mut_ptr(), events.len() as i32, 0));
        for event in &events[..count.unwrap_or(0) as usize] {
            self.ready(event.u64 as RawFd, event.events);
        }
    }

    fn ready(&self, fd: RawFd, bits: u32) {
        {
            let mut fds = self.fds.borrow_mut();
            let Some(waiters) = fds.get_mut(&fd) else { return };
            let always = (libc::EPOLLERR | libc::EPOLLHUP) as u32;
            waiters.retain(|waiter| {
                let meant = bits & (epoll_bits(waiter.events) | always) != 0;
                if meant {
                    waiter.waker.wake();
                }
                !meant && waiter.waker.is_waiting()
            });
            if waiters.is_empty() {
                fds.remove(&fd);
                return;
            }
        }
        // One shot: those who wait for something else still do.
        let _ = self.arm(fd);
    }

    /// `fd` is being closed, as close number `time`.
    fn close(&self, fd: RawFd, time: u64) {
        let Some(waiters) = self.fds.borrow_mut().remove(&fd) else { return };
        self.unwatch(fd);
        for waiter in waiters {
            if waiter.waker.wake() && waiter.since <= time {
                self.closed.borrow_mut().push((waiter.coroutine, fd));
            }
        }
    }

    /// Lets all who wait on `fd` look again.
    #[cfg(feature = "hook")]
    fn wake_all(&self, fd: RawFd) {
        let Some(waiters) = self.fds.borrow_mut().remove(&fd) else { return };
        self.unwatch(fd);
        for waiter in waiters {
            waiter.waker.wake();
        }
    }

    /// Sets `POLLNVAL` for those of `fds` that were closed under the calling coroutine.
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

/// How many wait on the fds that share this counter.
fn counter(fd: RawFd) -> &'static AtomicU32 {
    &WAITERS[fd as usize % WAITERS.len()]
}

static WAITERS: [AtomicU32; 1024] = [const { AtomicU32::new(0) }; 1024];
static CLOSES: AtomicU64 = AtomicU64::new(0);

/// poll's bits are epoll's, except that it has more of them.
fn epoll_bits(events: libc::c_short) -> u32 {
    events as u16 as u32
}
