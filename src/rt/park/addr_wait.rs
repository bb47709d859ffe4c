//! Waits for something in memory that anybody may change, named by its address: a semaphore or a
//! mutex of libc. Whoever changes it calls [`notify_address`]: any thread, and a signal handler too,
//! for that takes no lock and no memory.
//!
//! A notification is a bit for all addresses of a bucket, set at each worker that has waiters there.
//! That worker lets them look, in the order of their arrival. Who changes the thing and does not
//! notify, another process for example, is found out by looking again, ever less often.

use std::cell::{Cell, RefCell};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering, compiler_fence, fence};
use std::time::Duration;

use super::wait::{WaitError, Waiter, Waker};
use crate::rt::start;
use crate::rt::time::Deadline;
use crate::rt::worker::{self, Shared, Worker};

/// What a look at the thing led to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    /// The wait is over; the next in line may look as well.
    Took,
    /// The wait goes on, and so do those behind it.
    Nothing,
}

/// Waits until `look` takes something, which it is asked in the coroutine and in its worker's loop:
/// it must not wait. `deadline` is asked again after each pause; pauses between two looks without a
/// notification grow within `pauses`. In a coroutine only.
pub(crate) fn wait_address(
    address: usize,
    deadline: impl Fn() -> Deadline,
    pauses: Range<Duration>,
    look: impl FnMut() -> Look,
) -> Result<(), WaitError> {
    let worker = Worker::current().expect("called in a coroutine");
    let look = RefCell::new(look);
    let entry = Entry::new(address, &look);
    let _place = Place::take(&worker.address_waits, &entry);
    let mut pause = pauses.start;
    loop {
        let waiter = Waiter::new();
        entry.waker.set(Some(waiter.waker()));
        // What was changed before this is seen here; what is changed later is notified. All of them
        // look, so that nobody overtakes.
        worker.address_waits.serve_address(address);
        if entry.has_taken.get() {
            return Ok(());
        }
        let deadline = deadline();
        if deadline.has_passed() {
            return Err(WaitError::TimedOut);
        }
        let waited = waiter.wait(deadline.min(Deadline::after(pause)));
        if entry.has_taken.get() {
            return Ok(());
        }
        match waited {
            Err(WaitError::TimedOut) => pause = (pause * 2).min(pauses.end),
            ended => return ended,
        }
    }
}

/// Lets those who wait for `address` look at it. What they wait for was changed before, by an atomic
/// read-modify-write; here nothing is read at the address.
#[inline]
pub(crate) fn notify_address(address: usize) {
    // Pairs with the fence of `AddressWaits::insert`: either they see the change, or we see them.
    if cfg!(target_arch = "x86_64") {
        // The processor has no weaker read-modify-write than a full fence.
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
    if worker::is_forked() {
        return;
    }
    for worker in start::workers().unwrap_or_default() {
        worker.note(1 << bucket(address));
    }
}

/// The waits of one worker's coroutines. Home worker only.
pub(in crate::rt) struct AddressWaits {
    shared: &'static Shared,
    /// The oldest and the newest of each bucket.
    buckets: [Cell<(*const Entry, *const Entry)>; BUCKETS],
}

impl AddressWaits {
    pub(in crate::rt) fn new(shared: &'static Shared) -> AddressWaits {
        let none = || Cell::new((std::ptr::null(), std::ptr::null()));
        AddressWaits { shared, buckets: std::array::from_fn(|_| none()) }
    }

    /// Lets those in the buckets of `noted` look.
    pub(in crate::rt) fn serve(&self, mut noted: u64) {
        while noted != 0 {
            self.serve_bucket(noted.trailing_zeros() as usize);
            noted &= noted - 1;
        }
    }

    /// Lets those look who wait for `address`.
    #[inline]
    pub(in crate::rt) fn serve_address(&self, address: usize) {
        let bucket = bucket(address);
        if !self.buckets[bucket].get().0.is_null() {
            self.serve_bucket(bucket);
        }
    }

    fn serve_bucket(&self, bucket: usize) {
        let mut next = self.buckets[bucket].get().0;
        let mut in_vain = 0;
        // SAFETY: what is in the list lives, on the stack of the coroutine that waits.
        while let Some(entry) = unsafe { next.as_ref() } {
            next = entry.next.get();
            if entry.address == in_vain {
                continue;
            }
            // Also for one whose pause or time is just over, and which has not run since.
            match entry.look() {
                Look::Took => {
                    self.remove(entry);
                    entry.has_taken.set(true);
                    if let Some(waker) = entry.waker.take() {
                        waker.wake();
                    }
                }
                Look::Nothing => in_vain = entry.address,
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
                self.shared.expect_notes(1 << bucket);
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
            self.shared.expect_no_notes(1 << bucket);
        }
        WAITERS.fetch_sub(1, Ordering::Relaxed);
    }
}

/// One that waits. Lives on its coroutine's stack.
struct Entry {
    address: usize,
    /// How to call what is at `data`.
    call: unsafe fn(*const ()) -> Look,
    data: *const (),
    waker: Cell<Option<Waker>>,
    linked: Cell<bool>,
    has_taken: Cell<bool>,
    previous: Cell<*const Entry>,
    next: Cell<*const Entry>,
}

impl Entry {
    fn new<F: FnMut() -> Look>(address: usize, look: &RefCell<F>) -> Entry {
        /// # Safety
        /// The `data` of an entry that was made for the same `F`.
        unsafe fn call<F: FnMut() -> Look>(data: *const ()) -> Look {
            // SAFETY: the caller's contract.
            let look = unsafe { &*data.cast::<RefCell<F>>() };
            (*look.borrow_mut())()
        }
        Entry {
            address,
            call: call::<F>,
            data: std::ptr::from_ref(look).cast(),
            waker: Cell::new(None),
            linked: Cell::new(false),
            has_taken: Cell::new(false),
            previous: Cell::new(std::ptr::null()),
            next: Cell::new(std::ptr::null()),
        }
    }

    fn look(&self) -> Look {
        // SAFETY: made together, and the function stays where it is as long as the entry is used.
        unsafe { (self.call)(self.data) }
    }
}

/// An entry in its list, taken out when this is dropped.
struct Place<'a> {
    waits: &'a AddressWaits,
    entry: &'a Entry,
}

impl<'a> Place<'a> {
    fn take(waits: &'a AddressWaits, entry: &'a Entry) -> Place<'a> {
        waits.insert(entry);
        Place { waits, entry }
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waits.remove(self.entry);
    }
}

/// In which of [`BUCKETS`] an address is.
#[inline]
pub(crate) fn bucket(address: usize) -> usize {
    // The golden ratio spreads what differs in its low bits over the high ones.
    (address as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) as usize >> (usize::BITS - 6)
}

/// How many coroutines wait in this process.
static WAITERS: AtomicUsize = AtomicUsize::new(0);

/// One for each bit of a note.
pub(crate) const BUCKETS: usize = u64::BITS as usize;
