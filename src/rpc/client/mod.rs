//! The client: one connection, and the calls in flight on it.

mod call_ids;
mod cancellation;
mod channel;
mod deadlines;
mod events;
mod frames;
mod inbox;
mod pending;
mod reconnect;
mod request;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::cancellation::Cancellation;
use self::cancellation::Waiting;
use self::channel::Inner;
use self::inbox::{Letter, Then};
use self::pending::{Done, Outcome, Pending, Slot};
use self::request::{Parcel, Request};
use crate::net::ToAddr;
use crate::rpc::stats::ClientStats;
use crate::rpc::{CallOptions, ClientOptions, Compress, Error, Protocol};
use crate::rt::{self, Deadline, WaitError, Waiter};
use crate::wire;

/// One connection to a server, and any number of calls in flight on it.
///
/// The connection is made by the first call, or by [`connect`](Client::connect), and made again in
/// the background whenever it breaks:
///
/// - A call made while an attempt to connect is under way waits for it, within its own deadline.
/// - After an attempt has failed, the next follows after a pause that doubles each time, within
///   the options' bounds. Calls made in that pause fail at once with the error of the attempt.
/// - When the connection breaks, every call in flight fails at once with EFAILEDSOCKET and a text
///   that says why; the server may or may not have run it.
/// - A connection that never brought an answer counts as a failed attempt, so that a server that
///   accepts and closes is not called without pause.
///
/// Each call ends exactly once with exactly one outcome. A client may be used by any number of
/// threads and coroutines at once, and cloned: clones share the connection, and the last one to be
/// dropped closes it.
///
/// ```
/// use fastrpc::rpc::{CallOptions, Client, ClientOptions, Server, ServerOptions};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::new(ServerOptions::default());
/// # server.add_method("demo.Echo", "Say", |call| {
/// #     let body = call.request().to_vec();
/// #     call.reply(&body);
/// # })?;
/// # let addr = server.listen("127.0.0.1:0")?;
/// let client = Client::new(addr, ClientOptions::new())?;
/// let options = CallOptions::new().timeout(Duration::from_secs(1));
/// match client.call("demo.Echo", "Say", b"hello", &options) {
///     Ok(response) => assert_eq!(response.body(), b"hello"),
///     Err(error) if error.is_timeout() => println!("the server is slow"),
///     Err(error) => return Err(error.into()),
/// }
/// # Ok(())
/// # }
/// ```
pub struct Client {
    inner: Arc<Inner>,
}

impl Client {
    /// Makes a client of the server at `addr`: `"host:port"`, `"unix:/path"`, or whatever else
    /// [names an address](ToAddr). Does not connect yet; a host name is looked up for each attempt.
    ///
    /// # Errors
    /// When there is no such worker, the runtime cannot be started, or this is a forked child.
    pub fn new(addr: impl ToAddr, options: ClientOptions) -> io::Result<Client> {
        Ok(Client { inner: Inner::new(&addr.to_addr(), options)? })
    }

    /// The server's address, as given.
    pub fn addr(&self) -> &str {
        &self.inner.addr
    }

    /// Calls a method and waits for the answer: a coroutine is suspended, a plain thread blocks.
    ///
    /// # Errors
    /// See [`Error`]: the server's, or why there is no answer. When the call or the coroutine is
    /// cancelled, ECANCELED.
    pub fn call(
        &self,
        service: &str,
        method: &str,
        request: &[u8],
        options: &CallOptions<'_>,
    ) -> Outcome {
        options.cancellation.map_or(Ok(()), Cancellation::check)?;
        let packed = self.pack(request, options.compress)?;
        let body = packed.as_deref().unwrap_or(request);
        let (request, deadline) = self.request(service, method, body, options);
        match self.inner.local() {
            Some(local) if rt::is_coroutine() => {
                let waiter = Waiter::new();
                let pending = Pending::Here { waker: waiter.waker(), outcome: None };
                let begun = self.inner.begin(local, &request, pending);
                let key = begun.map_err(|(error, _)| error)?;
                let waiting = Waiting::Here(&self.inner, key);
                let waited = during(options.cancellation, &waiting, || waiter.wait(deadline));
                match self.inner.take_outcome(local, key) {
                    Some(outcome) => outcome,
                    None => Err(why_not(waited?.err(), &self.inner.addr)),
                }
            }
            _ => self.call_from_afar(&request, deadline, options.cancellation),
        }
    }

