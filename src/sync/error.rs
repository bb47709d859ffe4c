//! Why a wait ended without what it waited for.

use std::{fmt, io};

use crate::rt::WaitError;

/// Why a call of this module did not get what it asked for. The text is not a contract.
///
/// It converts into an [`io::Error`] with the matching OS error number: `ETIMEDOUT`, `ECANCELED`,
/// `EPIPE` (closed) or `EAGAIN` (would block); that of a forked child is the runtime's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Error(Kind);

impl Error {
    pub(super) const CLOSED: Error = Error(Kind::Closed);
    pub(super) const FORKED: Error = Error(Kind::Forked);
    pub(super) const WOULD_BLOCK: Error = Error(Kind::WouldBlock);

    /// The deadline passed first.
    #[must_use]
    pub fn is_timeout(&self) -> bool {
        self.0 == Kind::TimedOut
    }

    /// The waiting coroutine was cancelled.
    #[must_use]
    pub fn is_canceled(&self) -> bool {
        self.0 == Kind::Canceled
    }

    /// The queue is closed, and for a pop: also empty.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.0 == Kind::Closed
    }

    /// A `try_` call would have had to wait.
    #[must_use]
    pub fn would_block(&self) -> bool {
        self.0 == Kind::WouldBlock
    }

    /// This process was forked from one in which the runtime had started: a wait would never end.
    #[must_use]
    pub fn is_forked(&self) -> bool {
        self.0 == Kind::Forked
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
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
            Kind::TimedOut => "the deadline passed",
            Kind::Canceled => "the waiting coroutine was cancelled",
            Kind::Closed => "the queue is closed",
            Kind::WouldBlock => "the call would have to wait",
            Kind::Forked => "the runtime does not run in a forked child",
        })
    }
}

impl std::error::Error for Error {}

impl From<WaitError> for Error {
    fn from(e: WaitError) -> Error {
        Error(match e {
            WaitError::TimedOut => Kind::TimedOut,
            WaitError::Canceled => Kind::Canceled,
            WaitError::Forked => Kind::Forked,
        })
    }
}

impl From<Error> for io::Error {
    fn from(e: Error) -> io::Error {
        match e.0 {
            Kind::TimedOut => WaitError::TimedOut.into(),
            Kind::Canceled => WaitError::Canceled.into(),
            Kind::Closed => io::Error::from_raw_os_error(libc::EPIPE),
            Kind::WouldBlock => io::Error::from_raw_os_error(libc::EAGAIN),
            Kind::Forked => WaitError::Forked.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_has_its_predicate_and_number() {
        let all = [Kind::TimedOut, Kind::Canceled, Kind::Closed, Kind::WouldBlock, Kind::Forked]
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
