//! Pushes and the loss of the connection, and the user's handlers for them.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::shared::Shared;
use crate::rpc::Error;
use crate::rt;
use crate::sync::lock;

/// An event that a handler is called with.
pub(super) enum Event {
    Push { name: Box<str>, body: Box<[u8]> },
    Lost(Error),
}

/// The user's handlers, set from any thread. Cleared when the client is closed.
#[derive(Default)]
pub(super) struct Handlers {
    push: Mutex<Option<OnPush>>,
    close: Mutex<Option<OnClose>>,
}

pub(super) type OnPush = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;
pub(super) type OnClose = Arc<dyn Fn(&Error) + Send + Sync>;

/// Events and their handlers, worker-local. Handlers run one at a time, in the order of the events,
/// in a coroutine that lives as long as there are events.
pub(super) struct Pushes {
    shared: Arc<Shared>,
    handlers: Arc<Handlers>,
    queue: RefCell<Queue>,
    is_running: Cell<bool>,
    /// A push handler is set.
    is_wanted: Cell<bool>,
    /// The server knows that, or there is nothing to announce.
    is_announced: Cell<bool>,
}

#[derive(Default)]
struct Queue {
    events: VecDeque<Event>,
    pushes: usize,
    bytes: usize,
}

impl Event {
    pub(super) fn push(name: &str, body: &[u8]) -> Event {
        Event::Push { name: name.into(), body: body.into() }
    }

    /// Returns its weight towards the limits: pushes and bytes.
    fn weight(&self) -> (usize, usize) {
        match self {
            Event::Push { name, body } => (1, name.len() + body.len()),
            Event::Lost(_) => (0, 0),
        }
    }
}

impl Queue {
    fn put(&mut self, event: Event) {
        let (pushes, bytes) = event.weight();
        self.pushes += pushes;
        self.bytes += bytes;
        self.events.push_back(event);
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        let (pushes, bytes) = event.weight();
        self.pushes -= pushes;
        self.bytes -= bytes;
        Some(event)
    }
}

impl Handlers {
    pub(super) fn set_push(&self, handler: OnPush) {
        let previous = lock(&self.push).replace(handler);
        drop(previous);
    }

    pub(super) fn set_close(&self, handler: OnClose) {
        let previous = lock(&self.close).replace(handler);
        drop(previous);
    }

    /// Drops both handlers: what they capture may own the client.
    pub(super) fn clear(&self) {
        let push = lock(&self.push).take();
        let close = lock(&self.close).take();
        drop((push, close));
    }

    fn run(&self, event: Event) {
        // Cloned, because a handler may set another.
        match event {
            Event::Push { name, body } => {
                let handler = lock(&self.push).clone();
                handler.into_iter().for_each(|handler| handler(&name, &body));
            }
            Event::Lost(error) => {
                let handler = lock(&self.close).clone();
                handler.into_iter().for_each(|handler| handler(&error));
            }
        }
    }
}

impl Pushes {
    pub(super) fn new(shared: Arc<Shared>, handlers: Arc<Handlers>) -> Pushes {
        Pushes {
            shared,
            handlers,
            queue: RefCell::default(),
            is_running: Cell::new(false),
            is_wanted: Cell::new(false),
            is_announced: Cell::new(true),
        }
    }

    // ---- announcing that pushes are accepted ----

    /// Records that a push handler is set.
    pub(super) fn set_wanted(&self) {
        self.is_wanted.set(true);
        self.is_announced.set(false);
    }

    /// Resets for the next connection, whose server does not know of the handler.
    pub(super) fn start_over(&self) {
        self.is_announced.set(!self.is_wanted.get());
    }

    /// Whether the next request must announce that this client accepts pushes.
    #[inline]
    pub(super) fn must_announce(&self) -> bool {
        !self.is_announced.get()
    }

    pub(super) fn set_announced(&self) {
        self.is_announced.set(true);
    }

    // ---- events ----

    /// Queues an event for its handler, within the limits of the options.
    pub(super) fn enqueue_event(self: &Rc<Self>, event: Event) {
        let Shared { addr, options, counters, .. } = &*self.shared;
        let mut queue = self.queue.borrow_mut();
        if let Event::Push { .. } = event {
            if lock(&self.handlers.push).is_none() {
                counters.unmatched.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let (_, bytes) = event.weight();
            let has_room = queue.pushes < options.max_pushes
                && queue.bytes.saturating_add(bytes) <= options.max_push_bytes;
            if !has_room {
                return self.drop_push(&queue);
            }
        } else if lock(&self.handlers.close).is_none() {
            return;
        }
        queue.put(event);
        if self.is_running.get() {
            return;
        }
        let pushes = self.clone();
        match rt::spawn_detached("rpc events", move || pushes.run_handlers()) {
            Ok(_) => self.is_running.set(true),
            Err(error) => {
                log::error!("no coroutine for the handlers of the client of {addr}: {error}");
                let (pushes, _) = queue.take().map_or((0, 0), |event| event.weight());
                counters.dropped_pushes.fetch_add(pushes as u64, Ordering::Relaxed);
            }
        }
    }

    #[cold]
    fn drop_push(&self, queue: &Queue) {
        let before = self.shared.counters.dropped_pushes.fetch_add(1, Ordering::Relaxed);
        // Logged at powers of two: pushes are dropped under overload, when each line costs.
        if before.is_power_of_two() || before == 0 {
            let (addr, waiting) = (&self.shared.addr, queue.pushes);
            log::warn!("dropping pushes from {addr}: {waiting} wait for their handler");
        }
    }

    fn run_handlers(self: Rc<Self>) {
        loop {
            let Some(event) = self.queue.borrow_mut().take() else {
                self.is_running.set(false);
                return;
            };
            let run = || self.handlers.run(event);
            if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
                let (addr, text) = (&self.shared.addr, rt::panic_text(panic.as_ref()));
                log::error!("a handler of the client of {addr} panicked: {text}");
            }
        }
    }
}
