//! How any thread ends a call that others wait for.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;

use super::CallHandle;
use super::channel::Inner;
use super::pending::Slot;
use crate::rpc::Error;

/// Ends a call from anywhere: before it begins, while it connects, while it waits for its answer.
///
/// It goes with a call in [`CallOptions::cancellation`](crate::rpc::CallOptions::cancellation). One call
/// at a time: a call that waits while another one is given the same fails with EREQUEST, and of
/// calls with a callback it knows the last one only. The call ends exactly once: with ECANCELED, or
/// with its answer if that was faster, after which [`cancel`](Cancellation::cancel) comes too late.
/// The server is not told; an answer that comes later is dropped and counted as
/// [`unmatched`](crate::rpc::ClientStats::unmatched).
///
/// It is one word and takes no memory elsewhere while a call waits.
#[repr(transparent)]
pub struct Cancellation {
    /// NULL, `canceled()`, or a call in flight: what [`during`](Cancellation::during) was given,
    /// which stays there until that takes it back, with `BUSY` while a thread copies it; or with
    /// `OWNED` the `CallHandle` of a box.
    state: AtomicPtr<()>,
}

impl Cancellation {
    /// One that nobody has used yet.
    pub const fn new() -> Cancellation {
        Cancellation { state: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Ends the call with ECANCELED, unless it has ended; one that begins later fails with it at
    /// once, until [`reset`](Cancellation::reset). Any thread, several times; does not wait.
    pub fn cancel(&self) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state == canceled() || has(state, BUSY) {
                return;
            }
            let is_lent = !state.is_null() && !has(state, OWNED);
            let next = if is_lent { with(state, BUSY) } else { canceled() };
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if is_lent => break,
                Ok(_) if state.is_null() => return,
                // SAFETY: it was put there by `name`, and is ours since the exchange.
                Ok(_) => return unsafe { unbox(state) }.cancel(),
                Err(other) => state = other,
            }
        }
        // SAFETY: `during` leaves it in place as long as BUSY is set.
        let call = unsafe { &*state.cast::<Waiting<'_>>() }.share();
        // With this the end of the call may be the end of `self`.
        self.state.store(canceled(), Ordering::Release);
        call.cancel();
    }

    /// Whether [`cancel`](Cancellation::cancel) was called since it was new or reset.
    pub fn is_canceled(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        state == canceled() || has(state, BUSY)
    }

    /// Makes it as new. Not during a call: one that waits keeps it from being reset, and one with a
    /// callback can no longer be cancelled by it.
    pub fn reset(&self) {
        let mut state = self.state.load(Ordering::Acquire);
        while state == canceled() || has(state, OWNED) {
            match self.replace(state, ptr::null_mut()) {
                Ok(()) => return,
                Err(other) => state = other,
            }
        }
    }

    /// Whether a call may begin.
    pub(super) fn check(&self) -> Result<(), Error> {
        check(self.state.load(Ordering::Acquire))
    }

    /// Runs `wait` while `call` can be cancelled. Fails without running it if it was cancelled
    /// before, or another call waits.
    #[inline]
    pub(super) fn during<R>(
        &self,
        call: &Waiting<'_>,
        wait: impl FnOnce() -> R,
    ) -> Result<R, Error> {
        let lent = ptr::from_ref(call).cast_mut().cast();
        self.enter(lent)?;
        let _lent = Lent { cancellation: self, state: lent };
        Ok(wait())
    }

    /// Makes a call that nobody waits for the one to cancel. Fails as [`during`](Self::during).
    pub(super) fn name(&self, call: CallHandle) -> Result<(), Error> {
        let owned = with(Box::into_raw(Box::new(call)).cast(), OWNED);
        self.enter(owned).inspect_err(|_| {
            // SAFETY: it was made above and went nowhere.
            drop(unsafe { unbox(owned) });
        })
    }

    #[inline]
    fn enter(&self, call: *mut ()) -> Result<(), Error> {
        // Nothing is there, mostly.
        let mut state = ptr::null_mut();
        while let Err(other) = self.replace(state, call) {
            check(other)?;
            state = other;
        }
        Ok(())
    }

    /// Takes `from` out, if it is there, and puts `to` in.
    #[inline]
    fn replace(&self, from: *mut (), to: *mut ()) -> Result<(), *mut ()> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)?;
        if has(from, OWNED) {
            // SAFETY: it was put there by `name`, and is ours since the exchange.
            drop(unsafe { unbox(from) });
        }
        Ok(())
    }
}

impl Default for Cancellation {
    fn default() -> Self {
        Cancellation::new()
    }
}

impl Drop for Cancellation {
    fn drop(&mut self) {
        self.reset();
    }
}

impl fmt::Debug for Cancellation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cancellation")
            .field("is_canceled", &self.is_canceled())
            .finish_non_exhaustive()
    }
}

/// A call that somebody waits for, by what it has at hand.
pub(super) enum Waiting<'a> {
    /// In a coroutine of the client's worker, with the call's key.
    Here(&'a Arc<Inner>, u64),
    Afar(&'a Arc<Slot>),
}

/// The same for another thread.
enum Call {
    Named(CallHandle),
    Afar(Arc<Slot>),
}

impl Waiting<'_> {
    fn share(&self) -> Call {
        match *self {
            Waiting::Here(inner, key) => Call::Named(CallHandle::here(inner.clone(), key)),
            Waiting::Afar(slot) => Call::Afar(slot.clone()),
        }
    }
}

impl Call {
    fn cancel(self) {
        match self {
            Call::Named(handle) => handle.cancel(),
            Call::Afar(slot) => slot.end(Err(Error::canceled())),
        }
    }
}

/// Takes back what was lent, once no other thread looks at it.
struct Lent<'a> {
    cancellation: &'a Cancellation,
    state: *mut (),
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        while self.cancellation.replace(self.state, ptr::null_mut()) == Err(with(self.state, BUSY))
        {
            // It is a few instructions away from being done.
            thread::yield_now();
        }
    }
}

fn check(state: *mut ()) -> Result<(), Error> {
    if state == canceled() || has(state, BUSY) {
        return Err(Error::canceled());
    }
    if !state.is_null() && !has(state, OWNED) {
        return Err(Error::request("another call uses this cancellation"));
    }
    Ok(())
}

/// # Safety
/// `state` was made by `name`, and nobody else has it.
unsafe fn unbox(state: *mut ()) -> CallHandle {
    let place = state.map_addr(|addr| addr & !OWNED).cast();
    // SAFETY: by the caller's contract it is what `Box::into_raw` gave.
    *unsafe { Box::from_raw(place) }
}

fn canceled() -> *mut () {
    ptr::without_provenance_mut(CANCELED)
}

fn has(state: *mut (), flag: usize) -> bool {
    state != canceled() && state.addr() & flag != 0
}

fn with(state: *mut (), flag: usize) -> *mut () {
    state.map_addr(|addr| addr | flag)
}

// In the lowest bits of pointers, which are multiples of 8; no pointer has both.
const BUSY: usize = 1;
const OWNED: usize = 2;
const CANCELED: usize = 3;

const _: () = assert!(align_of::<CallHandle>() >= 4 && align_of::<Waiting<'_>>() >= 4);
