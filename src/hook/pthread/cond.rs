//! Pthread condition variables: with the option `hook_locks` a coroutine that waits for one suspends.
//
// Plain threads wait in libc as ever. Coroutines wait in lists of ours; a signal goes to libc and
// to the coroutine that has waited longest, so it may wake one of each. A program has to check its
// condition again in any case.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use libc::{c_int, clockid_t, pthread_cond_t, pthread_mutex_t, timespec};

use super::lock::lock_suspending;
use super::mutex::{Mutex as PthreadMutex, pthread_mutex_unlock};
use crate::hook::time;
use crate::rt::{self, Deadline, Holder, Site, WaitError, Waiter, Waker};
use crate::sys::{pthread_layout, real};

/// pthread_cond_wait(3). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_wait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
) -> c_int {
    let Some(holder) = suspending() else {
        // SAFETY: the caller's contract.
        return unsafe { real::pthread_cond_wait(cond, mutex) };
    };
    // SAFETY: the caller's contract.
    unsafe { wait(holder, cond, mutex, || Deadline::NEVER) }
}

/// pthread_cond_timedwait(3). May suspend.
///
/// # Safety
/// As for [`pthread_cond_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_timedwait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
) -> c_int {
    let Some(holder) = suspending() else {
        // SAFETY: the caller's contract, here and below.
        return unsafe { real::pthread_cond_timedwait(cond, mutex, time) };
    };
    // SAFETY: as above.
    let (clock, time) = unsafe { (pthread_layout::clock(cond), *time) };
    // SAFETY: as above.
    unsafe { wait_until(holder, cond, mutex, clock, time) }
}

/// pthread_cond_clockwait(3). May suspend.
///
/// # Safety
/// As for [`pthread_cond_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_clockwait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    let known = [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC].contains(&clock);
    let Some(holder) = suspending().filter(|_| known) else {
        // SAFETY: the caller's contract.
        return unsafe { real::pthread_cond_clockwait(cond, mutex, clock, time) };
    };
    // SAFETY: the caller's contract.
    unsafe { wait_until(holder, cond, mutex, clock, *time) }
}

/// pthread_cond_signal(3), from any thread.
///
/// # Safety
/// As for [`pthread_cond_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_signal(cond: *mut pthread_cond_t) -> c_int {
    // SAFETY: the caller's contract.
    let result = unsafe { real::pthread_cond_signal(cond) };
    signal(cond as usize, false);
    result
}

/// pthread_cond_broadcast(3), from any thread.
///
/// # Safety
/// As for [`pthread_cond_wait`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_cond_broadcast(cond: *mut pthread_cond_t) -> c_int {
    // SAFETY: the caller's contract.
    let result = unsafe { real::pthread_cond_broadcast(cond) };
    signal(cond as usize, true);
    result
}

/// Returns the calling coroutine, if it is to suspend.
#[inline]
fn suspending() -> Option<Holder> {
    Holder::current().filter(|holder| holder.suspends() && rt::is_own_process())
}

/// # Safety
/// As for [`pthread_cond_wait`].
unsafe fn wait_until(
    holder: Holder,
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: timespec,
) -> c_int {
    if !(0..1_000_000_000).contains(&time.tv_nsec) {
        return libc::EINVAL;
    }
    // SAFETY: the caller's contract.
    unsafe { wait(holder, cond, mutex, || time::deadline_at(clock, &time)) }
}

/// # Safety
/// As for [`pthread_cond_wait`].
unsafe fn wait(
    holder: Holder,
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    deadline: impl Fn() -> Deadline,
) -> c_int {
    // SAFETY: the caller's contract.
    let is_shared = unsafe { pthread_layout::is_shared(cond) };
    let site = holder.site_of(mutex as usize).unwrap_or(Site::UNKNOWN);
    let mut waiter = Some(Waiter::new());
    let entry = Entry::new(cond as usize, waiter.as_ref().map(Waiter::waker));
    let listed = Listed::new(&entry);
    // SAFETY: the caller's contract.
    let unlocked = unsafe { pthread_mutex_unlock(mutex) };
    if unlocked != 0 {
        return unlocked;
    }
    let outcome = loop {
        let deadline = deadline();
        let step = match is_shared {
            true => deadline.min(Deadline::after(SHARED_CHECK)),
            false if deadline.is_never() => deadline,
            false => deadline.min(Deadline::after(CLOCK_CHECK)),
        };
        // pthread_cond_wait(3) has no error for a cancellation.
        match rt::uncancellable(|| listed.wait(waiter.take(), step)) {
            Err(WaitError::TimedOut) if deadline.has_passed() => break libc::ETIMEDOUT,
            // Another process may have signaled: a spurious wakeup lets the program check.
            Err(WaitError::TimedOut) if is_shared || !listed.is_listed() => break 0,
            Err(WaitError::TimedOut) => {}
            _ => break 0,
        }
    };
    drop(listed);
    match lock_suspending(holder, PthreadMutex(mutex), site) {
        0 => outcome,
        result => result,
    }
}

