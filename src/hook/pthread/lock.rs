//! What all locks of pthreads have in common: that it is noted who has them, and when to suspend for
//! one rather than to block in libc.

use std::ops::Range;
use std::time::Duration;

use libc::{c_int, clockid_t, timespec};

use super::allocator;
use crate::hook::{errno, time};
use crate::rt::{self, Deadline, HeldAs, Holder, Look, Site, WaitError};

/// Goes on at `$to` with two more arguments, in these registers: the address to which the call
/// returns, and the caller's frame pointer.
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

/// A lock of libc, as it is wanted: its man pages are the contract of whoever makes one.
pub(super) trait Lock: Copy {
    const HELD_AS: HeldAs;

    fn address(self) -> usize;
    /// Without waiting: `EBUSY`.
    fn try_lock(self) -> c_int;
    fn lock(self) -> c_int;
    /// Until a time of the realtime clock.
    fn lock_until(self, time: &timespec) -> c_int;
    /// Whether to libc it is the caller's own if any coroutine of the thread has it.
    fn is_recursive(self) -> bool;
}

/// Notes that the calling coroutine has unlocked what is at `address`, where somebody may have
/// destroyed it by now, and tells those who wait for it.
#[inline]
pub(super) fn note_unlock(address: usize) {
    if let Some(holder) = Holder::current() {
        holder.pop(address);
    }
    rt::notify_address(address);
}

/// Locks, called from `address` with `frame`.
#[inline]
pub(super) fn lock(lock: impl Lock, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else { return lock.lock() };
    let site = holder.site(address, frame);
    if must_suspend(holder, lock) || may_suspend(holder, address) {
        return lock_suspending(holder, lock, site);
    }
    noted(holder, lock, site, lock.lock())
}

/// The same without waiting.
#[inline]
pub(super) fn try_lock(lock: impl Lock, address: usize, frame: usize) -> c_int {
    let Some(holder) = Holder::current() else { return lock.try_lock() };
    try_noted(holder, lock, holder.site(address, frame))
}

/// The same until a time; by `real`, where it does not suspend.
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
        return noted(holder, lock, site, real());
    }
    match try_noted(holder, lock, site) {
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

/// Locks without waiting.
fn try_noted<L: Lock>(holder: Holder, lock: L, site: Site) -> c_int {
    let is_held = holder.is_held_by_other(lock.address());
    // To libc it would be the caller's own: its owner is the thread.
    if is_held && lock.is_recursive() {
        return libc::EBUSY;
    }
    let result = lock.try_lock();
    if is_held && has_locked(result) && L::HELD_AS.is_exclusive() {
        // Somebody unlocked it past the hooks, or from another thread.
        holder.pop_of_other(lock.address());
    }
    noted(holder, lock, site, result)
}

/// What libc answered to a lock, noted if that succeeded.
#[inline]
fn noted<L: Lock>(holder: Holder, lock: L, site: Site, result: c_int) -> c_int {
    if has_locked(result) {
        holder.push(lock.address(), L::HELD_AS, site);
    }
    result
}

/// A robust mutex whose owner died is locked as well.
#[inline]
fn has_locked(result: c_int) -> bool {
    result == 0 || result == libc::EOWNERDEAD
}

/// Whether nobody could ever unlock it, if libc blocked for it here.
#[inline]
fn must_suspend(holder: Holder, lock: impl Lock) -> bool {
    holder.is_held_by_other(lock.address())
}

/// Whether a lock at `address` suspends if it has to wait, by the option `hook_locks`. Not within an
/// allocator: it may be half way through what it keeps for the thread.
#[inline]
fn may_suspend(holder: Holder, address: usize) -> bool {
    holder.suspends() && !allocator::contains(address)
}

/// Locks it as soon as it is free.
fn lock_by(holder: Holder, lock: impl Lock, site: Site, deadline: impl Fn() -> Deadline) -> c_int {
    let address = lock.address();
    let result = try_noted(holder, lock, site);
    if result != libc::EBUSY {
        return result;
    }
    if !rt::is_own_process() {
        // A child of vfork(2) runs on the stack of its parent, which sleeps.
        return lock.lock();
    }
    if holder.site_of(address).is_some() {
        // Its own: libc knows whether that is an error. It waits for no time.
        let result = lock.lock_until(&timespec { tv_sec: 0, tv_nsec: 0 });
        if result != libc::ETIMEDOUT {
            return noted(holder, lock, site, result);
        }
    }
    holder.report_deadlock(address);
    let mut result = libc::EBUSY;
    let look = || {
        // Noted at once: others of this worker may run before the one that waited.
        result = try_noted(holder, lock, site);
        if result == libc::EBUSY { Look::Nothing } else { Look::Took }
    };
    // A lock cannot fail because somebody was cancelled: the program does not expect it.
    let waited =
        errno::kept(|| rt::uncancellable(|| rt::wait_address(address, deadline, PAUSES, look)));
    match waited {
        Ok(()) => result,
        Err(WaitError::TimedOut) => libc::ETIMEDOUT,
        // Another process; or never.
        Err(WaitError::Forked | WaitError::Canceled) => lock.lock(),
    }
}

/// An unlock within libc, by a thread that waits for a condition, is found by looking again.
const PAUSES: Range<Duration> = Duration::from_micros(100)..Duration::from_millis(16);
