//! The inside of a client: its calls in flight, on their worker and by mail from elsewhere. How it
//! gets a connection is in `link`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::call_ids::CallIds;
use super::deadlines::{Alarm, Deadlines};
use super::events::{Events, Handlers};
use super::inbox::Mail;
use super::pending::{Done, Outcome, Pending};
use super::reconnect::Link;
use super::request::Request;
use crate::net::{Addr, Stream};
use crate::rpc::io::WriteQueue;
use crate::rpc::stats::ClientCounters;
use crate::rpc::{ClientOptions, Error, Protocol};
use crate::rt::{self, Pinned, Waker};
use crate::slab::Slab;
use crate::sync::{Notify, lock};

/// What a client and the coroutines that serve it share.
pub(super) struct Inner {
    pub(super) addr: Box<str>,
    pub(super) options: ClientOptions,
    pub(super) home: usize,
    /// How many clients share this: the last one closes.
    pub(super) handles: AtomicUsize,
    /// Set by the home worker, before it takes any mail.
    local: OnceLock<Pinned<Local>>,
    pub(super) mail: Mutex<Mail>,
    pub(super) closed: AtomicBool,
    pub(super) connected: AtomicBool,
    pub(super) attempts: Mutex<Attempts>,
    /// Told when an attempt to connect has ended, and when the client is closed.
    pub(super) changed: Notify,
    pub(super) handlers: Handlers,
    pub(super) counters: ClientCounters,
}

/// What only the home worker touches.
pub(super) struct Local {
    pub(super) link: RefCell<Link>,
    pub(super) stream: RefCell<Option<Arc<Stream>>>,
    /// Who answers, for [`Response`](super::Response).
    pub(super) peer: RefCell<Arc<Addr>>,
    /// The way out of the connection, or of the one that is being made.
    pub(super) out: RefCell<Rc<WriteQueue>>,
    pub(super) pending: RefCell<Slab<Pending>>,
    /// The connection brought an answer.
    pub(super) answered: Cell<bool>,
    /// Why the connection was broken off from our side.
    pub(super) broken: RefCell<Option<Error>>,
    /// The pause before the next attempt to connect.
    pub(super) pause: RefCell<Option<Waker>>,
    /// For frames that have 32 bits for the numbers of calls.
    pub(super) ids: RefCell<CallIds>,
    pub(super) deadlines: RefCell<Deadlines>,
    pub(super) alarm: RefCell<Alarm>,
    pub(super) events: RefCell<Events>,
    /// There is a handler of pushes.
    pub(super) wants_push: Cell<bool>,
    /// The server is to be told so by the next call.
    pub(super) announce_push: Cell<bool>,
    /// Functions that wait for a coroutine to run them.
    done: RefCell<VecDeque<(Done, Outcome)>>,
}

#[derive(Default)]
pub(super) struct Attempts {
    pub(super) ended: u64,
    pub(super) last_error: Option<Error>,
}

impl Inner {
    pub(super) fn new(addr: &str, mut options: ClientOptions) -> io::Result<Arc<Inner>> {
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
        let inner = Arc::new(Inner {
            addr: addr.into(),
            options,
            home,
            handles: AtomicUsize::new(1),
            local: OnceLock::new(),
            mail: Mutex::default(),
            closed: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            attempts: Mutex::default(),
            changed: Notify::new(),
            handlers: Handlers::default(),
            counters: ClientCounters::default(),
        });
        if rt::worker_index() == Some(home) {
            inner.settle();
        } else {
            let settled = inner.clone();
            rt::post(home, move || settled.settle())?;
        }
        Ok(inner)
    }

    fn settle(&self) {
        let local = Local {
            link: RefCell::new(Link::Idle),
            stream: RefCell::new(None),
            peer: RefCell::new(Arc::new(Addr::Unix(PathBuf::new()))),
            out: RefCell::new(Rc::new(WriteQueue::new())),
            pending: RefCell::new(Slab::new()),
            answered: Cell::new(false),
            broken: RefCell::new(None),
            pause: RefCell::new(None),
            ids: RefCell::default(),
            deadlines: RefCell::default(),
            alarm: RefCell::new(Alarm::Off),
            events: RefCell::default(),
            wants_push: Cell::new(false),
            announce_push: Cell::new(false),
            done: RefCell::default(),
        };
        let first = self.local.set(Pinned::new(local)).is_ok();
        debug_assert!(first, "a client settles once");
    }

    /// What belongs to the home worker, if the caller is there.
    #[inline]
    pub(super) fn local(&self) -> Option<&Local> {
        self.local.get()?.get()
    }

    /// The same for code that only runs there.
    #[inline]
    pub(super) fn here(&self) -> &Local {
        self.local().expect("called on the client's worker")
    }

    /// Calls `f` on the home worker, now or soon.
    pub(super) fn at_home(self: &Arc<Self>, f: impl FnOnce(&Arc<Inner>, &Local) + Send + 'static) {
        match self.local() {
            Some(local) => f(self, local),
            None => {
                let inner = self.clone();
                // It fails in a forked child only, where the client is dead.
                let _ = rt::post(self.home, move || f(&inner, inner.here()));
            }
        }
    }

