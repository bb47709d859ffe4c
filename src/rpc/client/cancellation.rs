//! Canceling a call from any thread.

use std::fmt;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::thread;

use super::call_handle::CallHandle;
use super::channel::Channel;
use super::pending::Slot;
use crate::rpc::Error;

/// Cancels a call from any thread: before it begins, while it connects, while it is in flight.
///
/// Set it as [`CallOptions::cancellation`](crate::rpc::CallOptions::cancellation). It cancels one
/// call at a time: while a call waits with it, another call given the same one fails with EREQUEST;
/// of calls with a callback, it cancels the last one only. The call ends exactly once: with
/// ECANCELED, or with its response if that arrived first, after which
/// [`cancel`](Cancellation::cancel) comes too late. The server is not notified; a late response is
/// dropped and counted as [`unmatched`](crate::rpc::ClientStats::unmatched).
///
/// It is one word, and a call that waits allocates nothing for it.
///
/// ```
/// use fastrpc::rpc::{CallOptions, Cancellation, Client, ClientOptions};
/// use std::thread;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = fastrpc::Server::new(Default::default());
/// # server.add_method("demo.Echo", "Wait", |call| {
/// #     let _ = fastrpc::rt::sleep(std::time::Duration::from_secs(60));
/// #     drop(call);
/// # })?;
/// # let client = Client::new(server.listen("127.0.0.1:0")?, ClientOptions::new())?;
/// let cancellation = Cancellation::new();
/// thread::scope(|scope| {
///     scope.spawn(|| cancellation.cancel());
///     let options = CallOptions::new().cancellation(&cancellation);
///     let outcome = client.call("demo.Echo", "Wait", b"", &options);
///     assert!(outcome.unwrap_err().is_canceled());
/// });
/// # Ok(())
/// # }
/// ```
#[repr(transparent)]
pub struct Cancellation {
    /// NULL, `canceled()`, or a call in flight: the argument of
    /// [`with_call`](Cancellation::with_call), which stays there until `with_call` removes it,
    /// tagged `BUSY` while a thread copies it; or a boxed `CallHandle`, tagged `OWNED`.
    state: AtomicPtr<()>,
}

impl Cancellation {
    /// Creates an unused cancellation.
    pub const fn new() -> Cancellation {
        Cancellation { state: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Ends the call with ECANCELED, unless it has ended; a call that begins later fails with it at
    /// once, until [`reset`](Cancellation::reset). May be called from any thread, repeatedly. Does
    /// not wait.
    pub fn cancel(&self) {
        let mut state = self.state.load(Ordering::Acquire);
        loop {
            if state == canceled() || has(state, BUSY) {
                return;
            }
            let is_borrowed = !state.is_null() && !has(state, OWNED);
            let next = if is_borrowed { with(state, BUSY) } else { canceled() };
            match self.state.compare_exchange_weak(state, next, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) if is_borrowed => break,
                Ok(_) if state.is_null() => return,
                // SAFETY: it was stored by `attach_owned`, and the exchange made it ours.
                Ok(_) => return unsafe { unbox(state) }.cancel(),
                Err(other) => state = other,
            }
        }
        // SAFETY: `with_call` leaves it in place as long as BUSY is set.
        let call = unsafe { &*state.cast::<Waiting<'_>>() }.share();
        // From here on the call may end, and `self` with it.
        self.state.store(canceled(), Ordering::Release);
        call.cancel();
    }

    /// Whether [`cancel`](Cancellation::cancel) was called since creation or the last reset.
    pub fn is_canceled(&self) -> bool {
        let state = self.state.load(Ordering::Acquire);
        state == canceled() || has(state, BUSY)
    }

    /// Resets it for another call. Not to be called during a call: a call that waits prevents the
    /// reset, and a call with a callback is detached and can no longer be canceled by it.
    pub fn reset(&self) {
        let mut state = self.state.load(Ordering::Acquire);
        while state == canceled() || has(state, OWNED) {
            match self.replace(state, ptr::null_mut()) {
                Ok(()) => return,
                Err(other) => state = other,
            }
        }
    }

    /// Fails if it is canceled, or if another call waits with it.
    pub(super) fn check(&self) -> Result<(), Error> {
        check(self.state.load(Ordering::Acquire))
    }

    /// Runs `wait` while `call` can be canceled. Fails without running it if already canceled, or
    /// if another call waits.
    #[inline]
    pub(super) fn with_call<R>(
        &self,
        call: &Waiting<'_>,
        wait: impl FnOnce() -> R,
    ) -> Result<R, Error> {
        let borrowed = ptr::from_ref(call).cast_mut().cast();
        self.attach(borrowed)?;
        let _borrowed = Borrowed { cancellation: self, state: borrowed };
        Ok(wait())
    }

    /// Attaches a call that nobody waits for. Fails as [`with_call`](Self::with_call) does.
    pub(super) fn attach_owned(&self, call: CallHandle) -> Result<(), Error> {
        let owned = with(Box::into_raw(Box::new(call)).cast(), OWNED);
        self.attach(owned).inspect_err(|_| {
            // SAFETY: boxed above and not stored anywhere.
            drop(unsafe { unbox(owned) });
        })
    }

    #[inline]
    fn attach(&self, call: *mut ()) -> Result<(), Error> {
        // Usually nothing is attached.
        let mut state = ptr::null_mut();
        while let Err(other) = self.replace(state, call) {
            check(other)?;
            state = other;
        }
        Ok(())
    }

    /// Replaces `from`, if it is the state, with `to`.
    #[inline]
    fn replace(&self, from: *mut (), to: *mut ()) -> Result<(), *mut ()> {
        self.state.compare_exchange(from, to, Ordering::AcqRel, Ordering::Acquire)?;
        if has(from, OWNED) {
            // SAFETY: it was stored by `attach_owned`, and the exchange made it ours.
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

/// A call that is waited for, borrowed from its waiter.
pub(super) enum Waiting<'a> {
    /// In a coroutine of the client's worker, with the call's key.
    OnWorker(&'a Arc<Channel>, u64),
    CrossThread(&'a Arc<Slot>),
}

/// The same call, owned, for the thread that cancels it.
enum Call {
    Handle(CallHandle),
    CrossThread(Arc<Slot>),
}

impl Waiting<'_> {
    fn share(&self) -> Call {
        match *self {
            Waiting::OnWorker(channel, key) => {
                Call::Handle(CallHandle::on_worker(channel.clone(), key))
            }
            Waiting::CrossThread(slot) => Call::CrossThread(slot.clone()),
        }
    }
}

impl Call {
    fn cancel(self) {
        match self {
            Call::Handle(handle) => handle.cancel(),
            Call::CrossThread(slot) => slot.complete(Err(Error::canceled())),
        }
    }
}

/// Detaches the attached call when dropped, once no other thread reads it.
struct Borrowed<'a> {
    cancellation: &'a Cancellation,
    state: *mut (),
}

impl Drop for Borrowed<'_> {
    fn drop(&mut self) {
        while self.cancellation.replace(self.state, ptr::null_mut()) == Err(with(self.state, BUSY))
        {
            // The other thread is a few instructions away from storing `canceled()`.
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
/// `state` was made by `attach_owned`, and nobody else has it.
unsafe fn unbox(state: *mut ()) -> CallHandle {
    let place = state.map_addr(|addr| addr & !OWNED).cast();
    // SAFETY: by the caller's contract it came from `Box::into_raw`.
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
