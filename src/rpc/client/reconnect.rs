//! How a client gets, keeps and loses its connection.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::channel::{Inner, Local};
use super::events::Event;
use crate::net::Stream;
use crate::rpc::Code;
use crate::rpc::error::Kind;
use crate::rpc::io::WriteQueue;
use crate::rpc::io::{FULL_READ, ReadBuffer};
use crate::rpc::{Error, Protocol};
use crate::rt::{self, Deadline, Waiter};
use crate::sync::lock;
use crate::wire;

/// What a client's connection is at.
pub(super) enum Link {
    /// Nobody has asked for one yet.
    Idle,
    /// It is being made, or will be in a moment: calls wait.
    Connecting,
    Up,
    /// An attempt has failed with this error and the next is not due: calls fail with it.
    Down(Error),
    /// For good.
    Closed,
}

impl Inner {
    pub(super) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(super) fn connect(self: &Arc<Self>, deadline: Deadline) -> Result<(), Error> {
        let before = lock(&self.attempts).ended;
        self.at_home(|inner, local| {
            inner.wake_link(local);
            if let Some(waker) = local.pause.take() {
                waker.wake();
            }
        });
        let outcome = self.changed.wait_for(deadline, || {
            if self.is_connected() {
                return Some(Ok(()));
            }
            if self.closed.load(Ordering::Acquire) {
                return Some(Err(Error::closed()));
            }
            let attempts = lock(&self.attempts);
            let lost = || Error::connect("the connection was lost at once");
            (attempts.ended > before).then(|| Err(attempts.last_error.clone().unwrap_or_else(lost)))
        });
        outcome.unwrap_or_else(|error| {
            let error = io::Error::from(error);
            let text = format!("no connection to {}: {error}", self.addr);
            Err(match error.raw_os_error() {
                Some(libc::ECANCELED) => Error::canceled(),
                Some(libc::ETIMEDOUT) => Error::of(Kind::Timeout, Code::ERPCTIMEDOUT, text),
                _ => Error::internal(text),
            })
        })
    }

    pub(super) fn close(self: &Arc<Self>) {
        if self.closed.swap(true, Ordering::AcqRel) {
            return;
        }
        self.drop_handlers();
        self.at_home(|inner, local| {
            local.link.replace(Link::Closed);
            inner.disconnect(local);
            inner.end_all(local, &Error::closed());
            inner.stop_alarm(local);
            if let Some(waker) = local.pause.take() {
                waker.wake();
            }
            inner.changed.notify();
        });
    }

    /// Starts the coroutine that makes the connection, unless it runs. Home worker only.
    pub(super) fn wake_link(self: &Arc<Self>, local: &Local) {
        if !matches!(*local.link.borrow(), Link::Idle) {
            return;
        }
        local.link.replace(Link::Connecting);
        let inner = self.clone();
        if let Err(error) = rt::spawn_detached("rpc client", move || inner.keep_link()) {
            local.link.replace(Link::Idle);
            self.replace_out(local);
            let text = format!("no coroutine to connect to {}: {error}", self.addr);
            self.end_all(local, &Error::connect(text));
        }
    }

    /// Connects and reads, again and again, until the client is closed.
    fn keep_link(self: Arc<Self>) {
        let local = self.here();
        let mut failures = 0;
        loop {
            let deadline = Deadline::after(self.options.connect_timeout);
            let made = Stream::connect(&self.addr, deadline);
            if matches!(*local.link.borrow(), Link::Closed) {
                return;
            }
            let error = match made {
                Ok(stream) => {
                    if let Err(error) = stream.set_peer_timeout(self.options.peer_timeout) {
                        // It has gone already, and reading will tell.
                        log::debug!("no time-out for the peer {}: {error}", self.addr);
                    }
                    let since = Instant::now();
                    let error = self.serve(local, Arc::new(stream));
                    if local.answered.get() || since.elapsed() > self.options.backoff_max {
                        failures = 0;
                    } else {
                        failures += 1;
                    }
                    log::debug!("{error}");
                    error
                }
                Err(error) => {
                    failures += 1;
                    self.counters.failed_connects.fetch_add(1, Ordering::Relaxed);
                    Error::connect(format!("no connection to {}: {error}", self.addr))
                }
            };
            if matches!(*local.link.borrow(), Link::Closed) {
                return;
            }
            self.lose(local, error, failures > 0);
            let waiter = Waiter::new();
            local.pause.replace(Some(waiter.waker()));
            let _ = waiter.wait(Deadline::after(self.pause(failures)));
            local.pause.replace(None);
            if matches!(*local.link.borrow(), Link::Closed) {
                return;
            }
            local.link.replace(Link::Connecting);
        }
    }

