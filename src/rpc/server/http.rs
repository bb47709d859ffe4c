//! The way from a server's port to HTTP.

use std::cell::RefCell;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::conn::Conn;
use super::reader::End;
use super::state::{ConnState, Until};
use crate::http::{self, Connection, Host};
use crate::net::Stream;
use crate::rt::{Deadline, Waker};

/// Serves a connection that turned out to be HTTP, until it ends. `early` was read to find out,
/// `head_due` is when the head that it begins must be whole.
pub(super) fn serve(
    conn: &Arc<Conn>,
    stream: Arc<Stream>,
    early: Vec<u8>,
    head_due: Deadline,
) -> End {
    conn.local().speaks_http.set(true);
    let host = Hosted { conn, local: conn.local(), in_hand: RefCell::default() };
    let (router, options) = (&conn.server.router, &conn.options().http);
    let end = http::serve(Connection { stream, early, head_due, router, options, host: &host });
    host.release();
    match end {
        http::End::Failed(_) if host.local.is_cut() => End::Cut,
        http::End::Failed(error) => End::Failed(error),
        http::End::Bad(why) => End::Bad(why.to_string()),
        http::End::Done => End::Cut,
    }
}

struct Hosted<'a> {
    conn: &'a Arc<Conn>,
    local: &'a ConnState,
    /// Requests whose answers have not left: calls in flight, for a stop to wait for.
    in_hand: RefCell<Vec<(u64, /* is an error */ bool)>>,
}

impl Host for Hosted<'_> {
    fn connection(&self) -> u64 {
        self.conn.id
    }

    fn is_stopping(&self) -> bool {
        self.conn.server.is_stopping() || self.local.draining.get()
    }

    fn is_cut(&self) -> bool {
        self.local.is_cut()
    }

    fn watch(&self, waker: Option<Waker>) {
        // What is in hand while the connection waits shall be seen.
        self.conn.publish(self.local);
        self.local.awaiting.replace(waker.map(|waker| (Until::Drained, waker)));
    }

    fn run(&self, handler: Box<dyn FnOnce()>) -> io::Result<()> {
        let conn = self.conn.clone();
        self.local.spawn_handler("http handler", |key| {
            move || {
                handler();
                conn.handler_left(key);
            }
        })
    }

    fn begin(&self, bytes: usize) {
        self.in_hand.borrow_mut().push((self.local.begin(0, bytes), false));
    }

    fn end(&self, is_error: bool) {
        if let Some(last) = self.in_hand.borrow_mut().last_mut() {
            last.1 = is_error;
        }
    }

    fn settle(&self, read: u64, written: u64) {
        self.release();
        self.local.tally.read(read as usize);
        self.conn.server.counters.bytes_out.fetch_add(written, Ordering::Relaxed);
        self.conn.publish(self.local);
    }
}

impl Hosted<'_> {
    /// The calls end. What was answered has left, or never will.
    fn release(&self) {
        for (key, is_error) in self.in_hand.borrow_mut().drain(..) {
            if self.local.end(key).is_some() {
                self.local.tally.ended(is_error);
            }
        }
    }
}
