//! Waits on an address, as a futex does: for an object in memory that any thread may change, such as a
//! libc semaphore or mutex. Whoever changes it calls [`notify_address`], which takes no lock and does
//! not allocate, so that signal handlers may call it too.
//!
//! A notification sets a bit, one for all addresses of a bucket, at each worker that has waiters in
//! that bucket. The worker then lets its waiters try, in the order of their arrival. A change without a
//! notification, by another process for example, is found by polling at growing intervals.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence, fence};
use std::time::Duration;

use super::inbox::{self, Inbox};
use super::wait::{WaitError, Waiter, Waker};
use crate::rt::fork;
use crate::rt::time::Deadline;
use crate::rt::worker::Worker;

/// The result of an attempt to take the object.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// It was taken: the wait is over, and the next waiter may try as well.
    Took,
    /// It was not: the wait goes on, and so do those behind it.
    Failed,
}

/// Waits until `attempt` takes the object at `address`. `attempt` is called in the coroutine and in
/// its worker's reactor and must not wait. `deadline` is called again after each interval; intervals
/// between two attempts without a notification grow within `intervals`. In a coroutine only.
pub(crate) fn wait_address(
    address: usize,
    deadline: impl Fn() -> Deadline,
    intervals: Range<Duration>,
    attempt: impl FnMut() -> Attempt,
) -> Result<(), WaitError> {
    let worker = Worker::current().expect("called in a coroutine");
    let attempt = RefCell::new(attempt);
    let entry = Entry::new(address, &attempt);
    let _linked = LinkedEntry::new(&worker.address_waits, &entry);
    let mut interval = intervals.start;
    loop {
        let waiter = Waiter::new();
        entry.waker.set(Some(waiter.waker()));
        // A change before this is seen here; a later one is notified. All waiters try, so that none
        // is overtaken.
        worker.address_waits.serve_address(address);
        if entry.has_taken.get() {
            return Ok(());
        }
        let deadline = deadline();
        if deadline.has_passed() {
            return Err(WaitError::TimedOut);
        }
        let waited = waiter.wait(deadline.min(Deadline::after(interval)));
        if entry.has_taken.get() {
            return Ok(());
        }
        match waited {
            Err(WaitError::TimedOut) => interval = (interval * 2).min(intervals.end),
            ended => return ended,
        }
    }
}

/// Lets the waiters of `address` try. The object was changed before, by an atomic read-modify-write;
/// this reads nothing at the address.
#[inline]
pub(crate) fn notify_address(address: usize) {
    // Pairs with the fence of `AddressWaits::insert`: either the waiters see the change, or we see
    // the waiters.
    if cfg!(target_arch = "x86_64") {
        // The caller's read-modify-write was a full fence.
        compiler_fence(Ordering::SeqCst);
    } else {
        fence(Ordering::SeqCst);
    }
    if WAITERS.load(Ordering::Relaxed) != 0 {
        notify_workers(address);
    }
}

#[cold]
fn notify_workers(address: usize) {
    if fork::is_forked() {
        return;
    }
    for inbox in inbox::all().unwrap_or_default() {
        inbox.notify_buckets(1 << bucket(address));
    }
}

/// The waits of one worker's coroutines. Home worker only.
pub(in crate::rt) struct AddressWaits {
    inbox: &'static Inbox,
    /// The oldest and the newest entry of each bucket.
    buckets: [Cell<(*const Entry, *const Entry)>; BUCKETS],
}

impl AddressWaits {
    pub(in crate::rt) fn new(inbox: &'static Inbox) -> AddressWaits {
        let none = || Cell::new((std::ptr::null(), std::ptr::null()));
        AddressWaits { inbox, buckets: std::array::from_fn(|_| none()) }
    }

    /// Lets the waiters in a set of buckets try.
    pub(in crate::rt) fn serve(&self, mut buckets: u64) {
        while buckets != 0 {
            self.serve_bucket(buckets.trailing_zeros() as usize);
            buckets &= buckets - 1;
        }
    }

    /// Lets the waiters of `address`, and of others in its bucket, try.
    #[inline]
    pub(in crate::rt) fn serve_address(&self, address: usize) {
        let bucket = bucket(address);
        if !self.buckets[bucket].get().0.is_null() {
            self.serve_bucket(bucket);
        }
    }

