//! RPC clients.

use std::ffi::c_char;

use crate::rpc::{Client, ClientOptions, ClientStats, Protocol};

use super::arg::{self, FOREVER, Options, deadline};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// A client: one connection to a server, and any number of calls in flight on it. It connects when
/// first used, and again when the connection broke. Free it with fastrpc_client_free().
/// Thread-safe.
pub struct fastrpc_client {
    _private: [u8; 0],
}

impl Opaque for fastrpc_client {
    type Rust = Client;
    type Ownership = OwnedBox;
}

/// How a client connects, and its bounds. See fastrpc_client_new().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_client_options {
    /// sizeof(fastrpc_client_options).
    pub size: usize,
    /// Nanoseconds a call may take that sets no timeout of its own; below 0 without end.
    /// Default 10 s.
    pub timeout: i64,
    /// Nanoseconds one attempt to connect may take, at least 0. Default 3 s.
    pub connect_timeout: i64,
    /// Calls in flight; a further one fails with FASTRPC_ELIMIT. Default 100000.
    pub max_in_flight: usize,
    /// Bytes of requests not yet passed to the kernel; a call beyond fails with FASTRPC_ELIMIT.
    /// Default 64 MiB.
    pub max_unsent: usize,
    /// Bytes of the largest answer; a larger one breaks the connection. Default 64 MiB.
    pub max_frame: usize,
    /// Nanoseconds between a first failed attempt to connect and the next; it doubles with each
    /// further one. Default 50 ms.
    pub backoff_min: i64,
    /// The longest pause between two attempts, in nanoseconds. Default 2 s.
    pub backoff_max: i64,
    /// Pushed messages that may wait for their function; a further one is dropped. Default 10000.
    pub max_pushes: usize,
    /// Bytes of pushed messages that may wait for their function; a message beyond is dropped.
    /// Default 64 MiB.
    pub max_push_bytes: usize,
    /// A FASTRPC_PROTOCOL_ number. Default FASTRPC_PROTOCOL_BAIDU_STD.
    pub protocol: i32,
    /// Must be 0.
    pub reserved: i32,
    /// Nanoseconds the server may go without reading a byte while requests wait for it, before the
    /// connection is broken; below 0 without end. Default 30 s.
    pub write_stall: i64,
    /// Nanoseconds the server's machine may go without acknowledging anything, before the
    /// connection counts as broken; below 0 without end. Default 30 s.
    pub peer_timeout: i64,
    /// The worker the connection lives on, from 0. Default -1: that of the coroutine that creates
    /// the client; clients of plain threads go to the workers in turn.
    pub worker: i64,
}

/// Counters of a client. See fastrpc_client_stats_get().
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct fastrpc_client_stats {
    /// sizeof(fastrpc_client_stats), set by the caller.
    pub size: usize,
    /// Calls that wait for their answer.
    pub in_flight: u64,
    /// Answers that no call waited for, late ones mostly, and pushes without a function.
    pub unmatched: u64,
    /// Connections made.
    pub connects: u64,
    /// Attempts to connect that failed.
    pub failed_connects: u64,
    /// Pushed messages dropped because too many waited for their function.
    pub dropped_pushes: u64,
}

/// The protocol of brpc.
pub const FASTRPC_PROTOCOL_BAIDU_STD: i32 = 0;
/// The HTTP-like frames of the original fastrpc. They carry no log ids, no attachments and no
/// compression, and an old server does not answer a call that fails: it times out.
pub const FASTRPC_PROTOCOL_ORIGINAL: i32 = 1;

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_options_init(
    options: *mut fastrpc_client_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Creates a client. Does not connect yet.
///
/// `address`: "host:port" or "unix:/path". `options`: NULL for the defaults. `out`: receives the
/// client; free it with fastrpc_client_free(). Fails with FASTRPC_EINVAL, FASTRPC_ENOMEM,
/// FASTRPC_EIO. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_new(
    address: *const c_char,
    address_size: usize,
    options: *const fastrpc_client_options,
    out: *mut *mut fastrpc_client,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a writable pointer.
        let out = unsafe { Out::new(out) }?;
        // SAFETY: the caller passes NULL or options with a right size field.
        let options = unsafe { arg::options(options) }?;
        // SAFETY: the caller passes readable bytes.
        let address = unsafe { arg::text(address, address_size) }?;
        out.store(give(Client::new(address, options.to_rust()?)?));
        Ok(())
    })
}

/// Connects now, if it is not connected.
///
/// `timeout`: nanoseconds. Fails with FASTRPC_ECONNECT, FASTRPC_ETIMEDOUT, FASTRPC_ECLOSED,
/// FASTRPC_ECANCELED. Any thread; may suspend.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_connect(
    client: *const fastrpc_client,
    timeout: i64,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.connect(deadline(timeout))?;
        Ok(())
    })
}

