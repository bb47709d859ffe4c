//! What a call does that failed with `EAGAIN`: it suspends, unless the program made the fd
//! non-blocking.

use std::time::Duration;

use libc::{c_int, c_short};

use super::nonblocking::is_nonblocking;
use super::sockopt;
use crate::hook::wait;
use crate::rt::{self, Deadline, Interest};

/// A call that would block. Each [`wait`](WouldBlock::wait) suspends the coroutine until the call is
/// worth trying again.
pub(super) struct WouldBlock {
    fd: c_int,
    interest: Interest,
    /// Known once it had to wait.
    deadline: Option<Deadline>,
    has_tried_again: bool,
    /// Consecutive waits that ended at once although the call then failed with `EAGAIN` again.
    spurious: u32,
}

impl WouldBlock {
    pub(super) fn new(fd: c_int, interest: Interest) -> WouldBlock {
        WouldBlock { fd, interest, deadline: None, has_tried_again: false, spurious: 0 }
    }

    /// Waits until the fd is ready, and returns poll's bits.
    ///
    /// # Errors
    /// The errno for the program: `EAGAIN` at once for an fd that the program made non-blocking,
    /// and at the end of `SO_RCVTIMEO` or `SO_SNDTIMEO`; `ECANCELED`; `EBADF` after a close.
    pub(super) fn wait(&mut self) -> Result<c_short, c_int> {
        let deadline = match self.deadline {
            Some(deadline) => deadline,
            None if is_nonblocking(self.fd)? => return Err(libc::EAGAIN),
            None => *self.deadline.insert(Deadline::from(sockopt::timeout(self.fd, self.interest))),
        };
        if self.spurious >= MAX_SPURIOUS {
            self.pause(deadline)?;
        }
        if !self.has_tried_again {
            // Nearly always the only wait: the clock need not be read.
            self.has_tried_again = true;
            return wait::ready_again(self.fd, self.interest, deadline);
        }
        let before = rt::now_ns();
        let ready = wait::ready_again(self.fd, self.interest, deadline)?;
        // Ready, and yet it would block: a datagram for another receiver, a peer whose queue is
        // full. No event says when that ends.
        let at_once = rt::now_ns().saturating_sub(before) < AT_ONCE_NS;
        self.spurious = if at_once { self.spurious + 1 } else { 0 };
        Ok(ready)
    }

    /// Sleeps briefly, where no event tells when to try again.
    pub(super) fn pause(&self, deadline: Deadline) -> Result<(), c_int> {
        if deadline.has_passed() {
            return Err(libc::EAGAIN);
        }
        let pause = PAUSE * (self.spurious.clamp(1, 8));
        let pause = deadline.remaining().map_or(pause, |left| left.min(pause));
        wait::pause(pause)
    }

    /// Whether it had to wait, and the program allows that.
    pub(super) fn has_waited(&self) -> bool {
        self.deadline.is_some()
    }

    /// When the call has to end; never, before its first wait.
    pub(super) fn deadline(&self) -> Deadline {
        self.deadline.unwrap_or(Deadline::NEVER)
    }
}

const MAX_SPURIOUS: u32 = 2;
const AT_ONCE_NS: u64 = 100_000;
const PAUSE: Duration = Duration::from_millis(1);
