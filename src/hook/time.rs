//! `timespec` to and from durations and deadlines.

use std::time::Duration;

use libc::{clockid_t, timespec};

use crate::rt::Deadline;

/// Returns the deadline at `time` on `clock`, as the clock goes now; a time before the clock's
/// beginning has passed.
pub(super) fn deadline_at(clock: clockid_t, time: &timespec) -> Deadline {
    match duration(time).map(|time| until(clock, time)) {
        Ok(left) if !left.is_zero() => Deadline::after(left),
        _ => Deadline::NOW,
    }
}

/// Returns how long it is until `clock` shows `time`.
pub(super) fn until(clock: clockid_t, time: Duration) -> Duration {
    let mut now = timespec(Duration::ZERO);
    // SAFETY: a place for the time of a clock that exists.
    unsafe { libc::clock_gettime(clock, &mut now) };
    duration(&now).map_or(Duration::ZERO, |now| time.saturating_sub(now))
}

/// Returns the deadline of a time-out; NULL means never.
///
/// # Errors
/// Where the kernel says `EINVAL`.
///
/// # Safety
/// NULL or valid.
pub(super) unsafe fn deadline(timeout: *const timespec) -> Result<Deadline, ()> {
    // SAFETY: the caller's contract.
    let timeout = unsafe { timeout.as_ref() }.map(duration).transpose()?;
    Ok(Deadline::from(timeout))
}

/// Converts a `timespec`.
///
/// # Errors
/// Where the kernel says `EINVAL`.
pub(super) fn duration(time: &timespec) -> Result<Duration, ()> {
    let seconds = u64::try_from(time.tv_sec).map_err(|_| ())?;
    match u32::try_from(time.tv_nsec) {
        Ok(nanos) if nanos < 1_000_000_000 => Ok(Duration::new(seconds, nanos)),
        _ => Err(()),
    }
}

pub(super) fn timespec(time: Duration) -> timespec {
    timespec {
        tv_sec: time.as_secs().try_into().unwrap_or(libc::time_t::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}
