//! A worker's epoll set: the sources registered with it, and the wait for events.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::source::Registration;
use crate::rt::time::{self, Deadline};
use crate::slab::{self, Slab};
use crate::sys::syscall;

/// A worker's epoll set.
pub(in crate::rt) struct Poller {
    epoll: OwnedFd,
    /// By epoll's user data: a key finds nothing once its source was deregistered, even when an
    /// event for it was already on its way.
    registrations: RefCell<Slab<Arc<Registration>>>,
    events: RefCell<Vec<libc::epoll_event>>,
    /// False once `epoll_pwait2` was found missing (Linux before 5.11).
    has_pwait2: Cell<bool>,
}

/// An event of the epoll set.
pub(in crate::rt) enum Event {
    /// The eventfd of the inbox was written.
    Inbox,
    /// The epoll set of the raw fds has events.
    RawFds,
    /// A registered source has these epoll event bits.
    Source(Arc<Registration>, u32),
}

impl Poller {
    pub(in crate::rt) fn new(wake_fd: &OwnedFd) -> io::Result<Poller> {
        let poller = Poller {
            epoll: epoll_create()?,
            registrations: RefCell::new(Slab::new()),
            events: RefCell::new(vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_POLL]),
            has_pwait2: Cell::new(true),
        };
        // Edge-triggered: the counter need not be read to be written again.
        poller.add(wake_fd.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, INBOX)?;
        Ok(poller)
    }

    /// Nests the epoll set of the raw fds in this one.
    pub(super) fn add_raw_set(&self, epoll: &OwnedFd) -> io::Result<()> {
        self.add(epoll.as_raw_fd(), libc::EPOLLIN, RAW_FDS)
    }

    /// Watches `fd` for edges of every kind on behalf of `registration`.
    pub(in crate::rt) fn register(
        &self,
        fd: BorrowedFd<'_>,
        registration: &Arc<Registration>,
    ) -> io::Result<u64> {
        if self.registrations.borrow().len() == slab::MAX_LEN {
            return Err(io::Error::from_raw_os_error(libc::ENOSPC));
        }
        let token = self.registrations.borrow_mut().insert(registration.clone());
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        if let Err(error) = self.add(fd.as_raw_fd(), interest, token) {
            self.registrations.borrow_mut().remove(token);
            return Err(error);
        }
        Ok(token)
    }

    /// Removes a registration, and `fd` from the epoll set if it is still open: a closed one was
    /// removed by the kernel.
    pub(super) fn deregister(&self, token: u64, fd: Option<BorrowedFd<'_>>) {
        self.registrations.borrow_mut().remove(token);
        if let Some(fd) = fd {
            let epoll = self.epoll.as_raw_fd();
            // Both fds are open; fails only for one that is not in the set.
            let _ = syscall!(epoll_ctl(
                epoll,
                libc::EPOLL_CTL_DEL,
                fd.as_raw_fd(),
                std::ptr::null_mut()
            ));
        }
    }

    /// Waits for events until `deadline` and appends them to `into`; returns whether there may be
    /// more.
    pub(in crate::rt) fn poll(&self, deadline: Deadline, into: &mut Vec<Event>) -> bool {
        let mut events = self.events.borrow_mut();
        let count = self.wait(&mut events, deadline);
        let registrations = self.registrations.borrow();
        into.extend(events[..count].iter().filter_map(|event| {
            let token = event.u64;
            match token {
                INBOX => Some(Event::Inbox),
                RAW_FDS => Some(Event::RawFds),
                token => Some(Event::Source(registrations.get(token)?.clone(), event.events)),
            }
        }));
        count == events.len()
    }

    fn wait(&self, events: &mut [libc::epoll_event], deadline: Deadline) -> usize {
        let epoll = self.epoll.as_raw_fd();
        let left = deadline.remaining();
        if let Some(left) = left.filter(|left| !left.is_zero() && self.has_pwait2.get()) {
            let timeout = libc::timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // SAFETY: `events` is writable for its length, the timeout a valid timespec, and
            // a null signal mask changes none.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_epoll_pwait2,
                    epoll,
                    events.as_mut_ptr(),
                    events.len() as libc::c_int,
                    &timeout,
                    std::ptr::null::<libc::sigset_t>(),
                    0usize,
                )
            };
            if result >= 0 {
                return result as usize;
            }
            if io::Error::last_os_error().raw_os_error() != Some(libc::ENOSYS) {
                return 0;
            }
            self.has_pwait2.set(false);
        }
        let timeout = time::millis_until(deadline);
        // `events` is writable for its length. Fails only with EINTR, which
        // brings no events.
        syscall!(epoll_wait(epoll, events.as_mut_ptr(), events.len() as libc::c_int, timeout))
            .unwrap_or(0) as usize
    }

    fn add(&self, fd: RawFd, interest: libc::c_int, token: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: interest as u32, u64: token };
        // `event` is a valid epoll_event.
        syscall!(epoll_ctl(self.epoll.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &mut event)).map(drop)
    }
}

pub(super) fn epoll_create() -> io::Result<OwnedFd> {
    let fd = syscall!(epoll_create1(libc::EPOLL_CLOEXEC))?;
    // SAFETY: a new fd that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

const EVENTS_PER_POLL: usize = 512;
const INBOX: u64 = u64::MAX;
const RAW_FDS: u64 = u64::MAX - 1;
