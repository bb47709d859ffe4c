//! Fds that this crate owns, registered once and edge-triggered: no system call per wait.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::rawfd::{self, Interest};
use crate::rt::fork;
use crate::rt::park::inbox::{self, Message};
use crate::rt::park::wait::{Waiter, Waker};
use crate::rt::time::Deadline;
use crate::rt::worker::Worker;
use crate::sys::{self, syscall};

/// An owned, non-blocking fd whose operations suspend the coroutine, or block the plain thread, until
/// they can be done. May be used by several coroutines and threads at once: readers, and writers, are
/// served in the order of their arrival.
pub(crate) struct Source {
    fd: OwnedFd,
    closed: AtomicBool,
    /// With the first worker that used it: nearly always the only one.
    first: OnceLock<Arc<Registration>>,
    /// Boxed and never removed: `registration` returns references to them.
    #[expect(clippy::vec_box, reason = "their addresses must survive the vector's growth")]
    others: Mutex<Vec<Box<Arc<Registration>>>>,
}

impl Source {
    /// Takes ownership of `fd` and makes it non-blocking.
    pub(crate) fn new(fd: OwnedFd) -> io::Result<Source> {
        let raw = fd.as_raw_fd();
        let flags = syscall!(fcntl(raw, libc::F_GETFL))?;
        if flags & libc::O_NONBLOCK == 0 {
            syscall!(fcntl(raw, libc::F_SETFL, flags | libc::O_NONBLOCK))?;
        }
        Ok(Source {
            fd,
            closed: AtomicBool::new(false),
            first: OnceLock::new(),
            others: Mutex::new(Vec::new()),
        })
    }

    pub(crate) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// Reads once, at most `buf.len()` bytes; 0 is the end of the stream.
    pub(crate) fn read(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        let wanted = buf.len();
        self.operate(Interest::Read, deadline, |fd| {
            // SAFETY: `buf` is writable for its length.
            let read = unsafe { sys::c::read(fd.as_raw_fd(), buf.as_mut_ptr().cast(), wanted) };
            let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
            // A short read has drained the socket (epoll(7)); later data is a new edge.
            Ok((read, read > 0 && read < wanted))
        })
    }

    /// Reads once like [`read`](Source::read), into a buffer that `borrow` returns when there may be
    /// data: a waiting caller holds no buffer.
    pub(crate) fn read_lazily<B: AsMut<[u8]>>(
        &self,
        deadline: Deadline,
        mut borrow: impl FnMut() -> B,
    ) -> io::Result<(B, usize)> {
        self.operate(Interest::Read, deadline, |fd| {
            let mut buffer = borrow();
            let bytes = buffer.as_mut();
            let wanted = bytes.len();
            // SAFETY: `bytes` is writable for its length.
            let read = unsafe { sys::c::read(fd.as_raw_fd(), bytes.as_mut_ptr().cast(), wanted) };
            let read = usize::try_from(read).map_err(|_| io::Error::last_os_error())?;
            Ok(((buffer, read), read > 0 && read < wanted))
        })
    }