    fn serve_bucket(&self, bucket: usize) {
        let mut next = self.buckets[bucket].get().0;
        let mut failed = 0;
        // SAFETY: an entry in the list is alive, on the stack of its waiting coroutine.
        while let Some(entry) = unsafe { next.as_ref() } {
            next = entry.next.get();
            if entry.address == failed {
                continue;
            }
            // Also for one whose interval or deadline has just passed and which has not run since.
            match entry.attempt() {
                Attempt::Took => {
                    self.remove(entry);
                    entry.has_taken.set(true);
                    if let Some(waker) = entry.waker.take() {
                        waker.wake();
                    }
                }
                Attempt::Failed => failed = entry.address,
            }
        }
    }

    fn insert(&self, entry: &Entry) {
        let bucket = bucket(entry.address);
        let (first, last) = self.buckets[bucket].get();
        entry.previous.set(last);
        entry.linked.set(true);
        // SAFETY: as in `serve_bucket`.
        match unsafe { last.as_ref() } {
            Some(last) => {
                last.next.set(entry);
                self.buckets[bucket].set((first, entry));
            }
            None => {
                self.buckets[bucket].set((entry, entry));
                self.inbox.await_buckets(1 << bucket);
            }
        }
        WAITERS.fetch_add(1, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    fn remove(&self, entry: &Entry) {
        if !entry.linked.replace(false) {
            return;
        }
        let bucket = bucket(entry.address);
        let (mut first, mut last) = self.buckets[bucket].get();
        let (previous, next) = (entry.previous.get(), entry.next.get());
        // SAFETY: as in `serve_bucket`.
        match unsafe { previous.as_ref() } {
            Some(previous) => previous.next.set(next),
            None => first = next,
        }
        // SAFETY: as in `serve_bucket`.
        match unsafe { next.as_ref() } {
            Some(next) => next.previous.set(previous),
            None => last = previous,
        }
        self.buckets[bucket].set((first, last));
        if first.is_null() {
            self.inbox.unawait_buckets(1 << bucket);
        }
        WAITERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One wait. Lives on its coroutine's stack.
struct Entry {
    address: usize,
    /// Calls the attempt at `data`.
    call: unsafe fn(*const ()) -> Attempt,
    data: *const (),
    waker: Cell<Option<Waker>>,
    linked: Cell<bool>,
    has_taken: Cell<bool>,
    previous: Cell<*const Entry>,
    next: Cell<*const Entry>,
}

impl Entry {
    fn new<F: FnMut() -> Attempt>(address: usize, attempt: &RefCell<F>) -> Entry {
        /// # Safety
        /// `data` is that of an entry created for the same `F`.
        unsafe fn call<F: FnMut() -> Attempt>(data: *const ()) -> Attempt {
            // SAFETY: the caller's contract.
            let attempt = unsafe { &*data.cast::<RefCell<F>>() };
            (*attempt.borrow_mut())()
        }
        Entry {
            address,
            call: call::<F>,
            data: std::ptr::from_ref(attempt).cast(),
            waker: Cell::new(None),
            linked: Cell::new(false),
            has_taken: Cell::new(false),
            previous: Cell::new(std::ptr::null()),
            next: Cell::new(std::ptr::null()),
        }
    }

    fn attempt(&self) -> Attempt {
        // SAFETY: `call` and `data` belong together, and `data` outlives the entry.
        unsafe { (self.call)(self.data) }
    }
}

/// Keeps an entry in its list until dropped.
struct LinkedEntry<'a> {
    waits: &'a AddressWaits,
    entry: &'a Entry,
}

impl<'a> LinkedEntry<'a> {
    fn new(waits: &'a AddressWaits, entry: &'a Entry) -> LinkedEntry<'a> {
        waits.insert(entry);
        LinkedEntry { waits, entry }
    }
}

impl Drop for LinkedEntry<'_> {
    fn drop(&mut self) {
        self.waits.remove(self.entry);
    }
}

/// Returns the index of an address's bucket among [`BUCKETS`].
#[inline]
pub(crate) fn bucket(address: usize) -> usize {
    // Fibonacci hashing: spreads differences in the low bits over the high ones.
    (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (usize::BITS - 6)
}

/// The number of waiters in this process.
static WAITERS: AtomicUsize = AtomicUsize::new(0);

/// One bucket for each bit of a notification.
pub(crate) const BUCKETS: usize = u64::BITS as usize;
