//! Connects, serves the connection and, once it is lost, reconnects.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::frames::{self, ReadError};
use super::local::Local;
use super::pushes::Event;
use crate::net::Stream;
use crate::rpc::io::{FULL_READ, ReadBuffer};
use crate::rpc::{ClientOptions, Code, Error, error::Kind};
use crate::rt::{self, Deadline};

/// Starts the coroutine that keeps the client connected, unless it runs already.
pub(super) fn start(local: &Local) {
    if !local.connection.start_connecting() {
        return;
    }
    let shared = local.clone();
    if let Err(error) = rt::spawn_detached("rpc client", move || keep_connected(&shared)) {
        local.connection.set_idle();
        local.pushes.start_over();
        local.connection.replace_queue();
        let text = format!("no coroutine to connect to {}: {error}", local.shared.addr);
        local.calls.fail_all(&Error::connect(text));
    }
}

/// Connects and serves, in a loop, until the client is closed.
fn keep_connected(local: &Local) {
    let (shared, connection) = (&*local.shared, &local.connection);
    let mut failures = 0;
    loop {
        let deadline = Deadline::after(shared.options.connect_timeout);
        let connected = Stream::connect(&shared.addr, deadline);
        if connection.is_closed() {
            return;
        }
        let error = match connected {
            Ok(stream) => {
                if let Err(error) = stream.set_peer_timeout(shared.options.peer_timeout) {
                    // The peer has closed already, which reading will report.
                    log::debug!("no peer timeout for {}: {error}", shared.addr);
                }
                let since = Instant::now();
                let error = serve(local, Arc::new(stream));
                if connection.has_response() || since.elapsed() > shared.options.backoff_max {
                    failures = 0;
                } else {
                    failures += 1;
                }
                log::debug!("{error}");
                error
            }
            Err(error) => {
                failures += 1;
                shared.counters.failed_connects.fetch_add(1, Ordering::Relaxed);
                Error::connect(format!("no connection to {}: {error}", shared.addr))
            }
        };
        if connection.is_closed() {
            return;
        }
        lose(local, error, failures > 0);
        connection.pause(Deadline::after(pause(&shared.options, failures)));
        if connection.is_closed() {
            return;
        }
        connection.set_connecting();
    }
}

/// Serves a connection until it ends, and returns the reason.
fn serve(local: &Local, stream: Arc<Stream>) -> Error {
    local.connection.attach(&stream);
    let error = read(local, &stream);
    local.connection.take_broken().unwrap_or(error)
}

/// Fails every call in flight, after the connection was lost or an attempt has failed.
fn lose(local: &Local, error: Error, has_failed: bool) {
    let was_connected = local.connection.is_connected();
    local.disconnect();
    local.shared.status.set_error(&error);
    if has_failed {
        // A call made later was never sent, whatever happened to those before it.
        local.connection.set_backoff(Error::connect(error.text().to_owned()));
    } else {
        local.connection.set_connecting();
    }
    local.calls.fail_all(&error);
    local.shared.status.notify();
    if was_connected {
        local.pushes.enqueue_event(Event::Lost(error));
    }
}

/// Reads until the connection ends, and returns the reason.
fn read(local: &Local, stream: &Stream) -> Error {
    let mut buffer = ReadBuffer::new();
    loop {
        let read = buffer.read(stream, Deadline::NEVER, |bytes| frames::receive(local, bytes));
        let addr = &local.shared.addr;
        return match read {
            Ok(0) => Error::broken(format!("{addr} closed the connection")),
            Ok(count) => {
                if count >= FULL_READ {
                    // Let the coroutines whose responses arrived run first.
                    rt::yield_now();
                }
                continue;
            }
            Err(ReadError::Io(error)) => {
                Error::broken(format!("the connection to {addr} broke: {error}"))
            }
            Err(ReadError::Wire(error)) => {
                log::warn!("closing the connection to {addr}: {error}");
                let text = format!("{addr} sent something other than a response: {error}");
                Error::of(Kind::Broken, Code::ERESPONSE, text)
            }
        };
    }
}

/// Returns the pause before the next attempt, after this many failures in a row.
fn pause(options: &ClientOptions, failures: u32) -> Duration {
    let (min, max) = (options.backoff_min, options.backoff_max);
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