    /// Serves a connection until it ends; says why it did.
    fn serve(self: &Arc<Self>, local: &Local, stream: Arc<Stream>) -> Error {
        local.answered.set(false);
        local.broken.replace(None);
        local.peer.replace(Arc::new(stream.peer_addr().clone()));
        local.stream.replace(Some(stream.clone()));
        local.link.replace(Link::Up);
        self.counters.connects.fetch_add(1, Ordering::Relaxed);
        self.connected.store(true, Ordering::Release);
        lock(&self.attempts).ended += 1;
        self.changed.notify();
        let out = local.out.borrow().clone();
        out.attach(stream.clone());
        if out.release() {
            self.start_writer(local, out);
        }
        let error = self.read(local, &stream);
        local.broken.take().unwrap_or(error)
    }

    /// The connection is gone, or could not be made: every call in flight ends.
    fn lose(self: &Arc<Self>, local: &Local, error: Error, pause: bool) {
        let was_up = matches!(*local.link.borrow(), Link::Up);
        self.disconnect(local);
        {
            let mut attempts = lock(&self.attempts);
            attempts.ended += 1;
            attempts.last_error = Some(error.clone());
        }
        let next = if pause { Link::Down(self.as_connect_error(&error)) } else { Link::Connecting };
        local.link.replace(next);
        self.end_all(local, &error);
        self.changed.notify();
        if was_up {
            self.happened(local, Event::Lost(error));
        }
    }

    /// A call that is made later has not been sent, whatever became of those before it.
    fn as_connect_error(&self, error: &Error) -> Error {
        Error::connect(error.text().to_owned())
    }

    fn disconnect(&self, local: &Local) {
        self.connected.store(false, Ordering::Release);
        self.replace_out(local).shut();
        if let Some(stream) = local.stream.take() {
            stream.close();
        }
    }

    // ---- out ----

    pub(super) fn start_writer(self: &Arc<Self>, local: &Local, out: Rc<WriteQueue>) {
        let Some(stream) = local.stream.borrow().clone() else { return };
        let inner = self.clone();
        let write = move || {
            if let Err(error) = out.flush(inner.options.write_stall, || {}) {
                let text = match error.kind() {
                    io::ErrorKind::TimedOut => format!("{} takes no requests", inner.addr),
                    _ => format!("the connection to {} broke: {error}", inner.addr),
                };
                inner.break_off(&stream, Error::broken(text));
            }
        };
        if let Err(error) = rt::spawn_detached("rpc writer", write) {
            let stream = local.stream.borrow().clone();
            if let Some(stream) = stream {
                let text = format!("no coroutine to write to {}: {error}", self.addr);
                self.break_off(&stream, Error::broken(text));
            }
        }
    }

    /// Ends the connection for a reason that the reader cannot see, if it is still `stream`.
    fn break_off(&self, stream: &Arc<Stream>, error: Error) {
        let local = self.here();
        let current = local.stream.borrow();
        if current.as_ref().is_some_and(|current| Arc::ptr_eq(current, stream)) {
            local.broken.borrow_mut().get_or_insert(error);
            stream.close();
        }
    }

    // ---- in ----

    fn read(self: &Arc<Self>, local: &Local, stream: &Stream) -> Error {
        let mut inbound = ReadBuffer::new();
        loop {
            let read = inbound.read(stream, Deadline::NEVER, |bytes| {
                let taken = match self.options.protocol {
                    Protocol::BaiduStd => self.take_baidu_std(local, bytes),
                    Protocol::Original => self.take_original(local, bytes),
                };
                taken.map_err(ReadError::Wire)
            });
            let addr = &self.addr;
            return match read {
                Ok(0) => Error::broken(format!("{addr} closed the connection")),
                Ok(count) => {
                    if count >= FULL_READ {
                        // Let those who got their answers run first.
                        rt::yield_now();
                    }
                    continue;
                }
                Err(ReadError::Io(error)) => {
                    Error::broken(format!("the connection to {addr} broke: {error}"))
                }
                Err(ReadError::Wire(error)) => {
                    log::warn!("closing the connection to {addr}: {error}");
                    let text = format!("{addr} sent what is no answer: {error}");
                    Error::of(Kind::Broken, Code::ERESPONSE, text)
                }
            };
        }
    }

    /// How long to pause before the next attempt, after so many failures in a row.
    fn pause(&self, failures: u32) -> Duration {
        let (min, max) = (self.options.backoff_min, self.options.backoff_max);
        let doubled = min.saturating_mul(1 << failures.saturating_sub(1).min(20));
        let length = doubled.min(max);
        // Clients that lost the same server must not come back all at once.
        let spread = RandomState::new().build_hasher().finish() as u32;
        let fraction = f64::from(spread) / f64::from(u32::MAX);
        match failures {
            0 => min.mul_f64(fraction),
            _ => length.mul_f64(0.5 + fraction / 2.0),
        }
    }
}

enum ReadError {
    Io(io::Error),
    Wire(wire::Error),
}

impl From<io::Error> for ReadError {
    fn from(error: io::Error) -> Self {
        ReadError::Io(error)
    }
}
