//! The server: its methods, its addresses, and the connections that it serves.

mod call;
mod conn;
mod connection;
mod dispatch;
mod encode;
mod frames;
mod http;
mod reader;
mod registry;
mod shutdown;
mod sniff;
mod state;

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

pub use self::call::Call;
pub use self::connection::Connection;

use self::conn::Conn;
use self::registry::Registry;
use crate::http::Router;
use crate::net::{self, Addr, Listener, Stream};
use crate::process;
use crate::rpc::stats::{ServerCounters, ServerStats};
use crate::rpc::{Error, ServerOptions};
use crate::rt::{self, Deadline, SignalWatch};
use crate::sync::{Notify, lock};

/// An RPC server: methods by name, and the addresses it listens on.
///
/// Each connection lives on one worker; its calls run there, each in a coroutine of its own, and
/// are answered in the order in which they end. May be used from any thread. Dropped without a
/// [`stop`](Server::stop), it stops at once: calls in flight are answered with ELOGOFF.
pub struct Server {
    shared: Arc<Shared>,
}

/// How a [`stop`](Server::stop) went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Calls that were in flight and ended by themselves.
    pub finished: u64,
    /// Calls that were in flight at the deadline: answered with ELOGOFF.
    pub canceled: u64,
    /// Calls that came after the stop began: answered with ELOGOFF.
    pub refused: u64,
}

impl Server {
    /// A server without methods or addresses.
    pub fn new(options: ServerOptions) -> Server {
        let options = ServerOptions {
            max_in_flight: options.max_in_flight.clamp(1, crate::slab::MAX_LEN),
            ..options
        };
        Server {
            shared: Arc::new(Shared {
                options,
                methods: Registry::default(),
                router: Router::new(),
                on_close: Mutex::default(),
                counters: ServerCounters::default(),
                phase: AtomicU8::new(RUNNING),
                next_worker: AtomicUsize::new(0),
                next_id: AtomicU64::new(1),
                conns: Mutex::default(),
                listeners: Mutex::default(),
                changed: Notify::new(),
            }),
        }
    }

    /// Adds a method. `handler` runs in a new coroutine for each call, on the worker of the call's
    /// connection; if it panics the call is answered with EINTERNAL and the message.
    ///
    /// # Errors
    /// When a name is empty, or the method is there already.
    pub fn add_method(
        &self,
        service: &str,
        method: &str,
        handler: impl Fn(Call) + Send + Sync + 'static,
    ) -> Result<(), Error> {
        self.shared.methods.add(service, method, Box::new(handler))
    }

    /// What answers HTTP requests on the server's addresses. Once it has a route, connections that
    /// speak HTTP are served; until then they are closed.
    pub fn http(&self) -> &Router {
        &self.shared.router
    }

    /// Listens on `addr`: `"host:port"`, where port 0 takes a free one, or `"unix:/path"`. May be
    /// called several times. Returns the address bound.
    ///
    /// # Errors
    /// When the address cannot be had, or the server has stopped.
    pub fn listen(&self, addr: &str) -> io::Result<Addr> {
        self.listen_with(Listener::bind(&addr.parse()?, &net::ListenOptions::default())?)
    }

    /// Serves on a socket that listens already, TCP or Unix: one that was inherited, or that
    /// [`Prefork`](crate::process::Prefork) gave. Returns its address.
    ///
    /// # Errors
    /// `InvalidInput` for an fd that does not listen, and when the server has stopped.
    pub fn listen_fd(&self, fd: OwnedFd) -> io::Result<Addr> {
        self.listen_with(Listener::from_fd(fd)?)
    }

    fn listen_with(&self, listener: Listener) -> io::Result<Addr> {
        let local = listener.local_addr().clone();
        let listener = Arc::new(listener);
        {
            let mut listeners = lock(&self.shared.listeners);
            if self.shared.is_stopping() {
                return Err(io::Error::other("the server has stopped"));
            }
            listeners.push(listener.clone());
        }
        let shared = self.shared.clone();
        rt::Builder::new().name("rpc accept").spawn(move || shared.accept(&listener))?;
        Ok(local)
    }

    /// Sends a message of type `name` to the connection of number `connection`: see
    /// [`Connection::push`].
    ///
    /// # Errors
    /// As there.
    pub fn push(&self, connection: u64, name: &str, body: &[u8]) -> Result<(), Error> {
        self.shared.connection(connection).ok_or_else(Error::gone)?.push(name, body)
    }

    /// Sends bytes as they are to the connection of number `connection`: see
    /// [`Connection::push_raw`].
    ///
    /// # Errors
    /// As there.
    pub fn push_raw(&self, connection: u64, bytes: &[u8]) -> Result<(), Error> {
        self.shared.connection(connection).ok_or_else(Error::gone)?.push_raw(bytes)
    }

