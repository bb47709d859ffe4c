//! HTTP/1 as a protocol of a server.

use std::sync::Arc;

use super::{Options, Router, conn};
use crate::protocol::{Conn, Detected, End, FirstBytes, Protocol};

/// HTTP/1.1 and 1.0. It takes whatever no other protocol does, once it has a route, since it can
/// tell the peer what was wrong.
pub(crate) struct Http1 {
    router: Router,
    options: Options,
}

impl Http1 {
    pub(crate) fn new(options: Options) -> Http1 {
        Http1 { router: Router::new(), options }
    }

    pub(crate) fn router(&self) -> &Router {
        &self.router
    }
}

impl Protocol for Http1 {
    fn name(&self) -> &'static str {
        "http/1.1"
    }

    fn detect(&self, _: &[u8]) -> Detected {
        if self.router.is_empty() { Detected::No } else { Detected::Yes }
    }

    fn serve(&self, conn: &Arc<Conn>, first: FirstBytes) -> End {
        conn::serve(conn, first, &self.router, &self.options)
    }
}
