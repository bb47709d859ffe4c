//! A server: its addresses, the connections that come there, and the protocols spoken on them.
//!
//! A [`Server`] listens, detects by its first bytes what each connection speaks, and has it served by
//! that [`Protocol`]: baidu_std and the original frames of [`rpc`], HTTP/1 of
//! [`http`], and any that [`add_protocol`](Server::add_protocol) plugs in. It bounds the number
//! of connections, counts what happens on them, runs the handler of closed ones, and stops gracefully.

// What it may call: rt, net, sync, process, protocol, http, rpc.
//
// What holds: a protocol knows neither the server nor the other protocols. What each keeps for its
// requests is its own; the server sees connections, and how many requests each has in flight.
//
// What it must never do: read or write a connection once its protocol is known.

mod accept;
mod detect;
mod listen;
mod options;
mod stats;
mod stop;

use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

pub use self::options::ServerOptions;
pub use self::stats::ServerStats;
pub use self::stop::StopReport;
pub use crate::protocol::{
    Conn, Detected, End, FirstBytes, InFlight, Protocol, ProtocolStats, Session,
};

use crate::http::{self, Http1, Router};
use crate::net::Listener;
use crate::protocol::{Connections, Counters};
use crate::rpc::{self, BaiduStd, Call, Original, Registry, Rpc, Service};

/// A server: methods by name, HTTP routes, and the addresses it listens on.
///
/// Each connection lives on one worker; its requests are served there, each in a coroutine of its
/// own. May be used from any thread. Dropped without a [`stop`](Server::stop), it stops at once:
/// calls in flight are answered with ELOGOFF.
///
/// ```
/// use fastrpc::{Server, ServerOptions};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::new(ServerOptions::new().max_connections(1000));
/// server.add_method("demo.EchoService", "Echo", |call| {
///     let body = call.request().to_vec();
///     call.reply(&body);
/// })?;
/// server.route("GET", "/hello", |_| "hello")?;
/// let addr = server.listen("127.0.0.1:0")?; // both are served on it
/// # let _ = addr;
/// # Ok(())
/// # }
/// ```
pub struct Server {
    shared: Arc<Shared>,
    rpc: Arc<Rpc>,
    http: Arc<Http1>,
}

/// What the coroutines of a server have in common.
struct Shared {
    options: ServerOptions,
    /// In the order in which they are asked.
    protocols: RwLock<Arc<[Spoken]>>,
    connections: Arc<Connections>,
    accepted: AtomicU64,
    rejected: AtomicU64,
    next_worker: AtomicUsize,
    listeners: Mutex<Vec<Arc<Listener>>>,
}

/// A protocol, and what happened on its connections.
#[derive(Clone)]
struct Spoken {
    protocol: Arc<dyn Protocol>,
    counters: Arc<Counters>,
}

impl Server {
    /// A server without methods, routes or addresses.
    pub fn new(options: ServerOptions) -> Server {
        let rpc = Arc::new(Rpc::new(options.rpc.clone()));
        let http = Arc::new(Http1::new(options.http.clone()));
        let protocols: [Arc<dyn Protocol>; 4] = [
            Arc::new(BaiduStd(rpc.clone())),
            Arc::new(Original::strict(rpc.clone())),
            // Once it has a route, it takes all that is left.
            http.clone(),
            Arc::new(Original::lenient(rpc.clone())),
        ];
        let shared = Arc::new(Shared {
            options,
            protocols: RwLock::new(protocols.into_iter().map(Spoken::new).collect()),
            connections: Connections::new(),
            accepted: AtomicU64::new(0),
            rejected: AtomicU64::new(0),
            next_worker: AtomicUsize::new(0),
            listeners: Mutex::default(),
        });
        Server { shared, rpc, http }
    }

    // ---- what is served ----

    /// Adds a method: see [`Registry::add_method`].
    ///
    /// # Errors
    /// When a name is empty, or the method is there already.
    pub fn add_method(
        &self,
        service: &str,
        method: &str,
        handler: impl Fn(Call) + Send + Sync + 'static,
    ) -> Result<(), rpc::Error> {
        self.rpc.registry().add_method(service, method, handler)
    }

    /// Adds the methods of a generated service.
    ///
    /// # Errors
    /// When one of them is there already.
    pub fn add_service(&self, service: impl Service) -> Result<(), rpc::Error> {
        self.rpc.registry().add_service(service)
    }

    /// The methods.
    pub fn rpc(&self) -> &Registry {
        self.rpc.registry()
    }

    /// Adds an HTTP route: see [`Router::route`].
    ///
    /// # Errors
    /// As there.
    pub fn route<R: Into<http::Response>>(
        &self,
        method: &str,
        path: &str,
        handler: impl Fn(http::Request) -> R + Send + Sync + 'static,
    ) -> Result<&Server, http::RouteError> {
        self.http().route(method, path, handler)?;
        Ok(self)
    }