    /// Closes the connection of number `connection`: see [`Connection::close`].
    ///
    /// # Errors
    /// As there.
    pub fn close_connection(&self, connection: u64) -> Result<(), Error> {
        self.shared.connection(connection).ok_or_else(Error::gone)?.close();
        Ok(())
    }

    /// Runs `handler` once for each connection that has ended, with its number: as soon as the peer
    /// closed its side, whatever calls are still in flight, or when the connection broke or was
    /// closed by us. It runs in a coroutine of the connection's worker, and a stop of the server
    /// waits for it. Replaces the handler before. A panic is logged.
    pub fn on_close(&self, handler: impl Fn(u64) + Send + Sync + 'static) {
        let before = lock(&self.shared.on_close).replace(Arc::new(handler));
        drop(before);
    }

    /// The first address that [`listen`](Server::listen) bound.
    pub fn local_addr(&self) -> Option<Addr> {
        Some(lock(&self.shared.listeners).first()?.local_addr().clone())
    }

    /// What the server has done, and is doing.
    pub fn stats(&self) -> ServerStats {
        self.shared.counters.read()
    }

    /// Stops for good: accepts nothing more, refuses new calls with ELOGOFF, lets the calls in
    /// flight and their handlers end, closes each connection after its last answer. At the deadline
    /// the calls still in flight are answered with ELOGOFF, [`Call::is_canceled`] turns true for
    /// them, and the connections close; handlers that still run are cancelled: every wait of theirs
    /// fails with `ECANCELED`. They get a second to end; one that does not is left to itself, and
    /// the log says so. Suspends or blocks the caller.
    pub fn stop(&self, deadline: Deadline) -> StopReport {
        self.shared.stop(deadline)
    }

    /// Waits until the server has stopped. Suspends or blocks the caller.
    pub fn wait(&self) {
        let shared = &self.shared;
        let stopped = || (shared.phase.load(Ordering::Acquire) == STOPPED).then_some(());
        let _ = shared.changed.wait_for(Deadline::NEVER, stopped);
    }

    /// Serves until the process gets SIGINT or SIGTERM, then stops with `grace` for the calls in
    /// flight, and returns the signal's number; 0 if the server was stopped by other means. The
    /// program's own handlers of the two signals are back in force when this returns; in a process
    /// that [`Prefork`](process::Prefork) made, both are ignored instead after the first, since they
    /// may come from the parent and from a terminal or service manager as well. Suspends or blocks
    /// the caller.
    ///
    /// # Errors
    /// When the signals cannot be watched; only one server of a process can at a time.
    pub fn run_until_signal(&self, grace: Duration) -> io::Result<i32> {
        let watch = SignalWatch::start(&[libc::SIGINT, libc::SIGTERM])?;
        let stopper = watch.stopper();
        let shared = self.shared.clone();
        // Somebody else may stop the server meanwhile.
        let waiter = rt::spawn(move || {
            let stopped = || (shared.phase.load(Ordering::Acquire) == STOPPED).then_some(());
            if shared.changed.wait_for(Deadline::NEVER, stopped).is_ok() {
                stopper.tell();
            }
        })?;
        let signal = watch.wait(Deadline::NEVER);
        waiter.cancel();
        if process::index().is_some() && signal.as_ref().is_ok_and(|&signal| signal != 0) {
            watch.end_ignoring();
        } else {
            drop(watch);
        }
        let signal = signal?;
        if signal != 0 {
            log::info!("signal {signal}: stopping");
            self.stop(Deadline::after(grace));
        }
        Ok(signal)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.shared.begin_stop() {
            self.shared.give_up();
            self.shared.set_stopped();
        }
    }
}

/// What a server's connections have in common.
struct Shared {
    options: ServerOptions,
    methods: Registry,
    router: Router,
    on_close: Mutex<Option<OnClose>>,
    counters: ServerCounters,
    phase: AtomicU8,
    next_worker: AtomicUsize,
    next_id: AtomicU64,
    conns: Mutex<HashMap<u64, Arc<Conn>>>,
    listeners: Mutex<Vec<Arc<Listener>>>,
    /// Told when a connection has gone, and when the phase changes.
    changed: Notify,
}

impl Shared {
    #[inline]
    fn is_stopping(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != RUNNING
    }

    fn connection(&self, id: u64) -> Option<Arc<Conn>> {
        lock(&self.conns).get(&id).cloned()
    }

    fn on_close(&self) -> Option<OnClose> {
        lock(&self.on_close).clone()
    }

    /// A connection has ended.
    fn count_out(&self) {
        self.counters.connections.fetch_sub(1, Ordering::Relaxed);
    }

    /// The last of a connection's handlers has ended, too.
    fn forget(&self, id: u64) {
        let gone = lock(&self.conns).remove(&id);
        if gone.is_some() && self.is_stopping() {
            self.changed.notify();
        }
    }

