//! The client: one connection, and the calls in flight on it.

mod call_handle;
mod call_ids;
mod calls;
mod cancellation;
mod channel;
mod connection;
mod deadlines;
mod frames;
mod inbox;
mod local;
mod pending;
mod pushes;
mod reconnect;
mod request;
mod shared;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

pub use self::call_handle::CallHandle;
pub use self::cancellation::Cancellation;
use self::cancellation::Waiting;
use self::channel::Channel;
use self::inbox::{Command, Completion};
use self::pending::{Done, Outcome, Pending, Slot};
use self::request::{OwnedRequest, Request};
use crate::net::ToAddr;
use crate::rpc::stats::ClientStats;
use crate::rpc::{CallOptions, ClientOptions, Compress, Error, Protocol, Response};
use crate::rt::{self, Deadline, Waiter};
use crate::wire;

/// One connection to a server, and any number of calls in flight on it.
///
/// The first call connects, or [`connect`](Client::connect) does. Whenever the connection breaks,
/// the client reconnects in the background:
///
/// - A call made while an attempt to connect is under way waits for it, within its own deadline.
/// - After an attempt has failed, the next follows after a pause that doubles each time, within
///   the options' bounds. Calls made in that pause fail at once with the error of the attempt.
/// - When the connection breaks, every call in flight fails at once with EFAILEDSOCKET and a text
///   that says why; the server may or may not have run it.
/// - A connection that never carried a response counts as a failed attempt, so that the client does
///   not reconnect without pause to a server that accepts and closes.
///
/// Each call ends exactly once with exactly one outcome. A client may be used by any number of
/// threads and coroutines at once, and cloned: clones share the connection, and the last one to be
/// dropped closes it.
///
/// ```
/// use fastrpc::rpc::{CallOptions, Client, ClientOptions};
/// use fastrpc::{Server, ServerOptions};
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
    channel: Arc<Channel>,
}

impl Client {
    /// Creates a client of the server at `addr`: `"host:port"`, `"unix:/path"`, or anything else
    /// that [converts to an address](ToAddr). Does not connect yet; a host name is resolved at each
    /// attempt.
    ///
    /// # Errors
    /// When there is no such worker, the runtime cannot be started, or this is a forked child.
    pub fn new(addr: impl ToAddr, options: ClientOptions) -> io::Result<Client> {
        Ok(Client { channel: Channel::new(&addr.to_addr(), options)? })
    }

    /// Returns the server's address, as given.
    pub fn addr(&self) -> &str {
        &self.channel.shared.addr
    }

    /// Calls a method and waits for the response: suspends a coroutine, blocks a plain thread.
    ///
    /// # Errors
    /// The server's error, or why there is no response: see [`Error`].
    pub fn call(
        &self,
        service: &str,
        method: &str,
        request: &[u8],
        options: &CallOptions<'_>,
    ) -> Result<Response, Error> {
        options.cancellation.map_or(Ok(()), Cancellation::check)?;
        let packed = self.pack(request, options.compress)?;
        let body = packed.as_deref().unwrap_or(request);
        let (request, deadline) = self.request(service, method, body, options);
        match self.channel.local() {
            Some(local) if rt::is_coroutine() => {
                let waiter = Waiter::new();
                let pending = Pending::OnWorker { waker: waiter.waker(), outcome: None };
                let begun = self.channel.begin(local, &request, pending);
                let key = begun.map_err(|(error, _)| error)?;
                // Through the C ABI the client may be freed during the wait, which ends the wait:
                // what is used afterwards is owned.
                let calls = local.calls.clone();
                let waiting = Waiting::OnWorker(&self.channel, key);
                let waited = with_call(options.cancellation, &waiting, || waiter.wait(deadline));
                match calls.take_outcome(key) {
                    Some(outcome) => outcome,
                    None => Err(calls.shared.wait_error(waited?.err())),
                }
            }
            _ => self.call_cross_thread(&request, deadline, options.cancellation),
        }
    }

    fn call_cross_thread(
        &self,
        request: &Request<'_>,
        deadline: Deadline,
        cancellation: Option<&Cancellation>,
    ) -> Outcome {
        // See `call`.
        let channel = self.channel.clone();
        let waiter = Waiter::new();
        let slot = Arc::new(Slot::new(waiter.waker()));
        let command = Command::Call(OwnedRequest::new(request), Completion::Wake(slot.clone()));
        let waited = with_call(cancellation, &Waiting::CrossThread(&slot), || {
            channel.send(command).map(|()| waiter.wait(deadline).err())
        })?
        .map_err(|refused| refused.0)?;
        let outcome = slot.take();
        if outcome.is_none() || cancellation.is_some_and(Cancellation::is_canceled) {
            // The entry is no longer needed. This fails only in a forked child.
            let _ = channel.send(Command::Forget(slot));
        }
        outcome.unwrap_or_else(|| Err(channel.shared.wait_error(waited)))
    }

