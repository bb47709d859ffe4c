//! What a call does that would block: wait, unless the program does not want that.

use std::io;
use std::time::Duration;

use libc::{c_int, c_short, pollfd};

use super::errno;
use super::toggle::is_nonblocking;
use crate::rt::{self, Deadline, Interest};
use crate::sys::c;

/// A call that found that it would block. Each [`wait`](Blocked::wait) suspends the coroutine until
/// another try is worth it.
pub(super) struct Blocked {
    fd: c_int,
    interest: Interest,
    /// Known once it had to wait.
    deadline: Option<Deadline>,
    /// It has waited, and that led to nothing, or to a part.
    again: bool,
    /// Further waits in a row that ended at once, and led to nothing.
    vain: u32,
}

impl Blocked {
    pub(super) fn new(fd: c_int, interest: Interest) -> Blocked {
        Blocked { fd, interest, deadline: None, again: false, vain: 0 }
    }

    /// Waits until the fd is ready, and answers poll's bits.
    ///
    /// # Errors
    /// The errno for the program: `EAGAIN` at once for an fd that the program made non-blocking,
    /// and at the end of `SO_RCVTIMEO` or `SO_SNDTIMEO`; `ECANCELED`; `EBADF` after a close.
    pub(super) fn wait(&mut self) -> Result<c_short, c_int> {
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None if is_nonblocking(self.fd)? => return Err(libc::EAGAIN),
            None => *self.deadline.insert(Deadline::from(timeout(self.fd, self.interest))),
        };
        if self.vain >= MOST_VAIN {
            self.pause(deadline)?;
        }
        if !self.again {
            // Nearly always the only one: the clock need not be read.
            self.again = true;
            return wait_by(rt::wait_unready, self.fd, self.interest, deadline);
        }
        let before = rt::now_ns();
        let ready = wait_by(rt::wait_unready, self.fd, self.interest, deadline)?;
        // Ready, and yet it would block: a datagram for another receiver, a peer whose queue is
        // full. Nothing tells when that ends.
        let at_once = rt::now_ns().saturating_sub(before) < AT_ONCE_NS;
        self.vain = if at_once { self.vain + 1 } else { 0 };
        Ok(ready)
    }

    /// Waits a little, for want of an event to wait for.
    pub(super) fn pause(&self, deadline: Deadline) -> Result<(), c_int> {
        if deadline.has_passed() {
            return Err(libc::EAGAIN);
        }
        let pause = PAUSE * (self.vain.clamp(1, 8));
        let pause = deadline.remaining().map_or(pause, |left| left.min(pause));
        suspend_for(pause)
    }

    /// Whether it had to wait, and was allowed to.
    pub(super) fn has_waited(&self) -> bool {
        self.deadline.is_some()
    }

    /// By when the call has to end. After the first wait.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.unwrap_or(Deadline::NEVER)
    }
}

/// Suspends the coroutine for `pause`.
pub(super) fn suspend_for(pause: Duration) -> Result<(), c_int> {
    rt::sleep(pause).map_err(|error| errno::of(&error))
}

/// Waits until `fd` is ready; `EAGAIN` at the deadline. Errno stays as it was.
pub(super) fn ready(fd: c_int, interest: Interest, deadline: Deadline) -> Result<c_short, c_int> {
    wait_by(rt::wait_fd, fd, interest, deadline)
}

fn wait_by(
    wait: fn(c_int, Interest, Deadline) -> io::Result<c_short>,
    fd: c_int,
    interest: Interest,
    deadline: Deadline,
) -> Result<c_short, c_int> {
    if !rt::can_suspend() {
        return errno::kept(|| block(fd, interest, deadline));
    }
    let waited = errno::kept(|| wait(fd, interest, deadline));
    waited.map_err(|error| match errno::of(&error) {
        libc::ETIMEDOUT => libc::EAGAIN,
        code => code,
    })
}

/// The same where nothing may suspend.
fn block(fd: c_int, interest: Interest, deadline: Deadline) -> Result<c_short, c_int> {
    let events = match interest {
        Interest::Read => libc::POLLIN,
        Interest::Write => libc::POLLOUT,
        Interest::Both => libc::POLLIN | libc::POLLOUT,
    };
    let mut entry = pollfd { fd, events, revents: 0 };
    let timeout = rt::millis_until(deadline);
    // SAFETY: one valid entry.
    match unsafe { c::poll(&mut entry, 1, timeout) } {
        0 => Err(libc::EAGAIN),
        -1 => Err(errno::get()),
        _ => Ok(entry.revents),
    }
}

/// What the program set by `SO_RCVTIMEO` or `SO_SNDTIMEO`, if it is a socket.
pub(super) fn timeout(fd: c_int, interest: Interest) -> Option<Duration> {
    let option = if interest == Interest::Read { libc::SO_RCVTIMEO } else { libc::SO_SNDTIMEO };
    let mut value = libc::timeval { tv_sec: 0, tv_usec: 0 };
    let mut size = size_of_val(&value) as libc::socklen_t;
    let place = (&raw mut value).cast();
    // SAFETY: `value` has `size` bytes.
    let found = unsafe { libc::getsockopt(fd, libc::SOL_SOCKET, option, place, &mut size) };
    let set = found == 0 && (value.tv_sec, value.tv_usec) != (0, 0);
    set.then(|| {
        Duration::from_secs(value.tv_sec.max(0) as u64)
            + Duration::from_micros(value.tv_usec.max(0) as u64)
    })
}

const MOST_VAIN: u32 = 2;
const AT_ONCE_NS: u64 = 100_000;
const PAUSE: Duration = Duration::from_millis(1);