/// Wakes the coroutine that has waited longest at `address`, or all that wait there now.
#[inline]
fn signal(address: usize, all: bool) {
    if WAITERS.load(Ordering::SeqCst) != 0 && rt::is_own_process() {
        wake(address, all);
    }
}

#[cold]
fn wake(address: usize, all: bool) {
    // Not those who begin to wait from now on.
    let now = NEXT.fetch_add(1, Ordering::Relaxed);
    while let Some(waker) = list(address).take(address, now) {
        // A waiter whose time is just over does not use up the signal.
        if waker.wake() && !all {
            return;
        }
    }
}

/// A waiting coroutine. Lives on its stack, and in a list until it is signaled.
struct Entry {
    address: usize,
    number: u64,
    waker: Cell<Option<Waker>>,
    listed: Cell<bool>,
    previous: Cell<*const Entry>,
    next: Cell<*const Entry>,
}

impl Entry {
    fn new(address: usize, waker: Option<Waker>) -> Entry {
        Entry {
            address,
            number: NEXT.fetch_add(1, Ordering::Relaxed),
            waker: Cell::new(waker),
            listed: Cell::new(false),
            previous: Cell::new(std::ptr::null()),
            next: Cell::new(std::ptr::null()),
        }
    }
}

/// An entry in its list; removed when this is dropped.
struct Listed<'a>(&'a Entry);

impl<'a> Listed<'a> {
    fn new(entry: &'a Entry) -> Listed<'a> {
        list(entry.address).push(entry);
        Listed(entry)
    }

    /// Waits for a signal: by `first`, whose waker is in the entry, or after a time-out by a new one.
    fn wait(&self, first: Option<Waiter>, deadline: Deadline) -> Result<(), WaitError> {
        let waiter = match first {
            Some(waiter) => waiter,
            None => {
                let list = list(self.0.address);
                if !self.0.listed.get() {
                    return Ok(());
                }
                let waiter = Waiter::new();
                self.0.waker.set(Some(waiter.waker()));
                drop(list);
                waiter
            }
        };
        waiter.wait(deadline)
    }

    fn is_listed(&self) -> bool {
        let _list = list(self.0.address);
        self.0.listed.get()
    }
}

impl Drop for Listed<'_> {
    fn drop(&mut self) {
        list(self.0.address).remove(self.0);
    }
}

/// Entries of the addresses that share a bucket, the oldest first.
struct List {
    first: *const Entry,
    last: *const Entry,
}

// SAFETY: a listed entry does not move, and is used under the list's lock.
unsafe impl Send for List {}

impl List {
    fn push(&mut self, entry: &Entry) {
        entry.listed.set(true);
        entry.previous.set(self.last);
        // SAFETY: listed entries live, here and below.
        match unsafe { self.last.as_ref() } {
            Some(last) => last.next.set(entry),
            None => self.first = entry,
        }
        self.last = entry;
        WAITERS.fetch_add(1, Ordering::SeqCst);
    }

    fn remove(&mut self, entry: &Entry) {
        if !entry.listed.replace(false) {
            return;
        }
        let (previous, next) = (entry.previous.get(), entry.next.get());
        // SAFETY: as above.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => self.first = next,
        }
        // SAFETY: as above.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => self.last = previous,
        }
        WAITERS.fetch_sub(1, Ordering::SeqCst);
    }

    /// Removes the oldest entry of `address` that is older than `now`.
    fn take(&mut self, address: usize, now: u64) -> Option<Waker> {
        let mut next = self.first;
        // SAFETY: as above.
        while let Some(entry) = unsafe { next.as_ref() } {
            next = entry.next.get();
            if entry.address == address && entry.number < now {
                self.remove(entry);
                return entry.waker.take();
            }
        }
        None
    }
}

fn list(address: usize) -> MutexGuard<'static, List> {
    static LISTS: [Mutex<List>; rt::ADDRESS_BUCKETS] =
        [const { Mutex::new(List { first: std::ptr::null(), last: std::ptr::null() }) };
            rt::ADDRESS_BUCKETS];
    LISTS[rt::address_bucket(address)].lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts the waiting coroutines of this process.
static WAITERS: AtomicUsize = AtomicUsize::new(0);
/// Orders waiters and signals.
static NEXT: AtomicU64 = AtomicU64::new(0);

/// How often a waiter checks for a signal from another process.
const SHARED_CHECK: Duration = Duration::from_millis(16);
/// How often a clock that can be set is read again.
const CLOCK_CHECK: Duration = Duration::from_secs(1);
