//! The server's side: the methods, and the connections on which they are called in frames.

mod call;
mod conn;
mod connection;
mod detect;
mod dispatch;
mod encode;
mod frames;
mod reader;
mod registry;
mod state;

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

pub use self::call::Call;
pub use self::connection::Connection;
pub use self::registry::Registry;

pub(crate) use self::detect::{BaiduStd, Original};

use self::conn::RpcConn;
use self::frames::Frames;
use self::reader::Reader;
use crate::protocol::{Conn, End, FirstBytes};
use crate::rpc::{Error, Options};
use crate::slab;
use crate::sync::lock;

/// What the RPC connections of a server have in common, whatever their frames are.
pub(crate) struct Rpc {
    options: Options,
    registry: Registry,
    conns: Mutex<HashMap<u64, Arc<RpcConn>>>,
}

impl Rpc {
    pub(crate) fn new(options: Options) -> Rpc {
        let max_in_flight = options.max_in_flight.clamp(1, slab::MAX_LEN);
        let options = Options { max_in_flight, ..options };
        Rpc { options, registry: Registry::default(), conns: Mutex::default() }
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    /// See [`Connection::push`].
    pub(crate) fn push(&self, conn: &Conn, name: &str, body: &[u8]) -> Result<(), Error> {
        self.find(conn)?.push(name, body)
    }

    /// See [`Connection::push_raw`].
    pub(crate) fn push_raw(&self, conn: &Conn, bytes: &[u8]) -> Result<(), Error> {
        self.find(conn)?.push_raw(bytes)
    }

    fn find(&self, conn: &Conn) -> Result<Arc<RpcConn>, Error> {
        let found = lock(&self.conns).get(&conn.id()).cloned();
        found.ok_or_else(|| match conn.is_canceled() {
            true => Error::gone(),
            false => Error::request("the peer does not speak in frames"),
        })
    }

    /// Serves a connection until it ends. Ten thousand may wait in here: what needs much stack is
    /// done elsewhere.
    fn serve<F: Frames>(self: &Arc<Self>, conn: &Arc<Conn>, first: FirstBytes, frames: F) -> End {
        let rpc_conn = RpcConn::new(conn, self, F::FORMAT);
        lock(&self.conns).insert(conn.id(), rpc_conn.clone());
        conn.attach(rpc_conn.clone());
        Reader::new(&rpc_conn, first).run(frames)
    }

    fn forget(&self, id: u64) {
        lock(&self.conns).remove(&id);
    }
}
