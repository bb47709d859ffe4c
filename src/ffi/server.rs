//! Servers.

use std::ffi::{c_char, c_int, c_void};

use crate::server::{Server, ServerOptions, StopReport};

use super::arg::{self, FOREVER, Options, deadline};
use super::call::fastrpc_call;
use super::callback::{UserData, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::shared_call::SharedCall;
use super::status::*;

/// A server: RPC methods by name, HTTP routes, and the addresses it listens on. Free it with
/// fastrpc_server_free(). Thread-safe.
pub struct fastrpc_server {
    _private: [u8; 0],
}

impl Opaque for fastrpc_server {
    type Rust = Server;
    type Ownership = OwnedBox;
}

/// The bounds of a server. See fastrpc_server_new(). The first four are for all connections, the
/// fields that begin with http_ for those that speak HTTP, the others for those that speak RPC.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_server_options {
    /// sizeof(fastrpc_server_options).
    pub size: usize,
    /// Connections open at once, of all protocols; a further one is closed at once. Default 100000.
    pub max_connections: usize,
    /// Nanoseconds a peer's machine may go without acknowledging anything, before the connection
    /// counts as broken; below 0 without end. Default 30 s.
    pub peer_timeout: i64,
    /// Nanoseconds a connection may take from its first byte on until its protocol is known, before
    /// it is closed; below 0 without end. Default 30 s.
    pub detect_timeout: i64,
    /// Nanoseconds a new connection may send nothing, before it is closed; below 0 without end.
    /// Default -1.
    pub first_byte_timeout: i64,
    /// Bytes of the largest request; a peer that announces more is closed. Default 64 MiB.
    pub max_frame: usize,
    /// Unanswered calls of a connection; at that number it is not read until half are answered.
    /// Default 10000.
    pub max_in_flight: usize,
    /// Bytes of the requests of unanswered calls of a connection; beyond, it is not read either.
    /// Default 64 MiB.
    pub max_in_flight_bytes: usize,
    /// Bytes of answers that a connection's peer has not read yet; beyond, the connection is not
    /// read until half are gone. Default 64 MiB.
    pub max_unsent: usize,
    /// Nanoseconds a peer may go without reading a byte while answers wait for it, before it is
    /// closed; below 0 without end. Default 30 s.
    pub write_stall: i64,
    /// Nanoseconds in which the head of a frame that has begun must be whole, and for which its
    /// body may pause, before the peer is closed; below 0 without end. Default 30 s.
    pub frame_timeout: i64,
    /// Nanoseconds a peer without calls in flight may send nothing, before it is closed; below 0
    /// without end. Default -1.
    pub idle_timeout: i64,
    /// Bytes of a request's head; beyond, the answer is 431. Default 32 KiB.
    pub http_max_head: usize,
    /// Header fields of a request; beyond, the answer is 431. Default 100.
    pub http_max_fields: usize,
    /// Bytes of a request's target; beyond, the answer is 414. Default 8 KiB.
    pub http_max_target: usize,
    /// Bytes of a request's body; beyond, the answer is 413. Default 64 MiB.
    pub http_max_body: u64,
    /// Nanoseconds in which a head that has begun must be whole, else the answer is 408; below 0
    /// without end. Default 30 s.
    pub http_head_timeout: i64,
    /// Nanoseconds a body may pause while it is read, else the answer is 408; below 0 without end.
    /// Default 30 s.
    pub http_body_timeout: i64,
    /// Nanoseconds a connection may be idle between requests, before it is closed; below 0 without
    /// end. Default 75 s.
    pub http_idle_timeout: i64,
    /// Nanoseconds a client may go without reading a byte of a response, before it is closed; below
    /// 0 without end. Default 30 s.
    pub http_write_stall: i64,
}

/// Counters of a server. See fastrpc_server_stats_get().
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fastrpc_server_stats {
    /// sizeof(fastrpc_server_stats), set by the caller.
    pub size: usize,
    /// Connections open.
    pub connections: u64,
    /// Connections accepted since the start.
    pub accepted: u64,
    /// Connections closed at once because there were too many.
    pub rejected: u64,
    /// Calls that wait for their answer.
    pub in_flight: u64,
    /// Calls received.
    pub calls: u64,
    /// Calls answered with an error.
    pub errors: u64,
    /// Connections closed because of what the peer sent, or did not read.
    pub bad_peers: u64,
    /// Bytes read.
    pub bytes_in: u64,
    /// Bytes written.
    pub bytes_out: u64,
}

/// An RPC method. It owns `call`; see fastrpc_call. It runs in a new coroutine for each call, on
/// several workers at the same time.
pub type fastrpc_call_handler =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, call: *mut fastrpc_call)>;

