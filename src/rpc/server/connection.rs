//! What a server sends without being called.
//!
//! The original frames have a form of their own for it. baidu_std has none: a client that wants
//! pushes says so by a user field of a request, `fastrpc_push`, once per connection, and gets each
//! push as a request of the service `fastrpc.Push` whose method is the message's name and that
//! nobody answers. To all others that speak baidu_std a push is refused.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use super::conn::RpcConn;
use super::encode::Format;
use super::state::ConnState;
use crate::rpc::Error;
use crate::wire;
use crate::wire::baidu_std::{self, RequestHead};
use crate::wire::original;

/// A connection of a server, to push messages to or to close. May be kept and used anywhere, also
/// after the connection has ended.
///
/// ```
/// use fastrpc::rpc::{CallOptions, Client, ClientOptions};
/// use fastrpc::{Server, ServerOptions};
/// use std::sync::mpsc;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = Server::new(ServerOptions::new());
/// server.add_method("demo.News", "Subscribe", |call| {
///     let subscriber = call.connection(); // to be kept for later
///     call.reply(b"");
///     let _ = subscriber.push("headline", b"hello");
/// })?;
///
/// let client = Client::new(server.listen("127.0.0.1:0")?, ClientOptions::new())?;
/// let (sender, headlines) = mpsc::channel();
/// client.on_push(move |name, body| sender.send((name.to_owned(), body.to_vec())).unwrap());
/// client.call("demo.News", "Subscribe", b"", &CallOptions::new())?;
/// assert_eq!(headlines.recv()?, ("headline".to_owned(), b"hello".to_vec()));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Connection {
    id: u64,
    conn: Weak<RpcConn>,
}

impl Connection {
    /// Its number: counted up from 1 by each server and never used again.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Whether messages can still be sent, as far as is known.
    pub fn is_open(&self) -> bool {
        self.conn.upgrade().is_some_and(|conn| !conn.base.is_canceled())
    }

    /// Sends a message of type `name` that answers no call. What one coroutine or thread pushes
    /// arrives in that order. Does not wait: success means that the message is on its way.
    ///
    /// # Errors
    /// EFAILEDSOCKET when the connection is gone; EOVERCROWDED when the peer has left about
    /// [`max_unsent`](crate::rpc::Options::max_unsent) bytes untaken; EREQUEST when the peer takes
    /// no pushes, or the name is none.
    pub fn push(&self, name: &str, body: &[u8]) -> Result<(), Error> {
        self.conn()?.push(name, body)
    }

    /// Sends bytes as they are: they must be whole frames of what the peer speaks. Does not wait.
    ///
    /// # Errors
    /// As for [`push`](Connection::push); EREQUEST when the peer speaks HTTP, whose answers the
    /// bytes might land in.
    pub fn push_raw(&self, bytes: &[u8]) -> Result<(), Error> {
        self.conn()?.push_raw(bytes)
    }

    /// Closes the connection, once what was answered and pushed on it before has been sent. Calls
    /// that are still in flight are canceled ([`Call::is_canceled`](super::Call::is_canceled)), and
    /// what answers them later is dropped; but an HTTP request is answered first. Does not wait.
    /// The handler of closed connections runs as for any other, when the client has closed its side
    /// too, or a second later.
    ///
    /// # Errors
    /// EFAILEDSOCKET when the connection is gone.
    pub fn close(&self) -> Result<(), Error> {
        self.conn()?.base.close();
        Ok(())
    }

    fn conn(&self) -> Result<Arc<RpcConn>, Error> {
        let conn = self.conn.upgrade().filter(|conn| !conn.base.has_left());
        conn.ok_or_else(Error::gone)
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The bytes that wait for a peer, as the home worker last told them to the others.
#[derive(Default)]
pub(super) struct Unsent(AtomicUsize);

impl Unsent {
    pub(super) fn tell(&self, bytes: usize) {
        self.0.store(bytes, Ordering::Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

impl RpcConn {
    pub(super) fn handle(self: &Arc<Self>) -> Connection {
        Connection { id: self.base.id(), conn: Arc::downgrade(self) }
    }

    pub(super) fn push(self: &Arc<Self>, name: &str, body: &[u8]) -> Result<(), Error> {
        if name.is_empty() {
            return Err(Error::request("a pushed message needs a name"));
        }
        let format = self.format();
        self.send(name.len() + body.len(), |out| {
            let pushed = match format {
                Format::Original | Format::Original2 => original::encode_push(out, name, body),
                Format::BaiduStdPush => encode_baidu_std(out, name, body),
                Format::BaiduStd | Format::Unknown => return Err(Error::request(TAKES_NONE)),
            };
            pushed.map_err(|error| Error::request(error.to_string()))
        })
    }

    pub(super) fn push_raw(self: &Arc<Self>, bytes: &[u8]) -> Result<(), Error> {
        if self.format() == Format::Unknown {
            return Err(Error::request("the peer does not speak in frames"));
        }
        self.send(bytes.len(), |out| {
            out.extend_from_slice(bytes);
            Ok(())
        })
    }

    /// Appends what `encode` writes, about `len` bytes or, if it fails, none.
    fn send(
        self: &Arc<Self>,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if self.base.is_canceled() {
            return Err(Error::gone());
        }
        match self.here() {
            Some(local) => self.send_here(local, len, encode),
            None => self.send_push(|waiting, out| {
                self.check_room(self.unsent.get().saturating_add(waiting), len)?;
                encode(out)
            }),
        }
    }

    fn send_here(
        self: &Arc<Self>,
        local: &ConnState,
        len: usize,
        encode: impl FnOnce(&mut Vec<u8>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        if local.out.is_shut() {
            return Err(Error::gone());
        }
        self.check_room(local.out.unsent(), len)?;
        let mut encoded = Ok(());
        self.append(local, |out| encoded = encode(out));
        self.unsent.tell(local.out.unsent());
        encoded
    }

    fn check_room(&self, unsent: usize, len: usize) -> Result<(), Error> {
        if unsent.saturating_add(len) > self.options().max_unsent {
            return Err(Error::crowded("the peer does not take what was sent to it"));
        }
        Ok(())
    }
}

fn encode_baidu_std(out: &mut Vec<u8>, name: &str, body: &[u8]) -> Result<(), wire::Error> {
    let head =
        RequestHead { service: baidu_std::PUSH_SERVICE, method: name, ..RequestHead::default() };
    baidu_std::encode_request(out, &head, body, &[])
}

const TAKES_NONE: &str = "the peer did not say that it takes pushes";
