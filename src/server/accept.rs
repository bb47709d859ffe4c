//! From a listener to a connection that is served.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;
use super::detect::detect;
use crate::net::{Listener, Stream};
use crate::protocol::{Admitted, Conn, End, Protocol};
use crate::rt::{self, Deadline};

impl Shared {
    /// The body of a listener's coroutine.
    pub(super) fn accept(self: &Arc<Self>, listener: &Listener) {
        loop {
            match listener.accept_by(Deadline::NEVER) {
                Ok(stream) => self.admit(stream),
                Err(_) if self.connections.is_stopping() => return,
                Err(error) => {
                    log::warn!("accepting a connection failed: {error}");
                    if rt::sleep(ACCEPT_PAUSE).is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Hands the connection to the next worker, unless there are too many.
    fn admit(self: &Arc<Self>, stream: Stream) {
        self.accepted.fetch_add(1, Ordering::Relaxed);
        let admitted = match self.connections.admit(self.options.max_connections) {
            Ok(admitted) => admitted,
            Err(open) => {
                self.rejected.fetch_add(1, Ordering::Relaxed);
                log::warn!("refusing {}: {open} connections are open", stream.peer_addr());
                return;
            }
        };
        if let Err(error) = stream.set_peer_timeout(self.options.peer_timeout) {
            // It has gone already, and reading will tell.
            log::debug!("no time-out for the peer {}: {error}", stream.peer_addr());
        }
        let worker = self.next_worker.fetch_add(1, Ordering::Relaxed) % rt::worker_count();
        let shared = self.clone();
        // It fails in a forked child only, where nothing is accepted.
        let _ = rt::post(worker, move || {
            let serve = move || shared.serve(admitted, stream);
            if let Err(error) = rt::spawn_detached("connection", serve) {
                log::error!("refusing a connection: {error}");
            }
        });
    }

    /// The body of a connection's coroutine, on its worker.
    fn serve(&self, admitted: Admitted, stream: Stream) {
        if let Some(conn) = Conn::new(&self.connections, admitted, stream) {
            let end = self.serve_detected(&conn);
            conn.conclude(end);
        }
    }

    fn serve_detected(&self, conn: &Arc<Conn>) -> End {
        let protocols = self.protocols();
        let each = protocols.iter().map(|spoken| &*spoken.protocol as &dyn Protocol);
        match detect(conn, &self.options, each) {
            Ok((index, first)) => {
                let spoken = &protocols[index];
                conn.count_at(&spoken.counters);
                spoken.protocol.serve(conn, first)
            }
            Err(end) => end,
        }
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(10);
