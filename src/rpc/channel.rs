//! The inside of a client: its calls in flight, on their worker and by mail from elsewhere. How it
//! gets a connection is in `link`.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use super::link::Link;
use super::notify::{Notify, lock};
use super::out::Out;
use super::pending::{Deadlines, Done, Outcome, Pending, Slot};
use super::slab::Slab;
use super::stats::ClientCounters;
use super::{ClientOptions, Error};
use crate::net::{Addr, Stream};
use crate::rt::{self, Deadline, Pinned, WaitError, Waiter, Waker};
use crate::wire;
use crate::wire::baidu_std::{RequestHead, encode_request};

/// What a client and the coroutines that serve it share.
pub(super) struct Inner {
    pub(super) addr: Box<str>,
    pub(super) options: ClientOptions,
    home: usize,
    /// Set by the home worker, before it takes any mail.
    local: OnceLock<Pinned<Local>>,
    mail: Mutex<Mail>,
    pub(super) closed: AtomicBool,
    pub(super) connected: AtomicBool,
    pub(super) attempts: Mutex<Attempts>,
    /// Told when an attempt to connect has ended, and when the client is closed.
    pub(super) changed: Notify,
    pub(super) counters: ClientCounters,
}

/// What only the home worker touches.
pub(super) struct Local {
    pub(super) link: RefCell<Link>,
    pub(super) stream: RefCell<Option<Rc<Stream>>>,
    /// Who answers, for [`Response`](super::Response).
    pub(super) peer: RefCell<Arc<Addr>>,
    /// The way out of the connection, or of the one that is being made.
    pub(super) out: RefCell<Rc<Out>>,
    pub(super) pending: RefCell<Slab<Pending>>,
    /// The connection brought an answer.
    pub(super) answered: Cell<bool>,
    /// Why the connection was broken off from our side.
    pub(super) broken: RefCell<Option<Error>>,
    /// The pause before the next attempt to connect.
    pub(super) pause: RefCell<Option<Waker>>,
    deadlines: RefCell<Deadlines>,
    alarm: RefCell<Alarm>,
    /// Functions that wait for a coroutine to run them.
    done: RefCell<VecDeque<(Done, Outcome)>>,
}

/// The coroutine that sleeps until the next deadline of a call that nobody waits for.
enum Alarm {
    Off,
    Starting,
    Set(Deadline, Waker),
}

#[derive(Default)]
pub(super) struct Attempts {
    pub(super) ended: u64,
    pub(super) last_error: Option<Error>,
}

/// Calls made away from the home worker, until it takes them.
#[derive(Default)]
struct Mail {
    letters: Vec<Letter>,
    calls: usize,
    bytes: usize,
}

pub(super) enum Letter {
    Call(Parcel, Then),
    /// The caller no longer waits.
    Forget(Arc<Slot>),
    Cancel(Arc<AtomicU64>),
}

/// What to do with the outcome of a call made from afar.
pub(super) enum Then {
    Wake(Arc<Slot>),
    Run { done: Done, deadline: Deadline, key: Arc<AtomicU64> },
}

/// What a call puts on the wire.
#[derive(Clone, Copy)]
pub(super) struct Request<'a> {
    pub(super) service: &'a str,
    pub(super) method: &'a str,
    /// Compressed as `compress` says.
    pub(super) body: &'a [u8],
    pub(super) attachment: &'a [u8],
    pub(super) compress: wire::Compress,
    pub(super) log_id: i64,
    pub(super) request_id: &'a [u8],
    pub(super) timeout_ms: Option<i32>,
}

/// A [`Request`] that owns what it says, in one piece.
pub(super) struct Parcel {
    bytes: Vec<u8>,
    service: usize,
    method: usize,
    request_id: usize,
    body: usize,
    compress: wire::Compress,
    log_id: i64,
    timeout_ms: Option<i32>,
}