    /// Writes once and returns the number of bytes of `buf` written. No SIGPIPE.
    pub(crate) fn write(&self, buf: &[u8], deadline: Deadline) -> io::Result<usize> {
        self.operate(Interest::Write, deadline, |fd| {
            let flags = libc::MSG_NOSIGNAL;
            // SAFETY: `buf` is readable for its length.
            let sent =
                unsafe { sys::c::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), flags) };
            let sent = usize::try_from(sent).map_err(|_| io::Error::last_os_error())?;
            Ok((sent, sent < buf.len()))
        })
    }

    /// Writes what fits without waiting; `WouldBlock` if that is nothing. Unlike a
    /// [`write`](Source::write) with a deadline that has passed, it may be called while the caller has
    /// an open wait, and in the reactor.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        if self.is_closed() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let side = if crate::rt::is_coroutine() { Some(&self.registration()?.write) } else { None };
        if side.is_some_and(|side| !side.ready.get()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let sent = send(self.fd(), buf);
        let full = match &sent {
            Ok(sent) => *sent < buf.len(),
            Err(error) => error.kind() == io::ErrorKind::WouldBlock,
        };
        if let Some(side) = side {
            side.done(full);
        }
        sent
    }

    /// Runs `op`, which must not block, until it returns something else than `WouldBlock`.
    pub(crate) fn run<R>(
        &self,
        interest: Interest,
        deadline: Deadline,
        mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> io::Result<R> {
        self.operate(interest, deadline, |fd| op(fd).map(|result| (result, false)))
    }

    /// Waits until an operation is worth trying.
    pub(crate) fn wait_ready(&self, interest: Interest, deadline: Deadline) -> io::Result<()> {
        if self.is_closed() {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        if !crate::rt::is_coroutine() {
            return rawfd::wait_in_thread(self.fd.as_raw_fd(), interest, deadline).map(drop);
        }
        let side = self.registration()?.side(interest);
        if side.ready.get() {
            // `ready` is a hint: the kernel decides. Waiting for an edge that was already reported
            // would never end.
            let ready = rawfd::wait_in_thread(self.fd.as_raw_fd(), interest, Deadline::NOW);
            if ready.is_ok() {
                return Ok(());
            }
            side.ready.set(false);
        }
        side.wait(&self.closed, deadline)?;
        side.done(false);
        Ok(())
    }

    /// Closes it for all users: every waiter wakes with `EBADF`, and the peer of a socket sees the end
    /// of the stream. The fd itself is closed when the source is dropped.
    pub(crate) fn close(&self) {
        if self.closed.swap(true, Ordering::SeqCst) {
            return;
        }
        // Wakes plain threads that poll. Fails for anything but a connected socket, where it is not
        // needed.
        let _ = syscall!(shutdown(self.fd.as_raw_fd(), libc::SHUT_RDWR));
        for registration in self.registrations() {
            registration.on_home(Registration::wake_all);
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Relaxed)
    }

    /// Runs `op`, which returns its result and whether it drained the fd.
    fn operate<R>(
        &self,
        interest: Interest,
        deadline: Deadline,
        mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<(R, bool)>,
    ) -> io::Result<R> {
        let registration =
            if crate::rt::is_coroutine() { Some(self.registration()?) } else { None };
        let side = registration.map(|registration| registration.side(interest));
        // Those who wait already come first.
        let mut in_turn = side.is_none_or(|side| side.waiters.borrow().is_empty());
        loop {
            if self.is_closed() {
                return Err(io::Error::from_raw_os_error(libc::EBADF));
            }
            if in_turn && side.is_none_or(|side| side.ready.get()) {
                match op(self.fd.as_fd()) {
                    Ok((result, drained)) => {
                        if let Some(side) = side {
                            side.done(drained);
                        }
                        return Ok(result);
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Err(error) if error.kind() != io::ErrorKind::WouldBlock => {
                        if let Some(side) = side {
                            side.done(false);
                        }
                        return Err(error);
                    }
                    Err(_) => {}
                }
            }
            match side {
                Some(side) => {
                    if in_turn {
                        side.ready.set(false);
                    }
                    side.wait(&self.closed, deadline)?;
                    in_turn = true;
                }
                None => {
                    rawfd::wait_in_thread(self.fd.as_raw_fd(), interest, deadline)?;
                }
            }
        }
    }

    /// Returns the registration with the calling worker, made at its first use.
    fn registration(&self) -> io::Result<&Arc<Registration>> {
        let worker = Worker::current().expect("called in a coroutine");
        if let Some(first) = self.first.get()
            && first.home == worker.index()
        {
            return Ok(first);
        }
        self.register(worker)
    }

    #[cold]
    fn register(&self, worker: &Worker) -> io::Result<&Arc<Registration>> {
        let mut others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        if self.first.get().is_none() {
            let registration = Registration::new(worker, self.fd.as_fd())?;
            let _ = self.first.set(registration);
            return Ok(self.first.get().expect("set above, under the lock"));
        }
        let known = others.iter().position(|other| other.home == worker.index());
        let index = match known {
            Some(index) => index,
            None => {
                others.push(Box::new(Registration::new(worker, self.fd.as_fd())?));
                others.len() - 1
            }
        };
        let registration: *const Arc<Registration> = &*others[index];
        // SAFETY: the box stays where it is until `self` is dropped.
        Ok(unsafe { &*registration })
    }

    fn registrations(&self) -> Vec<Arc<Registration>> {
        let others = self.others.lock().unwrap_or_else(PoisonError::into_inner);
        self.first.get().into_iter().chain(others.iter().map(|other| &**other)).cloned().collect()
    }
}

/// send(2) without SIGPIPE.
fn send(fd: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    // SAFETY: `buf` is readable for its length.
    let sent =
        unsafe { sys::c::send(fd.as_raw_fd(), buf.as_ptr().cast(), buf.len(), libc::MSG_NOSIGNAL) };
    usize::try_from(sent).map_err(|_| io::Error::last_os_error())
}

impl Drop for Source {
    fn drop(&mut self) {
        let fd = self.fd.as_fd();
        for registration in self.registrations() {
            match Worker::current() {
                Some(worker) if worker.index() == registration.home => {
                    worker.poller.deregister(registration.token.get(), Some(fd));
                }
                // By the time the message arrives the fd is closed and, unless it was duplicated, has
                // left the epoll set.
                _ => registration.on_home(|registration| {
                    let worker = Worker::current().expect("on the home worker");
                    worker.poller.deregister(registration.token.get(), None);
                }),
            }
        }
    }
}

/// A source's registration with one worker. Home worker only, but for `on_home`.
pub(in crate::rt) struct Registration {
    home: usize,
    token: Cell<u64>,
    read: Side,
    write: Side,
}

// SAFETY: the cells are touched only on the home worker's thread: by coroutines, which look the
// registration up by their own worker, by that worker's reactor, and through `on_home`.
unsafe impl Send for Registration {}
// SAFETY: as for `Send`.
unsafe impl Sync for Registration {}

impl Registration {
    fn new(worker: &Worker, fd: BorrowedFd<'_>) -> io::Result<Arc<Registration>> {
        let registration = Arc::new(Registration {
            home: worker.index(),
            token: Cell::new(0),
            read: Side::new(),
            write: Side::new(),
        });
        registration.token.set(worker.poller.register(fd, &registration)?);
        Ok(registration)
    }

    fn side(&self, interest: Interest) -> &Side {
        match interest {
            Interest::Write => &self.write,
            _ => &self.read,
        }
    }

    /// Handles the epoll bits of an event. Home worker only.
    pub(in crate::rt) fn ready(&self, bits: u32) {
        let bits = bits as libc::c_int;
        let is_broken = bits & (libc::EPOLLERR | libc::EPOLLHUP) != 0;
        if is_broken || bits & libc::EPOLLRDHUP != 0 {
            self.read.ended.set(true);
        }
        if is_broken || bits & (libc::EPOLLIN | libc::EPOLLRDHUP) != 0 {
            self.read.became_ready();
        }
        if is_broken || bits & libc::EPOLLOUT != 0 {
            self.write.became_ready();
        }
    }

    fn wake_all(&self) {
        self.read.wake_all();
        self.write.wake_all();
    }

    fn on_home(self: &Arc<Self>, f: impl FnOnce(&Registration) + Send + 'static) {
        match Worker::current() {
            Some(worker) if worker.index() == self.home => f(self),
            // A forked child has no waiters, and no worker that reads the inbox.
            _ if fork::is_forked() => {}
            _ => {
                let this = self.clone();
                inbox::send(self.home, Message::Run(Box::new(move || f(&this))));
            }
        }
    }
}

/// One direction, reading or writing, of a registration.
struct Side {
    /// Whether the next operation is worth trying.
    ready: Cell<bool>,
    /// The peer has shut down its side. Its last bytes and the end may arrive as one edge, so a short
    /// read does not mean drained: there will be no further edge for the end.
    ended: Cell<bool>,
    waiters: RefCell<VecDeque<Waker>>,
}

impl Side {
    fn new() -> Side {
        Side { ready: Cell::new(true), ended: Cell::new(false), waiters: RefCell::default() }
    }

    fn wait(&self, closed: &AtomicBool, deadline: Deadline) -> io::Result<()> {
        let waiter = Waiter::new();
        self.waiters.borrow_mut().push_back(waiter.waker());
        if closed.load(Ordering::SeqCst) {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        let result = waiter.wait(deadline);
        if result.is_err() {
            self.waiters.borrow_mut().retain(Waker::is_waiting);
        }
        result?;
        if closed.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EBADF));
        }
        Ok(())
    }

    fn became_ready(&self) {
        self.ready.set(true);
        self.wake_next();
    }

    /// Ends an operation: the next waiter gets what it left.
    fn done(&self, drained: bool) {
        if drained && !self.ended.get() {
            self.ready.set(false);
        } else if !self.waiters.borrow().is_empty() {
            self.wake_next();
        }
    }

    fn wake_next(&self) {
        let mut waiters = self.waiters.borrow_mut();
        while let Some(waker) = waiters.pop_front() {
            if waker.wake() {
                break;
            }
        }
    }

    fn wake_all(&self) {
        self.ready.set(true);
        for waker in self.waiters.borrow_mut().drain(..) {
            waker.wake();
        }
    }
}
