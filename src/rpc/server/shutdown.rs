//! How a server's connection ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::OnClose;
use super::conn::Conn;
use super::encode::WireReply;
use super::state::ConnState;
use crate::rpc::Code;
use crate::rt;
use crate::slab::Slab;

impl Conn {
    /// See [`Connection::close`](super::Connection::close).
    pub(super) fn close(self: &Arc<Self>) {
        self.set_gone();
        // Pushes from elsewhere that succeeded before come first.
        self.mail_close();
    }

    pub(super) fn close_here(&self, local: &ConnState) {
        if local.speaks_http.get() {
            local.draining.set(true);
        } else {
            local.closing.set(true);
        }
        self.progress(local);
    }

    /// The server is stopping: lets the calls in flight end, then closes.
    pub(super) fn drain(self: &Arc<Self>) {
        let local = self.local();
        local.draining.set(true);
        self.progress(local);
    }

    /// The server's stop ran out of time: answers what is in flight with ELOGOFF and closes.
    /// Tells how many calls that were.
    pub(super) fn give_up(self: &Arc<Self>) -> u64 {
        let local = self.local();
        self.set_gone();
        let keys = local.calls.borrow().keys();
        for &key in &keys {
            let correlation_id = local.end(key).expect("listed above").correlation_id;
            local.tally.ended(true);
            let answer = WireReply::error(Code::ELOGOFF, "the server stopped before the answer");
            self.append_answer(local, correlation_id, &answer);
        }
        self.cancel_handlers(local);
        self.drain();
        self.cut_after(LAST_WORDS);
        keys.len() as u64
    }

    /// Lets no handler wait any longer.
    fn cancel_handlers(&self, local: &ConnState) {
        // A cancelled handler is queued and does not run here: the slab stays as it is.
        let mut handlers = local.handlers.borrow_mut();
        for key in handlers.keys() {
            if let Some(Some(handler)) = handlers.get_mut(key) {
                handler.cancel();
            }
        }
    }

    /// Tells the peer that nothing more will come, and waits a little for it to do the same: to
    /// close with its bytes unread would take back the answers that are still on their way.
    pub(super) fn hang_up(&self, local: &ConnState) {
        if local.out.is_shut() {
            return;
        }
        local.out.shut();
        if let Some(stream) = &*local.stream.borrow() {
            let _ = stream.shutdown(std::net::Shutdown::Write);
        }
        if let Some(conn) = self.server.connection(self.id) {
            conn.cut_after(LINGER);
        }
    }

    fn cut_after(self: &Arc<Self>, delay: Duration) {
        let conn = Arc::downgrade(self);
        let timer = rt::Timer::after(delay, move || {
            if let Some(conn) = conn.upgrade() {
                conn.cut(conn.local());
            }
        });
        if timer.is_err() {
            self.cut(self.local());
        }
    }

    /// Ends reading and writing at once.
    pub(super) fn cut(&self, local: &ConnState) {
        self.set_gone();
        local.cut.set(true);
        local.out.shut();
        if let Some(stream) = &*local.stream.borrow() {
            stream.close();
        }
        if let Some((_, waker)) = local.awaiting.take() {
            waker.wake();
        }
    }

    /// Lets the handler of closed connections know, if there is one.
    pub(super) fn tell_closed(self: &Arc<Self>, local: &ConnState) {
        self.set_gone();
        let Some(handler) = self.server.on_close() else { return };
        let (conn, tell) = (self.clone(), handler.clone());
        let spawned = local.spawn_handler("rpc close handler", |key| {
            move || {
                run_on_close(&tell, conn.id);
                conn.handler_left(key);
            }
        });
        if spawned.is_err() {
            // This is a coroutine too.
            run_on_close(&handler, self.id);
        }
    }

    /// The reader's last act: forgets the calls in flight, whose answers are dropped when they
    /// come, and leaves the server, which goes on to know of the handlers that still run.
    pub(super) fn leave(&self) {
        let local = self.local();
        self.cut(local);
        local.stream.take();
        let mut calls = local.calls.borrow_mut();
        local.tally.ended.set(local.tally.ended.get() + calls.len() as u64);
        *calls = Slab::new();
        drop(calls);
        local.request_bytes.set(0);
        self.publish(local);
        local.left.set(true);
        self.server.count_out();
        if local.handlers.borrow().is_empty() {
            self.server.forget(self.id);
        }
    }
}

fn run_on_close(handler: &OnClose, id: u64) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler(id))) {
        let text = rt::panic_text(panic.as_ref());
        log::error!("the handler of closed connections panicked: {text}");
    }
}

/// How long a peer may take to close its side after ours.
const LINGER: Duration = Duration::from_secs(1);
/// How long the last answers of a stop that ran out of time may take to leave.
const LAST_WORDS: Duration = Duration::from_millis(200);
