//! Deadlines and the clock behind them.

use std::fmt;
use std::time::{Duration, Instant};

/// A point in time on the monotonic clock until which a call may wait, or never.
///
/// A deadline, unlike a timeout, can be passed through several layers: the time already spent is not
/// granted again.
///
/// ```
/// use fastrpc::rt::Deadline;
/// use std::time::Duration;
///
/// let deadline = Deadline::after(Duration::from_secs(5));
/// assert!(!deadline.has_passed());
/// assert!(deadline < Deadline::NEVER);
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(u64);

impl Deadline {
    /// A deadline that never passes.
    pub const NEVER: Deadline = Deadline(u64::MAX);
    /// A deadline that has passed: a call that would wait fails at once.
    pub const NOW: Deadline = Deadline(0);

    /// Returns the deadline `timeout` from now; beyond the clock's range, one that never passes.
    pub fn after(timeout: Duration) -> Deadline {
        let nanos = u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX);
        Deadline(now_ns().saturating_add(nanos))
    }

    /// Returns the deadline at `instant`.
    pub fn at(instant: Instant) -> Deadline {
        let now = Instant::now();
        match instant.checked_duration_since(now) {
            Some(ahead) => Deadline::after(ahead),
            None => {
                let past = u64::try_from((now - instant).as_nanos()).unwrap_or(u64::MAX);
                Deadline(now_ns().saturating_sub(past))
            }
        }
    }

    /// Whether this deadline can pass at all.
    pub fn is_never(self) -> bool {
        self == Deadline::NEVER
    }

    /// Whether the deadline has passed.
    pub fn has_passed(self) -> bool {
        self.0 != u64::MAX && now_ns() >= self.0
    }

    /// Returns the time left: zero once it has passed, `None` for [`Deadline::NEVER`].
    pub fn remaining(self) -> Option<Duration> {
        (!self.is_never()).then(|| Duration::from_nanos(self.0.saturating_sub(now_ns())))
    }

    pub(crate) fn from_ns(ns: u64) -> Deadline {
        Deadline(ns)
    }

    /// Returns nanoseconds on the clock of [`now_ns`]; `u64::MAX` is never.
    pub(crate) fn ns(self) -> u64 {
        self.0
    }
}

/// `None` is [`Deadline::NEVER`], a duration counts from now.
impl From<Option<Duration>> for Deadline {
    fn from(timeout: Option<Duration>) -> Self {
        timeout.map_or(Deadline::NEVER, Deadline::after)
    }
}

impl From<Duration> for Deadline {
    fn from(timeout: Duration) -> Self {
        Deadline::after(timeout)
    }
}

impl fmt::Debug for Deadline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remaining() {
            None => f.write_str("never"),
            Some(left) => write!(f, "in {left:?}"),
        }
    }
}

/// Returns nanoseconds of `CLOCK_MONOTONIC`, the clock of every deadline in this crate.
pub(crate) fn now_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC)
}

/// Returns the same clock as of the kernel's last tick (1 to 10 ms ago): several times cheaper to read.
pub(crate) fn coarse_ns() -> u64 {
    clock_ns(libc::CLOCK_MONOTONIC_COARSE)
}

fn clock_ns(clock: libc::clockid_t) -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is a valid timespec to write to; both clocks exist since Linux 2.6.32.
    unsafe { libc::clock_gettime(clock, &mut now) };
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// Returns the timeout for a system call that takes milliseconds: rounded up, so that it does not
/// return before the deadline; -1 for never.
pub(crate) fn millis_until(deadline: Deadline) -> libc::c_int {
    match deadline.remaining() {
        None => -1,
        Some(left) => left.as_nanos().div_ceil(1_000_000).try_into().unwrap_or(libc::c_int::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deadlines_round_up_and_compare() {
        assert!(Deadline::NEVER > Deadline::after(Duration::from_secs(1 << 33)));
        assert!(Deadline::NOW.has_passed());
        assert!(!Deadline::NEVER.has_passed());
        let soon = Deadline::after(Duration::from_micros(1500));
        assert_eq!(millis_until(soon), 2);
        assert_eq!(millis_until(Deadline::NEVER), -1);
        assert_eq!(millis_until(Deadline::NOW), 0);
        assert!(Deadline::at(Instant::now() - Duration::from_secs(1)).has_passed());
        assert!(!Deadline::at(Instant::now() + Duration::from_secs(60)).has_passed());
    }
}
