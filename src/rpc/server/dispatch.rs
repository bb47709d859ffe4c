//! From what a frame says to a call that runs.

use std::sync::Arc;
use std::time::Duration;

use super::call::{self, Bound, Call};
use super::conn::RpcConn;
use super::encode::WireReply;
use super::registry::{Lookup, Registered};
use super::state::ConnState;
use crate::protocol::Handlers;
use crate::rpc::Code;
use crate::rpc::Compress;
use crate::rt::Deadline;

/// Starts the calls of one connection. Home worker only.
pub(super) struct Dispatch<'a> {
    pub(super) conn: &'a Arc<RpcConn>,
    pub(super) local: &'a ConnState,
    handlers: &'a Handlers,
    /// The methods this connection has used; the last one used is tried first.
    bound: Vec<Arc<Bound>>,
    last: usize,
    /// The clock as of this round, in nanoseconds; 0 if nobody has asked yet.
    now: u64,
}

/// What a request says, whatever the frames are.
pub(super) struct Incoming<'a> {
    pub(super) correlation_id: i64,
    pub(super) service: &'a str,
    pub(super) method: &'a str,
    pub(super) body: &'a [u8],
    pub(super) attachment: &'a [u8],
    pub(super) compress: Compress,
    pub(super) timeout_ms: Option<i32>,
    pub(super) log_id: i64,
    pub(super) request_id: &'a [u8],
}

impl<'a> Dispatch<'a> {
    pub(super) fn new(conn: &'a Arc<RpcConn>, local: &'a ConnState) -> Dispatch<'a> {
        let handlers = conn.base.handlers();
        Dispatch { conn, local, handlers, bound: Vec::new(), last: 0, now: 0 }
    }

    pub(super) fn has_room(&self) -> bool {
        self.local.has_room(self.conn.options())
    }

    /// Another read has brought frames.
    pub(super) fn next_round(&mut self) {
        self.now = 0;
    }

    /// Starts a call, or responds with why not.
    #[inline]
    pub(super) fn start(&mut self, request: &Incoming<'_>) {
        if self.conn.base.is_canceled() {
            return;
        }
        let id = request.correlation_id;
        if self.conn.base.is_server_stopping() {
            return self.refuse(id, Code::ELOGOFF, "the server is stopping");
        }
        let Some(via) = self.bind(request) else { return };
        let bytes = request.body.len() + request.attachment.len();
        let key = self.local.begin(id, via.method.index, bytes);
        let deadline = self.deadline(request.timeout_ms);
        let call = Call::new(via.clone(), key, deadline, request);
        // If it fails, the call was dropped with its closure, and said so.
        let _ = self.handlers.spawn("rpc call", |handler| move || call::run(via, call, handler));
    }

    #[cold]
    pub(super) fn refuse(&self, id: i64, code: Code, text: &str) {
        self.conn.refuse(self.local, id, &WireReply::error(code, text));
    }

    #[inline]
    fn bind(&mut self, request: &Incoming<'_>) -> Option<Arc<Bound>> {
        if let Some(bound) = self.bound.get(self.last)
            && is(&bound.method, request)
        {
            return Some(bound.clone());
        }
        self.bind_other(request)
    }

    fn bind_other(&mut self, request: &Incoming<'_>) -> Option<Arc<Bound>> {
        if let Some(index) = self.bound.iter().position(|bound| is(&bound.method, request)) {
            self.last = index;
            return Some(self.bound[index].clone());
        }
        let (service, name) = (request.service, request.method);
        match self.conn.rpc.registry.find(service, name) {
            Lookup::Found(method) => {
                // Called without its package, it is looked up each time.
                let known = |bound: &Arc<Bound>| Arc::ptr_eq(&bound.method, &method);
                if let Some(index) = self.bound.iter().position(known) {
                    return Some(self.bound[index].clone());
                }
                if self.bound.len() == MAX_BOUND {
                    self.bound.clear();
                }
                self.last = self.bound.len();
                self.bound.push(Arc::new(Bound { conn: self.conn.clone(), method }));
                self.bound.last().cloned()
            }
            Lookup::NoService => {
                let text = format!("there is no service '{service}'");
                self.refuse_unknown(request, Code::ENOSERVICE, &text);
                None
            }
            Lookup::NoMethod => {
                let text = format!("service '{service}' has no method '{name}'");
                self.refuse_unknown(request, Code::ENOMETHOD, &text);
                None
            }
        }
    }

    fn refuse_unknown(&self, request: &Incoming<'_>, code: Code, text: &str) {
        let answer = WireReply { is_unknown_method: true, ..WireReply::error(code, text) };
        self.conn.refuse(self.local, request.correlation_id, &answer);
    }

    fn deadline(&mut self, timeout_ms: Option<i32>) -> Deadline {
        match timeout_ms {
            Some(timeout) if timeout > 0 => {
                if self.now == 0 {
                    self.now = Deadline::after(Duration::ZERO).ns();
                }
                Deadline::from_ns(self.now.saturating_add(timeout as u64 * 1_000_000))
            }
            _ => Deadline::NEVER,
        }
    }
}

fn is(method: &Registered, request: &Incoming<'_>) -> bool {
    *method.name == *request.method && *method.service == *request.service
}

/// How many methods a connection keeps at hand.
const MAX_BOUND: usize = 64;