    /// Calls a method and returns at once. `done` runs in a coroutine with the outcome, exactly
    /// once, whatever happens, on the client's worker where possible.
    pub fn call_async(
        &self,
        service: &str,
        method: &str,
        request: &[u8],
        options: &CallOptions<'_>,
        done: impl FnOnce(Result<Response, Error>) + Send + 'static,
    ) -> CallHandle {
        let channel = self.channel.clone();
        let done: Done = Box::new(done);
        let may_begin = options.cancellation.map_or(Ok(()), Cancellation::check);
        let packed = match may_begin.and_then(|()| self.pack(request, options.compress)) {
            Ok(packed) => packed,
            Err(error) => {
                channel.run_callback(done, Err(error));
                return CallHandle::on_worker(channel, 0);
            }
        };
        let body = packed.as_deref().unwrap_or(request);
        let (request, deadline) = self.request(service, method, body, options);
        if let Some(local) = channel.local() {
            let key = match channel.begin(local, &request, Pending::Async(done)) {
                Ok(key) => {
                    local.calls.expire_at(key, deadline);
                    let handle = || CallHandle::on_worker(channel.clone(), key);
                    if let Some(cancellation) = options.cancellation
                        && let Err(error) = cancellation.attach_owned(handle())
                    {
                        local.calls.complete(key, || Err(error));
                    }
                    key
                }
                Err((error, Pending::Async(done))) => {
                    local.calls.run_callback(done, Err(error));
                    0
                }
                Err(_) => unreachable!("the entry comes back as it was"),
            };
            return CallHandle::on_worker(channel, key);
        }
        let key = Arc::new(AtomicU64::new(0));
        // Before the call can end, since the cancellation may be freed once it has.
        if let Some(cancellation) = options.cancellation {
            let handle = CallHandle::cross_thread(channel.clone(), key.clone());
            if let Err(error) = cancellation.attach_owned(handle) {
                channel.run_callback(done, Err(error));
                return CallHandle::on_worker(channel, 0);
            }
        }
        let completion = Completion::Run { done, deadline, key: key.clone() };
        let command = Command::Call(OwnedRequest::new(&request), completion);
        if let Err(refused) = channel.send(command)
            && let (error, Command::Call(_, Completion::Run { done, .. })) = *refused
        {
            channel.run_callback(done, Err(error));
        }
        CallHandle::cross_thread(channel, key)
    }

    /// Connects if there is no connection yet, ending a pause between attempts. Suspends a
    /// coroutine, blocks a plain thread.
    ///
    /// # Errors
    /// When the attempt fails, when the deadline passes first, and when the client is closed.
    pub fn connect(&self, deadline: Deadline) -> Result<(), Error> {
        self.channel.connect(deadline)
    }

    /// Whether there is a connection, as far as is known.
    pub fn is_connected(&self) -> bool {
        self.channel.shared.status.is_connected()
    }

    /// Runs `handler` with the name and the body of each message that the server pushes: one at a
    /// time, in order, in a coroutine of the client's worker. A baidu_std server learns from the
    /// next call that this client accepts pushes.
    ///
    /// Messages wait within [`max_pushes`](ClientOptions::max_pushes) and
    /// [`max_push_bytes`](ClientOptions::max_push_bytes); those beyond, and those that arrive while
    /// no handler is set, are dropped and counted. Replaces the previous handler. A panic is
    /// logged.
    pub fn on_push(&self, handler: impl Fn(&str, &[u8]) + Send + Sync + 'static) {
        self.channel.set_on_push(Arc::new(handler));
    }

    /// Runs `handler` with the reason each time a connection is lost: after the calls in flight
    /// have failed, and after the push handler has run for the messages that arrived before.
    /// Closing the client does not count. Replaces the previous handler. A panic is logged.
    pub fn on_close(&self, handler: impl Fn(&Error) + Send + Sync + 'static) {
        self.channel.set_on_close(Arc::new(handler));
    }

    /// Closes the connection permanently: calls in flight and calls made later fail with ECLOSE.
    /// Does not wait.
    pub fn close(&self) {
        self.channel.close();
    }

    /// Returns the client's counters.
    pub fn stats(&self) -> ClientStats {
        self.channel.shared.counters.read()
    }

    /// Returns the compression to use for a request whose options ask for `wish`.
    fn compress(&self, wish: Compress) -> Compress {
        if self.channel.shared.options.protocol == Protocol::Original {
            Compress::None
        } else {
            wish
        }
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
        let timeout = options.timeout.or(self.channel.shared.options.timeout);
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
        self.channel.handles.fetch_add(1, Ordering::Relaxed);
        Client { channel: self.channel.clone() }
    }
}

/// The last clone closes the connection.
impl Drop for Client {
    fn drop(&mut self) {
        if self.channel.handles.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.channel.close();
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

/// Runs `wait` so that the call can be canceled meanwhile, if its options have a cancellation.
#[inline]
fn with_call<R>(
    cancellation: Option<&Cancellation>,
    waiting: &Waiting<'_>,
    wait: impl FnOnce() -> R,
) -> Result<R, Error> {
    match cancellation {
        None => Ok(wait()),
        Some(cancellation) => cancellation.with_call(waiting, wait),
    }
}
