//! The connections of one server: which there are, and whether the server stops.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use super::Conn;
use super::counters::Counters;
use crate::rt::{self, Deadline, WaitError};
use crate::sync::{Notify, lock};

/// What a server's connections have in common.
pub(crate) struct Connections {
    phase: AtomicU8,
    /// Connections that are served, those on their way to their worker included.
    open: AtomicUsize,
    next_id: AtomicU64,
    /// Until their last handler has ended.
    all: Mutex<HashMap<u64, Arc<Conn>>>,
    on_close: Mutex<Option<OnClose>>,
    /// What happened on connections whose protocol is not known yet.
    undetected: Arc<Counters>,
    /// Notified when a connection is forgotten, and when the phase changes.
    changed: Notify,
}

/// A permit of the limit on open connections.
pub(crate) struct Admitted(Arc<Connections>);

pub(crate) type OnClose = Arc<dyn Fn(u64) + Send + Sync>;

impl Connections {
    pub(crate) fn new() -> Arc<Connections> {
        Arc::new(Connections {
            phase: AtomicU8::new(RUNNING),
            open: AtomicUsize::new(0),
            next_id: AtomicU64::new(1),
            all: Mutex::default(),
            on_close: Mutex::default(),
            undetected: Arc::default(),
            changed: Notify::new(),
        })
    }

    /// A place for another connection, unless `max` are open; else how many are.
    pub(crate) fn admit(self: &Arc<Self>, max: usize) -> Result<Admitted, usize> {
        let admitted = Admitted(self.clone());
        let open = self.open.fetch_add(1, Ordering::Relaxed);
        if open >= max { Err(open) } else { Ok(admitted) }
    }

    /// How many connections are open.
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn is_stopping(&self) -> bool {
        self.phase.load(Ordering::Relaxed) != RUNNING
    }

    pub(crate) fn get(&self, id: u64) -> Option<Arc<Conn>> {
        lock(&self.all).get(&id).cloned()
    }

    /// The counters of connections whose protocol is not known yet.
    pub(crate) fn undetected(&self) -> &Arc<Counters> {
        &self.undetected
    }

    pub(crate) fn set_on_close(&self, handler: OnClose) {
        let before = lock(&self.on_close).replace(handler);
        drop(before);
    }

    pub(super) fn on_close(&self) -> Option<OnClose> {
        lock(&self.on_close).clone()
    }

    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Ordering::Relaxed)
    }

    /// False if the server stops: the connection is too late.
    pub(super) fn insert(&self, conn: &Arc<Conn>) -> bool {
        let mut all = lock(&self.all);
        if self.is_stopping() {
            return false;
        }
        all.insert(conn.id(), conn.clone());
        true
    }

    /// A connection has ended, and so has the last of its handlers.
    pub(super) fn forget(&self, id: u64) {
        let gone = lock(&self.all).remove(&id);
        if gone.is_some() && self.is_stopping() {
            self.changed.notify();
        }
    }

    // ---- the stop ----

    /// From now on connections are refused. False if that was so before.
    pub(crate) fn begin_stop(&self) -> bool {
        let _all = lock(&self.all);
        let (set, seen) = (Ordering::AcqRel, Ordering::Relaxed);
        self.phase.compare_exchange(RUNNING, STOPPING, set, seen).is_ok()
    }

    /// Lets the requests in flight end, then closes.
    pub(crate) fn drain(&self) {
        self.on_each(Conn::drain);
    }

    /// Ends the requests in flight, and cancels the handlers. Their number grows as the workers get
    /// to it.
    pub(crate) fn abort(&self) -> Arc<AtomicU64> {
        let canceled = Arc::new(AtomicU64::new(0));
        let count = canceled.clone();
        self.on_each(move |conn| {
            count.fetch_add(conn.abort() as u64, Ordering::Relaxed);
        });
        canceled
    }

    /// Waits until no connection is left, nor any handler.
    pub(crate) fn wait_empty(&self, deadline: Deadline) -> Result<(), WaitError> {
        self.changed.wait_for(deadline, || lock(&self.all).is_empty().then_some(()))
    }

    /// The connections that are left, some for their handlers alone.
    pub(crate) fn all(&self) -> Vec<Arc<Conn>> {
        lock(&self.all).values().cloned().collect()
    }

    pub(crate) fn set_stopped(&self) {
        self.phase.store(STOPPED, Ordering::Release);
        self.changed.notify();
    }

    pub(crate) fn wait_stopped(&self, deadline: Deadline) -> Result<(), WaitError> {
        let stopped = || (self.phase.load(Ordering::Acquire) == STOPPED).then_some(());
        self.changed.wait_for(deadline, stopped)
    }

    fn on_each(&self, f: impl Fn(&Arc<Conn>) + Send + Clone + 'static) {
        for conn in self.all() {
            let f = f.clone();
            // It fails in a forked child only, which has no connections to close.
            let _ = rt::post(conn.home(), move || f(&conn));
        }
    }
}

impl Drop for Admitted {
    fn drop(&mut self) {
        // Whoever sees that there is one less sees that it has left, too.
        self.0.open.fetch_sub(1, Ordering::Release);
    }
}

const RUNNING: u8 = 0;
const STOPPING: u8 = 1;
const STOPPED: u8 = 2;
