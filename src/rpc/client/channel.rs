//! A client as its clones share it: calls begin on its worker, and through its inbox from
//! elsewhere.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::calls::run_callback_anywhere;
use super::inbox::{Command, Completion, Inbox};
use super::local::Local;
use super::pending::{Done, Outcome, Pending};
use super::pushes::{Handlers, OnClose, OnPush};
use super::reconnect;
use super::request::Request;
use super::shared::Shared;
use crate::rpc::error::Kind;
use crate::rpc::io::Writer;
use crate::rpc::{ClientOptions, Code, Error, Protocol};
use crate::rt::{self, Deadline, Pinned};

pub(super) struct Channel {
    pub(super) shared: Arc<Shared>,
    /// Number of clients that share this: the last one closes it.
    pub(super) handles: AtomicUsize,
    handlers: Arc<Handlers>,
    inbox: Inbox,
    home: usize,
    /// Set by the home worker, before it takes any command.
    local: OnceLock<Pinned<Local>>,
}

impl Channel {
    pub(super) fn new(addr: &str, mut options: ClientOptions) -> io::Result<Arc<Channel>> {
        options.max_in_flight = options.max_in_flight.clamp(1, crate::slab::MAX_LEN);
        options.backoff_max = options.backoff_max.max(options.backoff_min);
        let home = match options.worker {
            None => rt::pick_worker()?,
            Some(worker) => {
                rt::ensure()?;
                if worker >= rt::worker_count() {
                    return Err(io::Error::new(io::ErrorKind::InvalidInput, "no such worker"));
                }
                worker
            }
        };
        let channel = Arc::new(Channel {
            shared: Arc::new(Shared::new(addr, options)),
            handles: AtomicUsize::new(1),
            handlers: Arc::default(),
            inbox: Inbox::default(),
            home,
            local: OnceLock::new(),
        });
        if rt::worker_index() == Some(home) {
            channel.settle();
        } else {
            let settled = channel.clone();
            rt::post(home, move || settled.settle())?;
        }
        Ok(channel)
    }

    fn settle(&self) {
        let local = Local::new(self.shared.clone(), self.handlers.clone());
        let is_first = self.local.set(Pinned::new(local)).is_ok();
        debug_assert!(is_first, "a client settles once");
    }

    /// Returns the worker-local state, if called on the home worker.
    #[inline]
    pub(super) fn local(&self) -> Option<&Local> {
        self.local.get()?.get()
    }

    /// Calls `f` on the home worker, now or soon.
    fn at_home(self: &Arc<Self>, f: impl FnOnce(&Local) + Send + 'static) {
        match self.local() {
            Some(local) => f(local),
            None => {
                let channel = self.clone();
                // Fails only in a forked child, where the client is dead.
                let _ = rt::post(self.home, move || f(channel.here()));
            }
        }
    }

    fn here(&self) -> &Local {
        self.local().expect("called on the client's worker")
    }

    // ---- calls ----

    /// Starts a call. Returns its key, or the error and the entry. Home worker only.
    #[inline]
    pub(super) fn begin(
        &self,
        local: &Local,
        request: &Request<'_>,
        entry: Pending,
    ) -> Result<u64, (Error, Pending)> {
        let options = &self.shared.options;
        let is_connected = match local.connection.check() {
            Ok(is_connected) => is_connected,
            Err(error) => return Err((error, entry)),
        };
        if options.protocol == Protocol::Original && !request.attachment.is_empty() {
            return Err((Error::request("these frames carry no attachment"), entry));
        }
        let queue = local.connection.queue();
        if queue.unsent() >= options.max_unsent {
            return Err((Error::crowded("too many bytes wait to be sent"), entry));
        }
        let mut writer = Writer::NotNeeded;
        let key = local.calls.begin(entry, |id| {
            let encode =
                |buffer: &mut Vec<u8>| request.encode(buffer, options.protocol, id, &local.pushes);
            let encoded = if is_connected {
                let (encoded, needed) = queue.append(encode);
                writer = needed;
                encoded
            } else {
                queue.hold(encode)
            };
            encoded.map_err(|error| Error::request(error.to_string()))
        })?;
        if writer == Writer::Start {
            local.connection.start_writer(queue.clone());
        } else if !is_connected {
            drop(queue);
            reconnect::start(local);
        }
        Ok(key)
    }

