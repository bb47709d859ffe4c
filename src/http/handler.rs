use super::{Request, Responder, Response};

/// What answers the requests of a route.
pub(super) enum Handler {
    /// It returns the answer.
    Now(Box<dyn Fn(Request) -> Response + Send + Sync>),
    /// It, or whoever it asks, sends the answer.
    Later(Box<dyn Fn(Request, Responder) + Send + Sync>),
}
