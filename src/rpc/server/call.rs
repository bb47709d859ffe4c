//! A call as its handler sees it.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::Connection;
use super::conn::RpcConn;
use super::dispatch::Incoming;
use super::encode::WireReply;
use super::registry::Registered;
use crate::net::Addr;
use crate::rpc::{Code, Compress, ReplyOptions};
use crate::rt::{self, Deadline};
use crate::wire;

/// A call on the server: the request, and the right to respond once.
///
/// [`reply`](Call::reply), [`reply_with`](Call::reply_with) and [`fail`](Call::fail) consume it; a
/// call that is dropped fails with EINTERNAL. The response may come later and from anywhere: another
/// coroutine, another worker, a plain thread.
///
/// ```
/// use fastrpc::rpc::{Call, Code};
///
/// fn shout(call: Call) {
///     match std::str::from_utf8(call.request()) {
///         Ok(text) => {
///             let loud = text.to_uppercase();
///             call.reply(loud.as_bytes());
///         }
///         Err(error) => call.fail(Code::EREQUEST, &error.to_string()),
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = fastrpc::Server::new(Default::default());
/// server.add_method("demo.Echo", "Shout", shout)?;
/// # Ok(())
/// # }
/// ```
pub struct Call {
    via: Arc<Bound>,
    key: u64,
    correlation_id: i64,
    /// Body as it came, then attachment.
    data: Vec<u8>,
    body_len: usize,
    /// The body, if it came compressed.
    unpacked: Option<Vec<u8>>,
    compress: Compress,
    deadline: Deadline,
    log_id: i64,
    request_id: Option<Box<[u8]>>,
    /// Its handler was started.
    started: bool,
    answered: bool,
}

impl Call {
    /// The service's full name.
    pub fn service(&self) -> &str {
        &self.via.method.service
    }

    /// The method's name.
    pub fn method(&self) -> &str {
        &self.via.method.name
    }

    /// The request message, decompressed.
    pub fn request(&self) -> &[u8] {
        match &self.unpacked {
            Some(body) => body,
            None => &self.data[..self.body_len],
        }
    }

    /// The bytes sent beside the request; empty if none were.
    pub fn attachment(&self) -> &[u8] {
        &self.data[self.body_len..]
    }

    /// How the request was compressed.
    pub fn compress(&self) -> Compress {
        self.compress
    }

    /// The connection it came on, to push messages to.
    pub fn connection(&self) -> Connection {
        self.via.conn.handle()
    }

    /// The number of that connection: see [`Connection::id`].
    pub fn connection_id(&self) -> u64 {
        self.via.conn.base.id()
    }

    /// Where the call came from.
    pub fn peer(&self) -> &Addr {
        self.via.conn.base.peer()
    }

    /// The number the client gave the call for its logs, 0 if none.
    pub fn log_id(&self) -> i64 {
        self.log_id
    }

    /// The name the client gave the request, if it did. `None` if it is not valid UTF-8.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref().and_then(|id| std::str::from_utf8(id).ok())
    }

    /// When the client stops waiting, by this machine's clock, transit time not counted;
    /// [`Deadline::NEVER`] if it did not say.
    pub fn deadline(&self) -> Deadline {
        self.deadline
    }

    /// Whether nobody is likely to read the answer any more: the peer closed its side, the
    /// connection is gone, or the server's stop ran out of time.
    pub fn is_canceled(&self) -> bool {
        self.via.conn.base.is_canceled()
    }

    /// Responds with a message. Does not wait.
    pub fn reply(self, body: &[u8]) {
        self.answer(&WireReply { body, ..WireReply::default() });
    }

    /// Responds with a message, and an attachment or a compression. Does not wait.
    pub fn reply_with(self, body: &[u8], options: &ReplyOptions<'_>) {
        let ReplyOptions { attachment, compress, .. } = *options;
        if compress == Compress::None {
            return self.answer(&WireReply { body, attachment, ..WireReply::default() });
        }
        match wire::compress::compress(compress, body) {
            Ok(packed) => self.answer(&WireReply {
                body: &packed,
                attachment,
                compress,
                ..WireReply::default()
            }),
            Err(error) => self.fail(Code::EINTERNAL, &error.to_string()),
        }
    }

    /// Responds with an error: a constant of [`Code`] or a number of the service's own, and a text.
    /// 0, which would mean success, becomes EINTERNAL. Does not wait.
    pub fn fail(self, code: impl Into<Code>, text: &str) {
        self.answer(&WireReply::error(code.into(), text));
    }

    fn answer(mut self, answer: &WireReply<'_>) {
        self.answered = true;
        self.via.conn.answer(self.key, self.correlation_id, answer);
    }
}

/// A call that nobody answered is answered here.
impl Drop for Call {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let conn = &self.via.conn;
        if !self.started {
            let text = "the server cannot start another coroutine";
            return conn.answer(
                self.key,
                self.correlation_id,
                &WireReply::error(Code::ELIMIT, text),
            );
        }
        // The handler that panics is about to tell why: see `run`.
        if std::thread::panicking() && conn.abandon(self.key) {
            return;
        }
        let answer = WireReply::error(Code::EINTERNAL, NO_ANSWER);
        conn.answer(self.key, self.correlation_id, &answer);
    }
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call")
            .field("service", &self.service())
            .field("method", &self.method())
            .field("correlation_id", &self.correlation_id)
            .field("peer", self.peer())
            .finish_non_exhaustive()
    }
}

/// A method as one connection uses it: what all of that connection's calls of it share, so that
/// a call counts one reference and workers do not contend for the counts.
pub(super) struct Bound {
    pub(super) conn: Arc<RpcConn>,
    pub(super) method: Arc<Registered>,
}

impl Call {
    pub(super) fn new(
        via: Arc<Bound>,
        key: u64,
        deadline: Deadline,
        request: &Incoming<'_>,
    ) -> Call {
        let mut data = Vec::with_capacity(request.body.len() + request.attachment.len());
        data.extend_from_slice(request.body);
        data.extend_from_slice(request.attachment);
        Call {
            via,
            key,
            correlation_id: request.correlation_id,
            data,
            body_len: request.body.len(),
            unpacked: None,
            compress: request.compress,
            deadline,
            log_id: request.log_id,
            request_id: (!request.request_id.is_empty()).then(|| request.request_id.into()),
            started: false,
            answered: false,
        }
    }

    fn unpack(&mut self) -> Result<(), wire::Error> {
        let limit = self.via.conn.max_frame();
        let body = &self.data[..self.body_len];
        self.unpacked = Some(wire::compress::decompress(self.compress, body, limit)?);
        Ok(())
    }
}

/// The body of a call's coroutine.
pub(super) fn run(via: Arc<Bound>, call: Call, handler: u64) {
    handle(&via, call);
    via.conn.base.handler_ended(handler);
}

fn handle(via: &Bound, mut call: Call) {
    call.started = true;
    if call.compress != Compress::None
        && let Err(error) = call.unpack()
    {
        return call.fail(Code::EREQUEST, &error.to_string());
    }
    let key = call.key;
    let ended = catch_unwind(AssertUnwindSafe(|| (via.method.handler)(call)));
    let why = ended.err().map(|panic| {
        let text = rt::panic_text(panic.as_ref());
        log::error!("{}.{} panicked: {text}", via.method.service, via.method.name);
        format!("the handler panicked: {text}")
    });
    via.conn.handler_returned(key, why.as_deref().unwrap_or(NO_ANSWER));
}

const NO_ANSWER: &str = "the handler ended without an answer";
