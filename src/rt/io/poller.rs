//! A worker's epoll set: the sources registered in it, and the wait itself.

use std::cell::{Cell, RefCell};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::source::Registration;
use crate::rt::time::{self, Deadline};
use crate::sys::syscall;

pub(in crate::rt) struct Poller {
    epoll: OwnedFd,
    registrations: RefCell<Slab>,
    events: RefCell<Vec<libc::epoll_event>>,
    /// False once the kernel said that it lacks `epoll_pwait2` (Linux before 5.11).
    nanoseconds: Cell<bool>,
}

/// What one look at the epoll set brought.
pub(in crate::rt) enum Event {
    /// The inbox's eventfd.
    Inbox,
    /// The set of the raw fds.
    RawFds,
    /// A registered source, and epoll's event bits.
    Source(Arc<Registration>, u32),
}

impl Poller {
    pub(in crate::rt) fn new(wake_fd: &OwnedFd) -> io::Result<Poller> {
        let poller = Poller {
            epoll: epoll_create()?,
            registrations: RefCell::default(),
            events: RefCell::new(vec![libc::epoll_event { events: 0, u64: 0 }; EVENTS_PER_POLL]),
            nanoseconds: Cell::new(true),
        };
        // Edge-triggered: the counter need not be read to be written again.
        poller.add(wake_fd.as_raw_fd(), libc::EPOLLIN | libc::EPOLLET, INBOX)?;
        Ok(poller)
    }

    /// Lets the set of raw fds report through this one.
    pub(super) fn add_raw_set(&self, epoll: &OwnedFd) -> io::Result<()> {
        self.add(epoll.as_raw_fd(), libc::EPOLLIN, RAW_FDS)
    }

    /// Watches `fd` for edges of every kind on behalf of `registration`.
    pub(in crate::rt) fn register(
        &self,
        fd: BorrowedFd<'_>,
        registration: &Arc<Registration>,
    ) -> io::Result<u64> {
        let token = self.registrations.borrow_mut().insert(registration.clone());
        let interest = libc::EPOLLIN | libc::EPOLLOUT | libc::EPOLLRDHUP | libc::EPOLLET;
        if let Err(error) = self.add(fd.as_raw_fd(), interest, token) {
            self.registrations.borrow_mut().remove(token);
            return Err(error);
        }
        Ok(token)
    }

    /// Forgets a registration. `fd`, if still open, is taken out of the set; a closed one the
    /// kernel has taken out already.
    pub(super) fn deregister(&self, token: u64, fd: Option<BorrowedFd<'_>>) {
        self.registrations.borrow_mut().remove(token);
        if let Some(fd) = fd {
            let epoll = self.epoll.as_raw_fd();
            // Both fds are open; it fails only for one that is not in the set, which is the aim.
            let _ = syscall!(epoll_ctl(
                epoll,
                libc::EPOLL_CTL_DEL,
                fd.as_raw_fd(),
                std::ptr::null_mut()
            ));
        }
    }

    /// Waits for events until `deadline` and appends them to `into`. True if there may be more.
    pub(in crate::rt) fn poll(&self, deadline: Deadline, into: &mut Vec<Event>) -> bool {
        let mut events = self.events.borrow_mut();
        let count = self.wait(&mut events, deadline);
        let registrations = self.registrations.borrow();
        into.extend(events[..count].iter().filter_map(|event| {
            let token = event.u64;
            match token {
                INBOX => Some(Event::Inbox),
                RAW_FDS => Some(Event::RawFds),
                // A registration that has gone since is no event.
                token => Some(Event::Source(registrations.get(token)?, event.events)),
            }
        }));
        count == events.len()
    }

    fn wait(&self, events: &mut [libc::epoll_event], deadline: Deadline) -> usize {
        let epoll = self.epoll.as_raw_fd();
        let left = deadline.remaining();
        if let Some(left) = left.filter(|left| !left.is_zero() && self.nanoseconds.get()) {
            let timeout = libc::timespec {
                tv_sec: left.as_secs().try_into().unwrap_or(libc::time_t::MAX),
                tv_nsec: left.subsec_nanos().into(),
            };
            // SAFETY: `events` is writable for its length, the time-out a valid timespec, and
            // a null signal mask asks for none.
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
            self.nanoseconds.set(false);
        }
        let timeout = time::millis_until(deadline);
        // `events` is writable for its length. EINTR brings no events, and nothing else is
        // possible here.
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

/// Registrations by token: the slot below, its generation above, so that an event that was
/// already on its way when its source went away meets nobody.
#[derive(Default)]
struct Slab {
    slots: Vec<Slot>,
    free: Vec<u32>,
}

#[derive(Default)]
struct Slot {
    generation: u32,
    registration: Option<Arc<Registration>>,
}

impl Slab {
    fn insert(&mut self, registration: Arc<Registration>) -> u64 {
        let index = self.free.pop().unwrap_or_else(|| {
            self.slots.push(Slot::default());
            (self.slots.len() - 1) as u32
        });
        let slot = &mut self.slots[index as usize];
        slot.registration = Some(registration);
        u64::from(slot.generation) << 32 | u64::from(index)
    }

    fn get(&self, token: u64) -> Option<Arc<Registration>> {
        let slot = self.slots.get(token as u32 as usize)?;
        if slot.generation != (token >> 32) as u32 {
            return None;
        }
        slot.registration.clone()
    }

    fn remove(&mut self, token: u64) {
        let index = token as u32;
        if let Some(slot) = self.slots.get_mut(index as usize)
            && slot.generation == (token >> 32) as u32
        {
            slot.registration = None;
            // One short of the reserved tokens' upper half, for ever.
            slot.generation = (slot.generation + 1) % (u32::MAX - 1);
            self.free.push(index);
        }
    }
}

const EVENTS_PER_POLL: usize = 512;
const INBOX: u64 = u64::MAX;
const RAW_FDS: u64 = u64::MAX - 1;