/// Returns whether there is a connection at this moment.
///
/// `client`: NULL gives false. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_is_connected(client: *const fastrpc_client) -> bool {
    // SAFETY: the caller passes NULL or a live client.
    guard_value(false, || unsafe { look(client) }.is_some_and(Client::is_connected))
}

/// Copies the server's address as given to fastrpc_client_new(), and a NUL, into a buffer as far as
/// it fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_address(
    client: *const fastrpc_client,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live client.
        let address = unsafe { look(client) }.map_or("", Client::addr);
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(address, buffer, size) }
    })
}

/// Reads the counters of a client.
///
/// `stats`: its `size` is set by the caller; the rest is filled in as far as it reaches. Fails with
/// FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_stats_get(
    client: *const fastrpc_client,
    stats: *mut fastrpc_client_stats,
) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live client.
        let now = unsafe { need(client) }?.stats().into();
        // SAFETY: the caller passes NULL or a struct of the size it set.
        unsafe { arg::fill_struct(stats, &now) }
    })
}

/// Closes a client for good: calls in flight fail with FASTRPC_ECLOSED.
///
/// Fails with FASTRPC_EINVAL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_close(client: *const fastrpc_client) -> fastrpc_status {
    guard(ErrorOut::NONE, || {
        // SAFETY: the caller passes NULL or a live client.
        unsafe { need(client) }?.close();
        Ok(())
    })
}

/// Closes and frees a client.
///
/// `client`: NULL does nothing; must not be used by another call meanwhile. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_client_free(client: *mut fastrpc_client) {
    // SAFETY: the caller passes NULL or a client that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(client) }))
}

impl fastrpc_client_options {
    fn to_rust(self) -> Result<ClientOptions, Failure> {
        let needed = |ns| {
            arg::duration(ns).ok_or_else(|| {
                Failure::invalid("connect_timeout, backoff_min and backoff_max must be at least 0")
            })
        };
        let mut options = ClientOptions::default();
        options.timeout = arg::duration(self.timeout);
        options.connect_timeout = needed(self.connect_timeout)?;
        options.max_in_flight = self.max_in_flight;
        options.max_unsent = self.max_unsent;
        options.max_frame = self.max_frame;
        options.backoff_min = needed(self.backoff_min)?;
        options.backoff_max = needed(self.backoff_max)?;
        options.max_pushes = self.max_pushes;
        options.max_push_bytes = self.max_push_bytes;
        options.protocol = match self.protocol {
            FASTRPC_PROTOCOL_BAIDU_STD => Protocol::BaiduStd,
            FASTRPC_PROTOCOL_ORIGINAL => Protocol::Original,
            _ => {
                return Err(Failure::invalid(
                    "the protocol must be one of the FASTRPC_PROTOCOL_ numbers",
                ));
            }
        };
        options.write_stall = arg::duration(self.write_stall).unwrap_or(FOREVER);
        options.peer_timeout = arg::duration(self.peer_timeout);
        options.worker = arg::worker(self.worker)?;
        Ok(options)
    }
}

// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_client_options {}
// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_client_stats {}

impl From<ClientStats> for fastrpc_client_stats {
    fn from(stats: ClientStats) -> Self {
        fastrpc_client_stats {
            size: size_of::<Self>(),
            in_flight: stats.in_flight,
            unmatched: stats.unmatched,
            connects: stats.connects,
            failed_connects: stats.failed_connects,
            dropped_pushes: stats.dropped_pushes,
        }
    }
}

impl Default for fastrpc_client_options {
    fn default() -> Self {
        let defaults = ClientOptions::default();
        fastrpc_client_options {
            size: size_of::<Self>(),
            timeout: arg::nanoseconds(defaults.timeout),
            connect_timeout: arg::nanoseconds(Some(defaults.connect_timeout)),
            max_in_flight: defaults.max_in_flight,
            max_unsent: defaults.max_unsent,
            max_frame: defaults.max_frame,
            backoff_min: arg::nanoseconds(Some(defaults.backoff_min)),
            backoff_max: arg::nanoseconds(Some(defaults.backoff_max)),
            max_pushes: defaults.max_pushes,
            max_push_bytes: defaults.max_push_bytes,
            protocol: FASTRPC_PROTOCOL_BAIDU_STD,
            reserved: 0,
            write_stall: arg::nanoseconds(Some(defaults.write_stall)),
            peer_timeout: arg::nanoseconds(defaults.peer_timeout),
            worker: -1,
        }
    }
}

const _: () = {
    assert!(size_of::<fastrpc_client_options>() == 6 * size_of::<usize>() + 8 * 8);
    assert!(size_of::<fastrpc_client_stats>() == size_of::<usize>() + 5 * 8);
};