    fn call_from_afar(
        &self,
        request: &Request<'_>,
        deadline: Deadline,
        cancellation: Option<&Cancellation>,
    ) -> Outcome {
        let waiter = Waiter::new();
        let slot = Arc::new(Slot::new(waiter.waker()));
        let letter = Letter::Call(Parcel::new(request), Then::Wake(slot.clone()));
        let waited = during(cancellation, &Waiting::Afar(&slot), || {
            self.inner.mail(letter).map(|()| waiter.wait(deadline).err())
        })?
        .map_err(|refused| refused.0)?;
        let outcome = slot.take();
        if outcome.is_none() || cancellation.is_some_and(Cancellation::is_canceled) {
            // The entry is of no use any more. If this fails there is nobody to care.
            let _ = self.inner.mail(Letter::Forget(slot));
        }
        outcome.unwrap_or_else(|| Err(why_not(waited, &self.inner.addr)))
    }

    /// Calls a method and returns at once. `done` runs in a coroutine with the outcome, exactly
    /// once, whatever happens, on the client's worker where possible.
    pub fn call_async(
        &self,
        service: &str,
        method: &str,
        request: &[u8],
        options: &CallOptions<'_>,
        done: impl FnOnce(Outcome) + Send + 'static,
    ) -> CallHandle {
        let inner = self.inner.clone();
        let done: Done = Box::new(done);
        let may_begin = options.cancellation.map_or(Ok(()), Cancellation::check);
        let packed = match may_begin.and_then(|()| self.pack(request, options.compress)) {
            Ok(packed) => packed,
            Err(error) => {
                inner.finish(done, Err(error));
                return CallHandle::here(inner, 0);
            }
        };
        let body = packed.as_deref().unwrap_or(request);
        let (request, deadline) = self.request(service, method, body, options);
        if let Some(local) = inner.local() {
            let key = match inner.begin(local, &request, Pending::Async(done)) {
                Ok(key) => {
                    inner.expire_at(local, key, deadline);
                    if let Some(cancellation) = options.cancellation
                        && let Err(error) = cancellation.name(CallHandle::here(inner.clone(), key))
                    {
                        inner.end(local, key, || Err(error));
                    }
                    key
                }
                Err((error, Pending::Async(done))) => {
                    inner.finish(done, Err(error));
                    0
                }
                Err(_) => unreachable!("the entry comes back as it was"),
            };
            return CallHandle::here(inner, key);
        }
        let key = Arc::new(AtomicU64::new(0));
        // Before the call can end, with which the end of the cancellation may come.
        if let Some(cancellation) = options.cancellation {
            let handle = CallHandle { inner: inner.clone(), key: Key::Afar(key.clone()) };
            if let Err(error) = cancellation.name(handle) {
                inner.finish(done, Err(error));
                return CallHandle::here(inner, 0);
            }
        }
        let then = Then::Run { done, deadline, key: key.clone() };
        let letter = Letter::Call(Parcel::new(&request), then);
        if let Err(refused) = inner.mail(letter)
            && let (error, Letter::Call(_, Then::Run { done, .. })) = *refused
        {
            inner.finish(done, Err(error));
        }
        CallHandle { inner, key: Key::Afar(key) }
    }

    /// Connects, if there is no connection yet, without a pause that is under way. Suspends or
    /// blocks the caller.
    ///
    /// # Errors
    /// When the attempt fails, when the deadline passes first, and when the client is closed.
    pub fn connect(&self, deadline: Deadline) -> Result<(), Error> {
        self.inner.connect(deadline)
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.inner.is_connected()
    }

    /// Runs `handler` with the name and the body of each message that the server pushes, in the
    /// order in which they came, one after the other, in a coroutine of the client's worker. A
    /// server that speaks baidu_std learns by the next call that we take pushes.
    ///
    /// Messages wait within [`max_pushes`](ClientOptions::max_pushes) and
    /// [`max_push_bytes`](ClientOptions::max_push_bytes); those beyond, and those that come while
    /// there is no handler, are dropped and counted. Replaces the handler before. A panic is
    /// logged.
    pub fn on_push(&self, handler: impl Fn(&str, &[u8]) + Send + Sync + 'static) {
        self.inner.set_on_push(Arc::new(handler));
    }

    /// Runs `handler` each time that a connection, once made, is lost, with the reason: after the
    /// calls in flight have failed, and in turn with the handler of pushes, so that what came
    /// before the loss is told before. To close the client is no loss. Replaces the handler
    /// before. A panic is logged.
    pub fn on_close(&self, handler: impl Fn(&Error) + Send + Sync + 'static) {
        self.inner.set_on_close(Arc::new(handler));
    }