    /// Sends a command to the home worker. On failure, returns the error and the command.
    pub(super) fn send(self: &Arc<Self>, command: Command) -> Result<(), Box<(Error, Command)>> {
        if self.shared.status.is_closed() && matches!(command, Command::Call(..)) {
            return Err(Box::new((Error::closed(), command)));
        }
        if let Err(error) = rt::check_usable() {
            return Err(Box::new((Error::internal(error.to_string()), command)));
        }
        if self.inbox.push(command, &self.shared.options)? {
            let channel = self.clone();
            // Fails only in a forked child, which was checked for above.
            let _ = rt::post(self.home, move || channel.run_commands());
        }
        Ok(())
    }

    fn run_commands(&self) {
        let local = self.here();
        for command in self.inbox.take() {
            match command {
                Command::Call(request, Completion::Wake(slot)) => {
                    let entry = Pending::CrossThread(slot.clone());
                    match self.begin(local, &request.request(), entry) {
                        Ok(key) => slot.key.store(key, Ordering::Relaxed),
                        Err((error, _)) => slot.complete(Err(error)),
                    }
                }
                Command::Call(request, Completion::Run { done, deadline, key: place }) => {
                    if place.load(Ordering::Acquire) == CANCELED {
                        local.calls.run_callback(done, Err(Error::canceled()));
                        continue;
                    }
                    match self.begin(local, &request.request(), Pending::Async(done)) {
                        Ok(key) => {
                            local.calls.expire_at(key, deadline);
                            let (set, seen) = (Ordering::AcqRel, Ordering::Acquire);
                            if place.compare_exchange(0, key, set, seen).is_err() {
                                local.calls.cancel(key);
                            }
                        }
                        Err((error, Pending::Async(done))) => {
                            local.calls.run_callback(done, Err(error));
                        }
                        Err(_) => unreachable!("the entry comes back as it was"),
                    }
                }
                // Queued after the call itself, so that the key, if there is one, is set.
                Command::Forget(slot) => local.calls.cancel(slot.key.load(Ordering::Relaxed)),
                Command::Cancel(key) => local.calls.cancel(key),
            }
        }
    }

    /// Runs the callback of a call in a coroutine: of the home worker, if called there.
    pub(super) fn run_callback(&self, done: Done, outcome: Outcome) {
        match self.local() {
            Some(local) => local.calls.run_callback(done, outcome),
            None => run_callback_anywhere(done, outcome),
        }
    }

    // ---- the connection ----

    pub(super) fn connect(self: &Arc<Self>, deadline: Deadline) -> Result<(), Error> {
        let before = self.shared.status.attempts();
        self.at_home(|local| {
            reconnect::start(local);
            local.connection.end_pause();
        });
        let outcome = self.shared.status.wait_connected(before, deadline);
        outcome.unwrap_or_else(|error| {
            let error = io::Error::from(error);
            let text = format!("no connection to {}: {error}", self.shared.addr);
            Err(match error.raw_os_error() {
                Some(libc::ECANCELED) => Error::canceled(),
                Some(libc::ETIMEDOUT) => Error::of(Kind::Timeout, Code::ERPCTIMEDOUT, text),
                _ => Error::internal(text),
            })
        })
    }

    pub(super) fn close(self: &Arc<Self>) {
        if !self.shared.status.set_closed() {
            return;
        }
        self.handlers.clear();
        self.at_home(|local| {
            local.connection.set_closed();
            local.disconnect();
            local.calls.fail_all(&Error::closed());
            local.calls.wake_deadline_task();
            local.connection.end_pause();
            local.shared.status.notify();
        });
    }

    // ---- handlers ----

    pub(super) fn set_on_push(self: &Arc<Self>, handler: OnPush) {
        self.handlers.set_push(handler);
        self.at_home(|local| local.pushes.set_wanted());
        self.clear_handlers_if_closed();
    }

    pub(super) fn set_on_close(&self, handler: OnClose) {
        self.handlers.set_close(handler);
        self.clear_handlers_if_closed();
    }

    fn clear_handlers_if_closed(&self) {
        if self.shared.status.is_closed() {
            self.handlers.clear();
        }
    }
}

/// Stored in place of the key of a call that must end before it has one. No call has this key: see
/// [`Slab`](crate::slab::Slab).
pub(super) const CANCELED: u64 = u64::MAX;