    // ---- accepting ----

    fn accept(self: &Arc<Self>, listener: &Listener) {
        loop {
            match listener.accept_by(Deadline::NEVER) {
                Ok(stream) => self.admit(stream),
                Err(_) if self.is_stopping() => return,
                Err(error) => {
                    log::warn!("accepting a connection failed: {error}");
                    if rt::sleep(ACCEPT_PAUSE).is_err() {
                        return;
                    }
                }
            }
        }
    }

    fn admit(self: &Arc<Self>, stream: Stream) {
        let counters = &self.counters;
        counters.accepted.fetch_add(1, Ordering::Relaxed);
        let open = counters.connections.fetch_add(1, Ordering::Relaxed);
        if open >= self.options.max_connections as u64 {
            counters.connections.fetch_sub(1, Ordering::Relaxed);
            counters.rejected.fetch_add(1, Ordering::Relaxed);
            log::warn!("refusing {}: {open} connections are open", stream.peer_addr());
            return;
        }
        if let Err(error) = stream.set_peer_timeout(self.options.peer_timeout) {
            // It has gone already, and reading will tell.
            log::debug!("no time-out for the peer {}: {error}", stream.peer_addr());
        }
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed) % rt::worker_count();
        let shared = self.clone();
        let posted = rt::post(worker, move || {
            let counters = shared.clone();
            if let Err(error) = rt::spawn_detached("rpc connection", move || shared.serve(stream)) {
                log::error!("refusing a connection: {error}");
                counters.counters.connections.fetch_sub(1, Ordering::Relaxed);
            }
        });
        if posted.is_err() {
            counters.connections.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn serve(self: Arc<Self>, stream: Stream) {
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let conn = Conn::new(id, self.clone(), stream);
        {
            let mut conns = lock(&self.conns);
            if self.is_stopping() {
                drop(conns);
                self.counters.connections.fetch_sub(1, Ordering::Relaxed);
                return;
            }
            conns.insert(id, conn.clone());
        }
        drop(self);
        reader::serve(&conn);
    }

    // ---- stopping ----

    fn stop(&self, deadline: Deadline) -> StopReport {
        let stopped = || (self.phase.load(Ordering::Acquire) == STOPPED).then_some(());
        let before = self.counters.read();
        if !self.begin_stop() {
            let _ = self.changed.wait_for(deadline, stopped);
            return StopReport::default();
        }
        let empty = || lock(&self.conns).is_empty().then_some(());
        let mut canceled = 0;
        if self.changed.wait_for(deadline, empty).is_err() {
            let cut_off = self.give_up();
            if self.changed.wait_for(Deadline::after(LAST_WAIT), empty).is_err() {
                let left = lock(&self.conns).len();
                log::warn!("the server has stopped, and handlers of {left} connections still run");
            }
            canceled = cut_off.load(Ordering::Relaxed);
        }
        self.set_stopped();
        let after = self.counters.read();
        let refused = after.calls - before.calls;
        let finished = before.in_flight.saturating_sub(canceled);
        StopReport { finished, canceled, refused }
    }

    /// Closes the listeners and drains the connections. False if that was done before.
    fn begin_stop(&self) -> bool {
        {
            let _conns = lock(&self.conns);
            let change =
                self.phase.compare_exchange(RUNNING, STOPPING, Ordering::AcqRel, Ordering::Relaxed);
            if change.is_err() {
                return false;
            }
        }
        for listener in &*lock(&self.listeners) {
            listener.close();
        }
        self.on_each(Conn::drain);
        true
    }

    /// Cuts every connection off; the number of calls that were in flight grows as their workers
    /// get to it.
    fn give_up(&self) -> Arc<AtomicU64> {
        let canceled = Arc::new(AtomicU64::new(0));
        let count = canceled.clone();
        self.on_each(move |conn| {
            count.fetch_add(conn.give_up(), Ordering::Relaxed);
        });
        canceled
    }

    fn set_stopped(&self) {
        self.phase.store(STOPPED, Ordering::Release);
        self.changed.notify();
    }

    fn on_each(&self, f: impl Fn(&Arc<Conn>) + Send + Clone + 'static) {
        let conns: Vec<Arc<Conn>> = lock(&self.conns).values().cloned().collect();
        for conn in conns {
            let f = f.clone();
            // It fails in a forked child only, which has no connections to close.
            let _ = rt::post(conn.home(), move || f(&conn));
        }
    }
}

type OnClose = Arc<dyn Fn(u64) + Send + Sync>;

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;
const STOPPED: u8 = 2;

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
/// Connections that are cut off, and handlers that are cancelled, leave within this time unless
/// their worker is blocked.
const LAST_WAIT: Duration = Duration::from_secs(1);