    /// Closes the connection for good: calls in flight and calls made later fail with ECLOSE.
    /// Does not wait.
    pub fn close(&self) {
        self.inner.close();
    }

    /// What the client has done, and is doing.
    pub fn stats(&self) -> ClientStats {
        self.inner.counters.read()
    }

    /// How a request is compressed whose call asks for `wish`.
    fn compress(&self, wish: Compress) -> Compress {
        if self.inner.options.protocol == Protocol::Original { Compress::None } else { wish }
    }

    fn pack(&self, body: &[u8], wish: Compress) -> Result<Option<Vec<u8>>, Error> {
        let compress = self.compress(wish);
        if compress == Compress::None {
            return Ok(None);
        }
        let packed = wire::compress::compress(compress, body);
        packed.map(Some).map_err(|error| Error::request(error.to_string()))
    }

    fn request<'a>(
        &self,
        service: &'a str,
        method: &'a str,
        body: &'a [u8],
        options: &CallOptions<'a>,
    ) -> (Request<'a>, Deadline) {
        let timeout = options.timeout.or(self.inner.options.timeout);
        let timeout_ms = timeout.map(|timeout| {
            let millis = timeout.as_nanos().div_ceil(1_000_000).max(1);
            i32::try_from(millis).unwrap_or(i32::MAX)
        });
        let request = Request {
            service,
            method,
            body,
            attachment: options.attachment,
            compress: self.compress(options.compress),
            log_id: options.log_id,
            request_id: options.request_id.unwrap_or("").as_bytes(),
            timeout_ms,
        };
        (request, timeout.into())
    }
}

/// A clone shares the connection and everything else with the original.
impl Clone for Client {
    fn clone(&self) -> Self {
        self.inner.handles.fetch_add(1, Ordering::Relaxed);
        Client { inner: self.inner.clone() }
    }
}

/// The last clone closes the connection.
impl Drop for Client {
    fn drop(&mut self) {
        if self.inner.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.inner.close();
        }
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("addr", &self.addr())
            .field("is_connected", &self.is_connected())
            .finish_non_exhaustive()
    }
}

/// A call made by [`Client::call_async`], to be canceled. May be dropped; the call goes on.
pub struct CallHandle {
    inner: Arc<Inner>,
    key: Key,
}

impl fmt::Debug for CallHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallHandle").field("addr", &self.inner.addr).finish_non_exhaustive()
    }
}

enum Key {
    Here(u64),
    /// 0 until the call has reached the client's worker, [`CANCELED`] if it is to end there.
    Afar(Arc<AtomicU64>),
}

impl CallHandle {
    fn here(inner: Arc<Inner>, key: u64) -> CallHandle {
        CallHandle { inner, key: Key::Here(key) }
    }

    /// Ends the call with ECANCELED, unless it has ended. The server is not told. Does not wait.
    pub fn cancel(&self) {
        let key = match &self.key {
            Key::Here(key) => *key,
            Key::Afar(key) => {
                match key.compare_exchange(0, CANCELED, Ordering::AcqRel, Ordering::Acquire) {
                    Ok(_) | Err(CANCELED) => return,
                    Err(key) => key,
                }
            }
        };
        match self.inner.local() {
            Some(local) => self.inner.cancel(local, key),
            // It fails in a forked child only, where the call will not end anyway.
            None => drop(self.inner.mail(Letter::Cancel(key))),
        }
    }
}

/// The key of no call: see [`Slab`](crate::slab::Slab).
const CANCELED: u64 = u64::MAX;

/// Runs `wait` so that the call may be cancelled meanwhile, if it has what to cancel it by.
#[inline]
fn during<R>(
    cancellation: Option<&Cancellation>,
    waiting: &Waiting<'_>,
    wait: impl FnOnce() -> R,
) -> Result<R, Error> {
    match cancellation {
        None => Ok(wait()),
        Some(cancellation) => cancellation.during(waiting, wait),
    }
}

/// Why a wait ended without an outcome.
fn why_not(error: Option<WaitError>, addr: &str) -> Error {
    match error {
        Some(WaitError::TimedOut) => Error::timeout(format!("{addr} did not answer in time")),
        Some(WaitError::Canceled) => Error::canceled(),
        Some(WaitError::Forked) => Error::internal(io::Error::from(WaitError::Forked).to_string()),
        None => Error::internal("woken without an outcome"),
    }
}
