//! Why a wait ended without what it waited for.

use std::{fmt, io};

use crate::rt::WaitError;

/// Why an operation of this module failed. The text is not a contract.
///
/// It converts into an [`io::Error`] with the matching OS error number: `ETIMEDOUT`, `ECANCELED`,
/// `EPIPE` (closed) or `EAGAIN` (would block); in a forked child, the runtime's error.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(Reason);

impl Error {
    pub(super) const CLOSED: Error = Error(Reason::Closed);
    pub(super) const FORKED: Error = Error(Reason::Forked);
    pub(super) const WOULD_BLOCK: Error = Error(Reason::WouldBlock);

    /// Whether the deadline passed first.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0 == Reason::TimedOut
    }

    /// Whether the waiting coroutine was canceled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0 == Reason::Canceled
    }

    /// Whether the queue is closed and, for a pop, also empty.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0 == Reason::Closed
    }

    /// Whether a `try_` call would have had to wait.
    #[must_use]
    pub fn would_block(&self) -> bool {
        self.0 == Reason::WouldBlock
    }

    /// Whether this process was forked from one in which the runtime had started: a wait would never
    /// end.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.0 == Reason::Forked
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Reason {
    TimedOut,
    Canceled,
    Closed,
    WouldBlock,
    Forked,
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sync::Error({:?})", self.0)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Reason::TimedOut => "the deadline passed",
            Reason::Canceled => "the waiting coroutine was canceled",
            Reason::Closed => "the queue is closed",
            Reason::WouldBlock => "the call would have to wait",
            Reason::Forked => {
                "the runtime does not run in a forked child: fork before its first use"
            }
        })
    }
}

impl std::error::Error for Error {}

impl From<WaitError> for Error {
    fn from(e: WaitError) -> Error {
        Error(match e {
            WaitError::TimedOut => Reason::TimedOut,
            WaitError::Canceled => Reason::Canceled,
            WaitError::Forked => Reason::Forked,
        })
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        match e.0 {
            Reason::TimedOut => WaitError::TimedOut.into(),
            Reason::Canceled => WaitError::Canceled.into(),
            Reason::Closed => io::Error::from_raw_os_error(libc::EPIPE),
            Reason::WouldBlock => io::Error::from_raw_os_error(libc::EAGAIN),
            Reason::Forked => WaitError::Forked.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_predicate_and_number() {
        let all = [
            Reason::TimedOut,
            Reason::Canceled,
            Reason::Closed,
            Reason::WouldBlock,
            Reason::Forked,
        ]
        .map(Error);
        for (i, e) in all.iter().enumerate() {
            let said =
                [e.is_timeout(), e.is_canceled(), e.is_closed(), e.would_block(), e.is_forked()];
            assert_eq!(said.iter().filter(|x| **x).count(), 1, "{e:?}: {said:?}");
            assert!(said[i], "{e:?}: {said:?}");
        }
        let kinds = all.map(|e| io::Error::from(e).kind());
        assert_eq!(kinds[0], io::ErrorKind::TimedOut);
        assert_eq!(io::Error::from(all[1]).raw_os_error(), Some(libc::ECANCELED));
        assert_eq!(kinds[2], io::ErrorKind::BrokenPipe);
        assert_eq!(kinds[3], io::ErrorKind::WouldBlock);
        assert_eq!(kinds[4], io::Error::from(WaitError::Forked).kind());
        assert!(Error::from(WaitError::TimedOut).is_timeout());
        assert!(Error::from(WaitError::Canceled).is_canceled());
    }
}