impl Inner {
    pub(super) fn new(addr: &str, mut options: ClientOptions) -> io::Result<Arc<Inner>> {
        options.max_in_flight = options.max_in_flight.clamp(1, super::slab::MAX_LEN);
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
            local: OnceLock::new(),
            mail: Mutex::default(),
            closed: AtomicBool::new(false),
            connected: AtomicBool::new(false),
            attempts: Mutex::default(),
            changed: Notify::new(),
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
            out: RefCell::new(Rc::new(Out::new())),
            pending: RefCell::new(Slab::new()),
            answered: Cell::new(false),
            broken: RefCell::new(None),
            pause: RefCell::new(None),
            deadlines: RefCell::default(),
            alarm: RefCell::new(Alarm::Off),
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
        let out = local.out.borrow();
        let mut pending = local.pending.borrow_mut();
        if pending.len() >= self.options.max_in_flight {
            return Err((Error::crowded("too many calls are in flight"), entry));
        }
        if out.unsent() >= self.options.max_unsent {
            return Err((Error::crowded("too many bytes wait to be sent"), entry));
        }
        let key = pending.insert(entry);
        let encode = |buffer: &mut Vec<u8>| {
            let head = RequestHead {
                service: request.service,
                method: request.method,
                log_id: request.log_id,
                request_id: request.request_id,
                timeout_ms: request.timeout_ms,
                compress: request.compress,
                correlation_id: key as i64,
                ..RequestHead::default()
            };
            encode_request(buffer, &head, request.body, request.attachment)
        };
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

    /// Gives the asynchronous call `key` a deadline. Home worker only.
    pub(super) fn expire_at(self: &Arc<Self>, local: &Local, key: u64, deadline: Deadline) {
        if deadline == Deadline::NEVER {
            return;
        }
        local.deadlines.borrow_mut().add(deadline, key, &mut local.pending.borrow_mut());
        let mut alarm = local.alarm.borrow_mut();
        match &*alarm {
            Alarm::Starting => {}
            Alarm::Set(at, waker) => {
                if deadline < *at {
                    waker.wake();
                }
            }
            Alarm::Off => {
                let inner = self.clone();
                match rt::spawn_detached("rpc deadlines", move || inner.watch_deadlines()) {
                    Ok(_) => *alarm = Alarm::Starting,
                    Err(error) => log::error!("deadlines may be late: {error}"),
                }
            }
        }
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

    /// The body of the alarm's coroutine: see [`Alarm`].
    fn watch_deadlines(self: Arc<Self>) {
        let local = self.here();
        loop {
            let due = loop {
                let due = local.deadlines.borrow_mut().pop_due(&mut local.pending.borrow_mut());
                match due {
                    Some(key) => {
                        self.end(local, key, || {
                            let text = format!("{} did not answer in time", self.addr);
                            Err(Error::timeout(text))
                        });
                    }
                    None => {
                        break local.deadlines.borrow_mut().next(&mut local.pending.borrow_mut());
                    }
                }
            };
            let Some(next) = due else {
                local.alarm.replace(Alarm::Off);
                return;
            };
            let waiter = Waiter::new();
            local.alarm.replace(Alarm::Set(next, waiter.waker()));
            if let Err(WaitError::Forked) = waiter.wait(next) {
                return;
            }
        }
    }

    pub(super) fn stop_alarm(&self, local: &Local) {
        if let Alarm::Set(_, waker) = &*local.alarm.borrow() {
            waker.wake();
        }
    }

    // ---- from afar ----

    /// Leaves a letter for the home worker, or says why not and gives it back.
    pub(super) fn mail(self: &Arc<Self>, letter: Letter) -> Result<(), Box<(Error, Letter)>> {
        if self.closed.load(Ordering::Acquire) && matches!(letter, Letter::Call(..)) {
            return Err(Box::new((Error::closed(), letter)));
        }
        if let Err(error) = rt::check_usable() {
            return Err(Box::new((Error::internal(error.to_string()), letter)));
        }
        let mut mail = lock(&self.mail);
        if let Letter::Call(parcel, _) = &letter {
            if mail.calls >= self.options.max_in_flight || mail.bytes >= self.options.max_unsent {
                drop(mail);
                let error = Error::crowded("too many calls wait to be sent");
                return Err(Box::new((error, letter)));
            }
            mail.calls += 1;
            mail.bytes += parcel.bytes.len();
        }
        mail.letters.push(letter);
        let is_first = mail.letters.len() == 1;
        drop(mail);
        if is_first {
            let inner = self.clone();
            // It fails in a forked child only, which was asked for above.
            let _ = rt::post(self.home, move || inner.take_mail());
        }
        Ok(())
    }

    fn take_mail(self: &Arc<Self>) {
        let local = self.here();
        let mail = std::mem::take(&mut *lock(&self.mail));
        for letter in mail.letters {
            match letter {
                Letter::Call(parcel, Then::Wake(slot)) => {
                    let entry = Pending::Afar(slot.clone());
                    match self.begin(local, &parcel.request(), entry) {
                        Ok(key) => slot.key.store(key, Ordering::Relaxed),
                        Err((error, _)) => slot.end(Err(error)),
                    }
                }
                Letter::Call(parcel, Then::Run { done, deadline, key: place }) => {
                    match self.begin(local, &parcel.request(), Pending::Async(done)) {
                        Ok(key) => {
                            place.store(key, Ordering::Release);
                            self.expire_at(local, key, deadline);
                        }
                        Err((error, Pending::Async(done))) => self.finish(done, Err(error)),
                        Err(_) => unreachable!("the entry comes back as it was"),
                    }
                }
                // Both come after the call itself, so that the key, if there is one, is set.
                Letter::Forget(slot) => {
                    let key = slot.key.load(Ordering::Relaxed);
                    self.end(local, key, || Err(Error::canceled()));
                }
                Letter::Cancel(key) => self.cancel(local, key.load(Ordering::Acquire)),
            }
        }
    }
}

impl Parcel {
    pub(super) fn new(request: &Request<'_>) -> Parcel {
        let parts = [
            request.service.as_bytes(),
            request.method.as_bytes(),
            request.request_id,
            request.body,
            request.attachment,
        ];
        let [service, method, request_id, body, _] = parts.map(<[u8]>::len);
        Parcel {
            bytes: parts.concat(),
            service,
            method,
            request_id,
            body,
            compress: request.compress,
            log_id: request.log_id,
            timeout_ms: request.timeout_ms,
        }
    }

    fn request(&self) -> Request<'_> {
        let (service, rest) = self.bytes.split_at(self.service);
        let (method, rest) = rest.split_at(self.method);
        let (request_id, rest) = rest.split_at(self.request_id);
        let (body, attachment) = rest.split_at(self.body);
        Request {
            service: std::str::from_utf8(service).expect("copied from a str"),
            method: std::str::from_utf8(method).expect("copied from a str"),
            body,
            attachment,
            compress: self.compress,
            log_id: self.log_id,
            request_id,
            timeout_ms: self.timeout_ms,
        }
    }
}
