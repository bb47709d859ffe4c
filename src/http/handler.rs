//! Handlers of routes, and what runs them.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use super::request::AskedFor;
use super::{Request, Responder, Response};
use crate::rt;

/// The handler of a route.
pub(super) enum Handler {
    /// It returns the answer.
    Now(Box<dyn Fn(Request) -> Response + Send + Sync>),
    /// It, or whoever it asks, sends the answer.
    Later(Box<dyn Fn(Request, Responder) + Send + Sync>),
}

impl Handler {
    /// Serves a request: the body of its coroutine.
    pub(super) fn run(self: Arc<Self>, request: Request, responder: Responder) {
        let what = request.asked();
        match &*self {
            Handler::Now(handler) => match catch_unwind(AssertUnwindSafe(|| handler(request))) {
                Ok(response) => responder.run(response),
                Err(panic) => {
                    log_panic(&what, panic.as_ref());
                    responder.fail();
                }
            },
            Handler::Later(handler) => {
                // Its responder was dropped by the panic, unless it is elsewhere by now.
                if let Err(panic) = catch_unwind(AssertUnwindSafe(|| handler(request, responder))) {
                    log_panic(&what, panic.as_ref());
                }
            }
        }
    }
}

fn log_panic(what: &AskedFor, panic: &(dyn Any + Send)) {
    log::error!("the handler of {what} panicked: {}", rt::panic_text(panic));
}