/// What became of the calls of a server that was stopped. See fastrpc_server_stop().
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fastrpc_stop_report {
    /// sizeof(fastrpc_stop_report), set by the caller.
    pub size: usize,
    /// Calls that were in flight and ended by themselves.
    pub finished: u64,
    /// Calls that were in flight when the grace was over, answered with FASTRPC_CODE_ELOGOFF.
    pub canceled: u64,
    /// Calls that came after the stop had begun, answered with FASTRPC_CODE_ELOGOFF.
    pub refused: u64,
}

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_options_init(
    options: *mut fastrpc_server_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Creates a server without methods, routes or addresses.
///
/// `options`: NULL for the defaults. `out`: receives the server; free it with
/// fastrpc_server_free(). Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_new(
    options: *const fastrpc_server_options,
    out: *mut *mut fastrpc_server,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller passes NULL or a writable pointer.
        unsafe { Out::new(out) }?.store(give(Server::new(options.to_rust())));
        Ok(())
    })
}

/// Adds an RPC method. May be called while the server runs.
///
/// `service`, `method`: names, such as "example.Echo" and "Say". `function`, `user`, `drop`:
/// handles the calls, until the server is freed. Fails with FASTRPC_EINVAL, FASTRPC_ESTATE (the
/// server has this method). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_add_method(
    server: *const fastrpc_server,
    service: *const c_char,
    service_size: usize,
    method: *const c_char,
    method_size: usize,
    function: fastrpc_call_handler,
    user: *mut c_void,
    drop: fastrpc_drop,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        // SAFETY: the caller passes readable bytes.
        let service = unsafe { arg::text(service, service_size) }?;
        // SAFETY: the caller passes readable bytes.
        let method = unsafe { arg::text(method, method_size) }?;
        if service.is_empty() || method.is_empty() {
            return Err(Failure::invalid("the name of the service or of the method is empty"));
        }
        server
            .add_method(service, method, move |call| SharedCall::run(call, function, &user))
            .map_err(|e| Failure::new(FASTRPC_ESTATE, e.text()).with_code(e.code().number()))
    })
}

/// Starts to listen on an address. May be called several times.
///
/// `address`: "host:port", where port 0 takes a free one, ":port", or "unix:/path". Fails with
/// FASTRPC_EINVAL, FASTRPC_EIO, FASTRPC_ESTATE (stopped). Any thread; may suspend to look the host
/// up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_listen(
    server: *const fastrpc_server,
    address: *const c_char,
    address_size: usize,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        // SAFETY: the caller passes readable bytes.
        server.listen(unsafe { arg::text(address, address_size) }?)?;
        Ok(())
    })
}

/// Starts to serve on a listening socket, TCP or Unix.
///
/// `fd`: becomes the library's, which closes it, unless this fails with FASTRPC_EINVAL because it
/// is not open or not a listening socket. Fails with that, FASTRPC_EIO, FASTRPC_ESTATE (stopped).
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_listen_fd(
    server: *const fastrpc_server,
    fd: c_int,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        // SAFETY: the caller hands over a socket that listens.
        server.listen_fd(unsafe { arg::listener(fd) }?)?;
        Ok(())
    })
}

/// Returns the TCP port of the first address it listens on, or 0 if there is none.
///
/// `server`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_port(server: *const fastrpc_server) -> u16 {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live server.
        let address = unsafe { look(server) }.and_then(Server::local_addr);
        address.and_then(|address| address.port()).unwrap_or(0)
    })
}

/// Copies the first address it listens on, and a NUL, into a buffer as far as it fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL; 0 if it does not listen. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_address(
    server: *const fastrpc_server,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live server.
        let address = unsafe { look(server) }.and_then(Server::local_addr);
        let text = address.map_or_else(String::new, |address| address.to_string());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&text, buffer, size) }
    })
}

/// Stops a server for good: accepts nothing more, refuses new calls with FASTRPC_CODE_ELOGOFF, lets
/// the calls in flight end, and closes the connections.
///
/// `grace`: nanoseconds for the calls in flight; those left then are answered with
/// FASTRPC_CODE_ELOGOFF. `report`: its `size` is set by the caller; receives what became of the
/// calls, as far as it reaches; may be NULL. Fails with FASTRPC_EINVAL. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_stop(
    server: *const fastrpc_server,
    grace: i64,
    report: *mut fastrpc_stop_report,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        if !report.is_null() {
            // SAFETY: the caller passes a struct of the size it set.
            unsafe { arg::fill_struct(report, &fastrpc_stop_report::default()) }?;
        }
        let ended = server.stop(deadline(grace));
        if !report.is_null() {
            // SAFETY: as above.
            unsafe { arg::fill_struct(report, &ended.into()) }?;
        }
        Ok(())
    })
}

/// Waits until the server has been stopped.
///
/// Fails with FASTRPC_EINVAL. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_wait(server: *const fastrpc_server) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live server.
        unsafe { need(server) }?.wait();
        Ok(())
    })
}

