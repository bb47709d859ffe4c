//! What a client's server does without being called: pushes, and the loss of the connection.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use super::channel::{Inner, Local};
use crate::rpc::Error;
use crate::rt;
use crate::sync::lock;

/// Something that a handler is told.
pub(super) enum Event {
    Push { name: Box<str>, body: Box<[u8]> },
    Lost(Error),
}

/// Who is told. Taken away when the client is closed.
#[derive(Default)]
pub(super) struct Handlers {
    push: Mutex<Option<OnPush>>,
    close: Mutex<Option<OnClose>>,
}

pub(super) type OnPush = Arc<dyn Fn(&str, &[u8]) + Send + Sync>;
pub(super) type OnClose = Arc<dyn Fn(&Error) + Send + Sync>;

/// Events in the order in which they came, until their handlers have run, one after the other, in
/// a coroutine that lives as long as there are some. Home worker only.
#[derive(Default)]
pub(super) struct Events {
    queue: VecDeque<Event>,
    pushes: usize,
    bytes: usize,
    is_running: bool,
}

impl Event {
    pub(super) fn push(name: &str, body: &[u8]) -> Event {
        Event::Push { name: name.into(), body: body.into() }
    }

    /// What it counts towards the bounds: pushes and bytes.
    fn weight(&self) -> (usize, usize) {
        match self {
            Event::Push { name, body } => (1, name.len() + body.len()),
            Event::Lost(_) => (0, 0),
        }
    }
}

impl Events {
    fn put(&mut self, event: Event) {
        let (pushes, bytes) = event.weight();
        self.pushes += pushes;
        self.bytes += bytes;
        self.queue.push_back(event);
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.queue.pop_front()?;
        let (pushes, bytes) = event.weight();
        self.pushes -= pushes;
        self.bytes -= bytes;
        Some(event)
    }
}

impl Inner {
    pub(super) fn set_on_push(self: &Arc<Self>, handler: OnPush) {
        let before = lock(&self.handlers.push).replace(handler);
        drop(before);
        self.at_home(|_, local| {
            local.wants_push.set(true);
            local.announce_push.set(true);
        });
        self.drop_handlers_if_closed();
    }

    pub(super) fn set_on_close(&self, handler: OnClose) {
        let before = lock(&self.handlers.close).replace(handler);
        drop(before);
        self.drop_handlers_if_closed();
    }

    fn drop_handlers_if_closed(&self) {
        if self.closed.load(Ordering::Acquire) {
            self.drop_handlers();
        }
    }

    /// What they own may own this client.
    pub(super) fn drop_handlers(&self) {
        let push = lock(&self.handlers.push).take();
        let close = lock(&self.handlers.close).take();
        drop((push, close));
    }

    /// Leaves an event to its handler. Home worker only.
    pub(super) fn happened(self: &Arc<Self>, local: &Local, event: Event) {
        let mut events = local.events.borrow_mut();
        if let Event::Push { .. } = event {
            if lock(&self.handlers.push).is_none() {
                self.counters.unmatched.fetch_add(1, Ordering::Relaxed);
                return;
            }
            let options = &self.options;
            let (_, bytes) = event.weight();
            let has_room = events.pushes < options.max_pushes
                && events.bytes.saturating_add(bytes) <= options.max_push_bytes;
            if !has_room {
                return self.drop_push(&events);
            }
        } else if lock(&self.handlers.close).is_none() {
            return;
        }
        events.put(event);
        if events.is_running {
            return;
        }
        let inner = self.clone();
        match rt::spawn_detached("rpc events", move || inner.tell_events()) {
            Ok(_) => events.is_running = true,
            Err(error) => {
                log::error!("what {} did is not told: {error}", self.addr);
                let (pushes, _) = events.take().map_or((0, 0), |event| event.weight());
                self.counters.dropped_pushes.fetch_add(pushes as u64, Ordering::Relaxed);
            }
        }
    }

    #[cold]
    fn drop_push(&self, events: &Events) {
        let before = self.counters.dropped_pushes.fetch_add(1, Ordering::Relaxed);
        // Once is enough, and then now and then: it is what happens when there is too much.
        if before.is_power_of_two() || before == 0 {
            let waiting = events.pushes;
            log::warn!("pushes of {} are dropped: {waiting} wait for their handler", self.addr);
        }
    }

    /// The body of the coroutine: see [`Events`].
    fn tell_events(self: Arc<Self>) {
        let local = self.here();
        loop {
            let Some(event) = local.events.borrow_mut().take() else {
                local.events.borrow_mut().is_running = false;
                return;
            };
            // The handler may set another.
            let told = match event {
                Event::Push { name, body } => {
                    let handler = lock(&self.handlers.push).clone();
                    let call = || handler.into_iter().for_each(|handler| handler(&name, &body));
                    catch_unwind(AssertUnwindSafe(call))
                }
                Event::Lost(error) => {
                    let handler = lock(&self.handlers.close).clone();
                    let call = || handler.into_iter().for_each(|handler| handler(&error));
                    catch_unwind(AssertUnwindSafe(call))
                }
            };
            if let Err(panic) = told {
                let text = rt::panic_text(panic.as_ref());
                log::error!("a handler of what {} does panicked: {text}", self.addr);
            }
        }
    }
}