    /// From now on frames go to another connection, which is yet to be made.
    pub(super) fn replace_out(&self, local: &Local) -> Rc<WriteQueue> {
        local.announce_push.set(local.wants_push.get());
        local.out.replace(Rc::new(WriteQueue::new()))
    }

    // ---- a call's beginning ----

    /// Starts a call; its key, or why it cannot be started and the entry back. Home worker only.
    #[inline]
    pub(super) fn begin(
        self: &Arc<Self>,
        local: &Local,
        request: &Request<'_>,
        entry: Pending,
    ) -> Result<u64, (Error, Pending)> {
        let connected = match &*local.link.borrow() {
            Link::Up => true,
            Link::Idle | Link::Connecting => false,
            Link::Down(error) => return Err((error.clone(), entry)),
            Link::Closed => return Err((Error::closed(), entry)),
        };
        if self.options.protocol == Protocol::Original && !request.attachment.is_empty() {
            return Err((Error::request("these frames carry no attachment"), entry));
        }
        let out = local.out.borrow();
        let mut pending = local.pending.borrow_mut();
        if pending.len() >= self.options.max_in_flight {
            return Err((Error::crowded("too many calls are in flight"), entry));
        }
        if out.unsent() >= self.options.max_unsent {
            return Err((Error::crowded("too many bytes wait to be sent"), entry));
        }
        let key = pending.insert(entry);
        let id = match self.options.protocol {
            Protocol::BaiduStd => key as i64,
            Protocol::Original => local.ids.borrow_mut().assign(key, &mut pending).into(),
        };
        let encode = |buffer: &mut Vec<u8>| self.encode(local, buffer, request, id);
        let (encoded, start_writer) =
            if connected { out.append(encode) } else { (out.hold(encode), false) };
        if let Err(error) = encoded {
            let entry = pending.remove(key).expect("inserted above");
            return Err((Error::request(error.to_string()), entry));
        }
        self.counters.in_flight.store(pending.len() as u64, Ordering::Relaxed);
        drop(pending);
        if start_writer {
            self.start_writer(local, out.clone());
        } else if !connected {
            drop(out);
            self.wake_link(local);
        }
        Ok(key)
    }

    // ---- a call's end ----

    /// Takes the entry of a call that its coroutine waited for. Home worker only.
    #[inline]
    pub(super) fn take_outcome(&self, local: &Local, key: u64) -> Option<Outcome> {
        let mut pending = local.pending.borrow_mut();
        let entry = pending.remove(key);
        self.counters.in_flight.store(pending.len() as u64, Ordering::Relaxed);
        match entry {
            Some(Pending::Here { outcome, .. }) => outcome,
            _ => None,
        }
    }

    /// Ends the call `key` with what `outcome` makes. False if there is no such call.
    #[inline]
    pub(super) fn end(
        self: &Arc<Self>,
        local: &Local,
        key: u64,
        outcome: impl FnOnce() -> Outcome,
    ) -> bool {
        let mut pending = local.pending.borrow_mut();
        match pending.get_mut(key) {
            None => return false,
            Some(Pending::Here { waker, outcome: place }) => {
                if place.is_some() {
                    return false;
                }
                *place = Some(outcome());
                waker.wake();
                return true;
            }
            Some(_) => {}
        }
        let entry = pending.remove(key);
        self.counters.in_flight.store(pending.len() as u64, Ordering::Relaxed);
        drop(pending);
        match entry {
            Some(Pending::Afar(slot)) => slot.end(outcome()),
            Some(Pending::Async(done)) => self.finish(done, outcome()),
            _ => {}
        }
        true
    }

    /// Ends every call in flight. Home worker only.
    pub(super) fn end_all(self: &Arc<Self>, local: &Local, error: &Error) {
        let keys = local.pending.borrow().keys();
        for key in keys {
            self.end(local, key, || Err(error.clone()));
        }
    }

    pub(super) fn cancel(self: &Arc<Self>, local: &Local, key: u64) {
        self.end(local, key, || Err(Error::canceled()));
    }

    /// Runs `done` in a coroutine: of the home worker, if the caller is there.
    pub(super) fn finish(self: &Arc<Self>, done: Done, outcome: Outcome) {
        let Some(local) = self.local() else {
            // Should no coroutine be had, this is at least the right thread to tell.
            let parcel = Arc::new(Mutex::new(Some((done, outcome))));
            let copy = parcel.clone();
            let run = move || {
                let parcel = lock(&copy).take();
                if let Some((done, outcome)) = parcel {
                    done(outcome);
                }
            };
            if rt::spawn(run.clone()).is_err() {
                run();
            }
            return;
        };
        // Kept outside of the coroutine's closure, so that it is not lost if none can be had.
        local.done.borrow_mut().push_back((done, outcome));
        let inner = self.clone();
        let run = move || {
            let next = inner.here().done.borrow_mut().pop_front();
            if let Some((done, outcome)) = next {
                done(outcome);
            }
        };
        if rt::spawn_detached("rpc callback", run.clone()).is_err()
            && catch_unwind(AssertUnwindSafe(run)).is_err()
        {
            log::error!("the callback of a call panicked");
        }
    }
}
