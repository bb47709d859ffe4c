//! The trait [`Protocol`], by which a protocol plugs into a [`Server`](crate::server::Server), and
//! [`Conn`], the connection that it is given to serve: its stream, its lifecycle, the coroutines of its
//! handlers, its counters. `docs/adding-a-protocol.md` has a whole one.

// What it may call: slab, rt, net, sync.
//
// What holds: a connection lives on one worker, and what only that worker touches has no lock. Its
// `State` only moves forward, and `Conn::advance` alone has the side effects of a transition. The handler
// of closed connections runs once for each connection.
//
// What it must never do: block a worker; hold a `RefCell` borrow over a call that waits or that leads
// into a protocol. It stands below the protocols and the server, so that neither needs the other.

use std::io;
use std::sync::Arc;

mod conn;
mod connections;
mod counters;
mod handlers;
mod in_flight;
mod state;

pub use self::conn::Conn;
pub use self::counters::ProtocolStats;
pub use self::in_flight::InFlight;

pub(crate) use self::connections::{Admitted, Connections};
pub(crate) use self::counters::{Counters, add};
pub(crate) use self::handlers::Handlers;

use crate::rt::Deadline;

/// A protocol that a server speaks: see
/// [`Server::add_protocol`](crate::server::Server::add_protocol) and `docs/adding-a-protocol.md`.
pub trait Protocol: Send + Sync + 'static {
    /// Its name, for logs and counters: where there is one, the name of the ALPN registry.
    fn name(&self) -> &'static str;

    /// Judges the first bytes of a connection, of which there is at least one. It may be asked
    /// again with more, and with the same ones; it must not wait.
    fn detect(&self, first: &[u8]) -> Detected;

    /// Serves a connection until it ends, in the calling coroutine.
    fn serve(&self, conn: &Arc<Conn>, first: FirstBytes) -> End;
}

/// What a protocol makes of a connection's first bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detected {
    /// The connection speaks it.
    Yes,
    /// The connection speaks something else.
    No,
    /// Too early to tell. No protocol after this one is asked until more bytes have come; once the
    /// bound on the first bytes is reached, or the time for them is over, it counts as a no.
    NeedMore,
}

/// What was read of a connection to find out its protocol.
#[derive(Debug)]
pub struct FirstBytes {
    /// The bytes, none of them consumed.
    pub bytes: Vec<u8>,
    /// When what they begin has to be whole: set if they came so slowly that there was a wait, else
    /// [`Deadline::NEVER`], and the protocol's own time-outs count from now.
    pub due: Deadline,
}

/// How a protocol left its connection.
#[derive(Debug)]
#[non_exhaustive]
pub enum End {
    /// The peer has closed its side. What is in flight is still answered.
    PeerClosed,
    /// We have nothing more to say: it is closed at once. See also [`Conn::hang_up`].
    Closed,
    /// Reading or writing has failed.
    Failed(io::Error),
    /// The peer broke the rules, and how. It is closed at once.
    Bad(String),
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> End {
        End::Failed(error)
    }
}

/// What a protocol that has several requests of a connection in flight, or writes by itself, keeps
/// for it: see [`Conn::attach`]. Its methods are called on the connection's worker, from other
/// coroutines than the one that serves it, and must not wait.
pub trait Session: Send + Sync {
    /// The requests that were taken and are not answered yet.
    fn in_flight(&self) -> usize;

    /// Whether all that was written has been handed to the kernel.
    fn is_flushed(&self) -> bool;

    /// Forgets the requests in flight: what answers them later goes nowhere.
    fn drop_requests(self: Arc<Self>);

    /// Answers the requests in flight with an error that says that the server stops.
    fn fail_requests(self: Arc<Self>);

    /// Nothing leaves any more: drops what is unsent and what will be written.
    fn shut(&self);
}
