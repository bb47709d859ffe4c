//! What pthread mutexes and reader-writer locks share: recording who holds them, and deciding when to
//! suspend for one rather than to block in libc.

use std::ops::Range;
use std::time::Duration;

use libc::{c_int, clockid_t, timespec};

use super::allocator;
use crate::hook::{errno, time};
use crate::rt::{self, Attempt, Deadline, HeldAs, Holder, Site, WaitError};

/// Jumps to `$to` with two more arguments, in these registers: the return address of the call, and the
/// caller's frame pointer.
macro_rules! with_caller {
    ($to:path, $x86_address:literal, $x86_frame:literal, $arm_address:literal, $arm_frame:literal) => {
        #[cfg(target_arch = "x86_64")]
        naked_asm!(
            concat!("mov ", $x86_address, ", [rsp]"),
            concat!("mov ", $x86_frame, ", rbp"),
            "jmp {}",
            sym $to,
        );
        #[cfg(target_arch = "aarch64")]
        naked_asm!(
            concat!("mov ", $arm_address, ", x30"),
            concat!("mov ", $arm_frame, ", x29"),
            "b {}",
            sym $to,
        )
    };
}
pub(super) use with_caller;

/// A libc lock and the way it is to be taken. Whoever makes one vouches for the man pages' contract.
pub(super) trait Lock: Copy {
    const HELD_AS: HeldAs;

    fn address(self) -> usize;
    /// Locks without waiting, or returns `EBUSY`.
    fn try_lock(self) -> c_int;
    fn lock(self) -> c_int;
    /// Locks by a time on the realtime clock.
    fn lock_until(self, time: &timespec) -> c_int;
    /// Whether libc takes it for the caller's own when any coroutine of the thread holds it.
    fn is_recursive(self) -> bool;
}

/// Records that the calling coroutine has unlocked the lock at `address`, which may be destroyed by
/// now, and wakes its waiters.
#[inline]
pub(super) fn record_unlock(address: usize) {
    if let Some(holder) = Holder::current() {
        holder.pop(address);
    }
    rt::notify_address(address);
}

/// Locks, for a caller with this return address and frame pointer.
#[inline]
pub(super) fn lock(lock: impl Lock, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else { return lock.lock() };
    let site = holder.site(address, frame);
    if must_suspend(holder, lock) || may_suspend(holder, address) {
        return lock_suspending(holder, lock, site);
    }
    recorded(holder, lock, site, lock.lock())
}

/// Locks without waiting.
#[inline]
pub(super) fn try_lock(lock: impl Lock, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else { return lock.try_lock() };
    try_recorded(holder, lock, holder.site(address, frame))
}

/// Locks by a time; calls `real` where it does not suspend.
///
/// # Safety
/// A valid time, if the lock has to be waited for.
#[inline]
pub(super) unsafe fn lock_until(
    lock: impl Lock,
    clock: clockid_t,
    time: *const timespec,
    (address, frame): (usize, usize),
    real: impl FnOnce() -> c_int,
) -> c_int {
    let known = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock);
    let Some(holder) = Holder::current().filter(|_| known) else { return real() };
    let site = holder.site(address, frame);
    if !must_suspend(holder, lock) && !may_suspend(holder, address) {
        return recorded(holder, lock, site, real());
    }
    match try_recorded(holder, lock, site) {
        libc::EBUSY => {}
        result => return result,
    }
    // SAFETY: the caller's contract.
    let time = unsafe { *time };
    if !(0..1_000_000_000).contains(&time.tv_nsec) {
        return libc::EINVAL;
    }
    lock_by(holder, lock, site, || time::deadline_at(clock, &time))
}

pub(super) fn lock_suspending(holder: Holder, lock: impl Lock, site: Site) -> c_int {
    lock_by(holder, lock, site, || Deadline::NEVER)
}

/// Locks without waiting, and records that.
fn try_recorded<L: Lock>(holder: Holder, lock: L, site: Site) -> c_int {
    let is_held = holder.is_held_by_other(lock.address());
    // libc would take it for the caller's own, because its owner is the thread.
    if is_held && lock.is_recursive() {
        return libc::EBUSY;
    }
    let result = lock.try_lock();
    if is_held && has_locked(result) && L::HELD_AS.is_exclusive() {
        // It was unlocked past the hooks, or by another thread.
        holder.pop_of_other(lock.address());
    }
    recorded(holder, lock, site, result)
}

/// Records the lock if `result` says that it was taken, and returns `result`.
#[inline]
fn recorded<L: Lock>(holder: Holder, lock: L, site: Site, result: c_int) -> c_int {
    if has_locked(result) {
        holder.push(lock.address(), L::HELD_AS, site);
    }
    result
}

/// A robust mutex whose owner has died is locked too.
#[inline]
fn has_locked(result: c_int) -> bool {
    result == 0 || result == libc::EOWNERDEAD
}

/// Whether a coroutine of this worker holds it, which could never unlock it if libc blocked here.
#[inline]
fn must_suspend(holder: Holder, lock: impl Lock) -> bool {
    holder.is_held_by_other(lock.address())
}

/// Whether a lock taken at `address` suspends if it has to wait, by the option `hook_locks`. Not within
/// an allocator, whose per-thread state may be inconsistent at that point.
#[inline]
fn may_suspend(holder: Holder, address: usize) -> bool {
    holder.suspends() && !allocator::contains(address)
}

/// Locks, and suspends until that is possible.
fn lock_by(holder: Holder, lock: impl Lock, site: Site, deadline: impl Fn() -> Deadline) -> c_int {
    let address = lock.address();
    let result = try_recorded(holder, lock, site);
    if result != libc::EBUSY {
        return result;
    }
    if !rt::is_own_process() {
        // A child of vfork(2) runs on the stack of its suspended parent.
        return lock.lock();
    }
    if holder.site_of(address).is_some() {
        // Its own already: libc knows whether that is an error. The time-out is over at once.
        let result = lock.lock_until(&timespec { tv_sec: 0, tv_nsec: 0 });
        if result != libc::ETIMEDOUT {
            return recorded(holder, lock, site, result);
        }
    }
    holder.report_deadlock(address);
    let mut result = libc::EBUSY;
    let look = || {
        // Recorded at once: others of this worker may run before the one that waited.
        result = try_recorded(holder, lock, site);
        if result == libc::EBUSY { Attempt::Failed } else { Attempt::Took }
    };
    // No program expects a lock to fail because of a cancellation.
    let waited =
        errno::kept(|| rt::uncancellable(|| rt::wait_address(address, deadline, PAUSES, look)));
    match waited {
        Ok(()) => result,
        Err(WaitError::TimedOut) => libc::ETIMEDOUT,
        // In a forked child; the other does not happen.
        Err(WaitError::Forked | WaitError::Canceled) => lock.lock(),
    }
}

/// An unlock that no hook sees, as by a thread in libc's pthread_cond_wait(3), is found by polling.
const PAUSES: Range<Duration> = Duration::from_micros(100)..Duration::from_millis(16);