    /// Adds an HTTP route whose answer may be given later: see [`Router::route_deferred`].
    ///
    /// # Errors
    /// As for [`route`](Server::route).
    pub fn route_deferred(
        &self,
        method: &str,
        path: &str,
        handler: impl Fn(http::Request, http::Responder) + Send + Sync + 'static,
    ) -> Result<&Server, http::RouteError> {
        self.http().route_deferred(method, path, handler)?;
        Ok(self)
    }

    /// Sets what answers the HTTP requests whose path no route matches: see [`Router::fallback`].
    ///
    /// # Errors
    /// When there is a fallback already.
    pub fn fallback(
        &self,
        handler: impl Fn(http::Request, http::Responder) + Send + Sync + 'static,
    ) -> Result<&Server, http::RouteError> {
        self.http().fallback(handler)?;
        Ok(self)
    }

    /// The HTTP routes. As long as there are none, connections that speak HTTP are closed.
    pub fn http(&self) -> &Router {
        self.http.router()
    }

    /// Has the connections that speak `protocol` served by it. It is asked before those that were
    /// added earlier and those that come with the server; connections whose protocol is known stay
    /// with that.
    pub fn add_protocol(&self, protocol: impl Protocol) {
        let mut protocols = self.shared.protocols.write().unwrap_or_else(PoisonError::into_inner);
        let added = Spoken::new(Arc::new(protocol));
        *protocols = std::iter::once(added).chain(protocols.iter().cloned()).collect();
    }

    // ---- connections ----

    /// Sends a message of type `name` to the connection of number `connection`: see
    /// [`Connection::push`](rpc::Connection::push).
    ///
    /// # Errors
    /// As there.
    pub fn push(&self, connection: u64, name: &str, body: &[u8]) -> Result<(), rpc::Error> {
        let conn = self.connection(connection)?;
        self.rpc.push(&conn, name, body)
    }

    /// Sends bytes as they are to the connection of number `connection`: see
    /// [`Connection::push_raw`](rpc::Connection::push_raw).
    ///
    /// # Errors
    /// As there.
    pub fn push_raw(&self, connection: u64, bytes: &[u8]) -> Result<(), rpc::Error> {
        let conn = self.connection(connection)?;
        self.rpc.push_raw(&conn, bytes)
    }

    /// Closes the connection of number `connection`, once what was answered and pushed on it before
    /// has been sent: see [`Connection::close`](rpc::Connection::close). HTTP requests in flight are
    /// answered first. Does not wait.
    ///
    /// # Errors
    /// EFAILEDSOCKET when the connection is gone.
    pub fn close_connection(&self, connection: u64) -> Result<(), rpc::Error> {
        self.connection(connection)?.close();
        Ok(())
    }

    fn connection(&self, id: u64) -> Result<Arc<Conn>, rpc::Error> {
        let conn = self.shared.connections.get(id).filter(|conn| !conn.has_left());
        conn.ok_or_else(rpc::Error::gone)
    }

    /// Runs `handler` once for each connection that has ended, with its number: as soon as the peer
    /// closed its side, whatever requests are still in flight, or when the connection broke or was
    /// closed by us. It runs in a coroutine of the connection's worker, and a stop of the server
    /// waits for it. Replaces the handler before. A panic is logged.
    pub fn on_close(&self, handler: impl Fn(u64) + Send + Sync + 'static) {
        self.shared.connections.set_on_close(Arc::new(handler));
    }

    // ---- numbers ----

    /// What the server has done, and is doing.
    pub fn stats(&self) -> ServerStats {
        self.shared.stats()
    }

    /// The same for one of its protocols, by [`Protocol::name`].
    pub fn protocol_stats(&self, name: &str) -> Option<ProtocolStats> {
        let protocols = self.shared.protocols();
        let named = protocols.iter().filter(|spoken| spoken.protocol.name() == name);
        named.map(|spoken| spoken.counters.read()).reduce(|sum, more| sum + more)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let protocols = self.shared.protocols();
        let names: Vec<&str> = protocols.iter().map(|spoken| spoken.protocol.name()).collect();
        f.debug_struct("Server")
            .field("addr", &self.local_addr())
            .field("protocols", &names)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Shared {
    fn protocols(&self) -> Arc<[Spoken]> {
        self.protocols.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn stats(&self) -> ServerStats {
        let mut stats = ServerStats {
            connections: self.connections.open() as u64,
            accepted: self.accepted.load(Ordering::Relaxed),
            rejected: self.rejected.load(Ordering::Relaxed),
            ..ServerStats::default()
        };
        stats += self.connections.undetected().read();
        for spoken in &*self.protocols() {
            stats += spoken.counters.read();
        }
        stats
    }
}

impl Spoken {
    fn new(protocol: Arc<dyn Protocol>) -> Spoken {
        Spoken { protocol, counters: Arc::default() }
    }
}