/// Serves until the process receives SIGINT or SIGTERM, or the server is stopped, and stops it.
///
/// `grace`: nanoseconds for the calls in flight. `signal`: receives the signal's number, or 0; may
/// be NULL. Fails with FASTRPC_EIO, FASTRPC_ESTATE (another server of the process waits for
/// signals). Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_run_until_signal(
    server: *const fastrpc_server,
    grace: i64,
    signal: *mut i32,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live server.
        let server = unsafe { need(server) }?;
        let number = server.run_until_signal(arg::duration(grace).unwrap_or(FOREVER))?;
        if !signal.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(signal) }?.store(number);
        }
        Ok(())
    })
}

/// Reads the counters of a server.
///
/// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_stats_get(
    server: *const fastrpc_server,
    stats: *mut fastrpc_server_stats,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live server.
        let now = unsafe { need(server) }?.stats();
        let now = fastrpc_server_stats {
            size: 0,
            connections: now.connections,
            accepted: now.accepted,
            rejected: now.rejected,
            in_flight: now.in_flight,
            calls: now.calls,
            errors: now.errors,
            bad_peers: now.bad_peers,
            bytes_in: now.bytes_in,
            bytes_out: now.bytes_out,
        };
        // SAFETY: the caller passes NULL or a struct of the size it set.
        unsafe { arg::fill_struct(stats, &now) }
    })
}

/// Frees a server. If it was not stopped it stops at once: calls in flight are answered with
/// FASTRPC_CODE_ELOGOFF.
///
/// The `drop` of a callback may run a moment later, when the last connection has ended. `server`:
/// NULL does nothing; must not be used by another call meanwhile. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_server_free(server: *mut fastrpc_server) {
    // SAFETY: the caller passes NULL or a server that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(server) }))
}

impl fastrpc_server_options {
    fn to_rust(self) -> ServerOptions {
        let mut options = ServerOptions::default();
        options.max_connections = self.max_connections;
        options.rpc.max_frame = self.max_frame;
        options.rpc.max_in_flight = self.max_in_flight;
        options.rpc.max_in_flight_bytes = self.max_in_flight_bytes;
        options.rpc.max_unsent = self.max_unsent;
        options.rpc.write_stall = arg::duration(self.write_stall).unwrap_or(FOREVER);
        options.peer_timeout = arg::duration(self.peer_timeout);
        options.rpc.frame_timeout = arg::duration(self.frame_timeout);
        options.rpc.idle_timeout = arg::duration(self.idle_timeout);
        options.detect_timeout = arg::duration(self.detect_timeout);
        options.first_byte_timeout = arg::duration(self.first_byte_timeout);
        options.http.max_head = self.http_max_head;
        options.http.max_fields = self.http_max_fields;
        options.http.max_target = self.http_max_target;
        options.http.max_body = self.http_max_body;
        options.http.head_timeout = arg::duration(self.http_head_timeout);
        options.http.body_timeout = arg::duration(self.http_body_timeout);
        options.http.idle_timeout = arg::duration(self.http_idle_timeout);
        options.http.write_stall = arg::duration(self.http_write_stall).unwrap_or(FOREVER);
        options
    }
}

// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_server_options {}
// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_server_stats {}
// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_stop_report {}

impl From<StopReport> for fastrpc_stop_report {
    fn from(report: StopReport) -> Self {
        let StopReport { finished, canceled, refused, .. } = report;
        fastrpc_stop_report { size: size_of::<Self>(), finished, canceled, refused }
    }
}

impl Default for fastrpc_server_options {
    fn default() -> Self {
        let defaults = ServerOptions::default();
        fastrpc_server_options {
            size: size_of::<Self>(),
            max_connections: defaults.max_connections,
            max_frame: defaults.rpc.max_frame,
            max_in_flight: defaults.rpc.max_in_flight,
            max_in_flight_bytes: defaults.rpc.max_in_flight_bytes,
            max_unsent: defaults.rpc.max_unsent,
            write_stall: arg::nanoseconds(Some(defaults.rpc.write_stall)),
            peer_timeout: arg::nanoseconds(defaults.peer_timeout),
            detect_timeout: arg::nanoseconds(defaults.detect_timeout),
            first_byte_timeout: arg::nanoseconds(defaults.first_byte_timeout),
            frame_timeout: arg::nanoseconds(defaults.rpc.frame_timeout),
            idle_timeout: arg::nanoseconds(defaults.rpc.idle_timeout),
            http_max_head: defaults.http.max_head,
            http_max_fields: defaults.http.max_fields,
            http_max_target: defaults.http.max_target,
            http_max_body: defaults.http.max_body,
            http_head_timeout: arg::nanoseconds(defaults.http.head_timeout),
            http_body_timeout: arg::nanoseconds(defaults.http.body_timeout),
            http_idle_timeout: arg::nanoseconds(defaults.http.idle_timeout),
            http_write_stall: arg::nanoseconds(Some(defaults.http.write_stall)),
        }
    }
}

const _: () = {
    assert!(size_of::<fastrpc_server_options>() == 9 * size_of::<usize>() + 11 * 8);
    assert!(size_of::<fastrpc_stop_report>() == size_of::<usize>() + 3 * 8);
    assert!(size_of::<fastrpc_server_stats>() == size_of::<usize>() + 9 * 8);
};
