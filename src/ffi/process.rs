//! Preforking: several processes that serve one address.

use std::ffi::{c_char, c_int, c_void};
use std::os::fd::IntoRawFd;
use std::sync::{Mutex, PoisonError};

use crate::net::Addr;
use crate::process::{self, Prefork};

use super::arg::{self, FOREVER, Options};
use super::callback::{UserData, call_out, fastrpc_drop};
use super::error::{ErrorOut, Failure, fastrpc_error};
use super::guard::{guard, guard_value};
use super::own::{Opaque, Out, OwnedBox, give, look, need, take};
use super::status::*;

/// An address, bound, and the processes that are to serve it. Free it with fastrpc_prefork_free().
/// Thread-safe.
pub struct fastrpc_prefork {
    _private: [u8; 0],
}

impl Opaque for fastrpc_prefork {
    type Rust = Shared;
    type Ownership = OwnedBox;
}

/// What a `fastrpc_prefork` points to.
pub struct Shared {
    address: Addr,
    prefork: Mutex<Option<Prefork>>,
}

/// How the processes are made. See fastrpc_prefork_new().
#[repr(C)]
#[derive(Clone, Copy)]
pub struct fastrpc_prefork_options {
    /// sizeof(fastrpc_prefork_options).
    pub size: usize,
    /// How many processes serve, besides the parent. Default: the number of processors.
    pub processes: usize,
    /// Nanoseconds the processes have to end after a SIGTERM, before SIGKILL; below 0 without end.
    /// Default 15 s, more than what servers give their calls.
    pub grace: i64,
    /// Connections that may queue for each process. Default 4096.
    pub backlog: i32,
    /// Whether a process that ends is restarted. Default 1.
    pub restart: i32,
}

/// The main function of a process of a fastrpc_prefork. `index`: its number, from 0. `listen_fd`: a
/// listening socket, which is the function's own. Returns the exit status of the process.
pub type fastrpc_process_function =
    Option<unsafe extern "C-unwind" fn(user: *mut c_void, index: usize, listen_fd: c_int) -> c_int>;

/// Sets all fields to their defaults.
///
/// `options`: the struct. `size`: its sizeof. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_options_init(
    options: *mut fastrpc_prefork_options,
    size: usize,
) {
    // SAFETY: the caller passes a struct of `size` bytes.
    guard_value((), || unsafe { arg::init_options(options, size) })
}

/// Binds an address for several processes. Connections queue from here on.
///
/// `address`: "host:port" with a literal address, where port 0 takes a free one, ":port", or
/// "unix:/path". `options`: NULL for the defaults. `out`: receives the object; free it with
/// fastrpc_prefork_free(). Fails with FASTRPC_EINVAL, FASTRPC_EIO (also if other processes share
/// the address by SO_REUSEPORT). Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_new(
    address: *const c_char,
    address_size: usize,
    options: *const fastrpc_prefork_options,
    out: *mut *mut fastrpc_prefork,
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
        let prefork = Prefork::bind(address, options.to_rust())?;
        let address = prefork.local_addr().clone();
        out.store(give(Shared { address, prefork: Mutex::new(Some(prefork)) }));
        Ok(())
    })
}

/// Returns the TCP port it is bound to, or 0 if there is none.
///
/// `prefork`: NULL gives 0. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_port(prefork: *const fastrpc_prefork) -> u16 {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live object.
        unsafe { look(prefork) }.and_then(|prefork| prefork.address.port()).unwrap_or(0)
    })
}

/// Copies the address it is bound to, and a NUL, into a buffer as far as it fits.
///
/// `buffer`: may be NULL if `size` is 0. `size`: its bytes. Returns the bytes of the text, not
/// counting the NUL. Any thread; never suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_address(
    prefork: *const fastrpc_prefork,
    buffer: *mut c_char,
    size: usize,
) -> usize {
    guard_value(0, || {
        // SAFETY: the caller passes NULL or a live object.
        let prefork = unsafe { look(prefork) };
        let text = prefork.map_or_else(String::new, |prefork| prefork.address.to_string());
        // SAFETY: the caller passes `size` writable bytes.
        unsafe { arg::copy_text(&text, buffer, size) }
    })
}

/// Forks the processes and supervises them, once. Blocks until they have ended: after SIGTERM or
/// SIGINT to this process, the parent, or with `restart` 0 after the last has ended by itself.
///
/// A process that ends, with whatever status, is restarted after 100 ms; twice as long each further
/// time, up to 5 s, and again 100 ms once it has lived for 10 s. A signal to the parent becomes a
/// SIGTERM to the processes, and a SIGKILL to those left after `grace`; a process in which no
/// fastrpc_server_run_until_signal() waits dies of the first. When the parent dies they get
/// SIGKILL.
///
/// `function`, `user`, `drop`: runs in each process and returns its exit status; 1 if an exception
/// leaves it, which is logged. `drop` runs in the parent alone. `signal`: receives the signal's
/// number, or 0; may be NULL. Fails with FASTRPC_ESTATE (the runtime has started, which works in no
/// child; a server waits for signals; it ran before), FASTRPC_EIO. Call it in a program that has no
/// other threads yet; blocks.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_run(
    prefork: *const fastrpc_prefork,
    function: fastrpc_process_function,
    user: *mut c_void,
    drop: fastrpc_drop,
    signal: *mut i32,
    error: *mut *mut fastrpc_error,
) -> fastrpc_status {
    let user = UserData::new(user, drop);
    // SAFETY: the caller passes NULL or a writable pointer.
    guard(unsafe { ErrorOut::new(error) }, || {
        let function = function.ok_or_else(|| Failure::invalid("the function is NULL"))?;
        // SAFETY: the caller passes NULL or a live object.
        let prefork = &unsafe { need(prefork) }?.prefork;
        let prefork = prefork.lock().unwrap_or_else(PoisonError::into_inner).take();
        let prefork = prefork
            .ok_or_else(|| Failure::new(FASTRPC_ESTATE, "this fastrpc_prefork has run before"))?;
        let number = prefork.run(|index, listener| {
            let (fd, mut code) = (listener.into_raw_fd(), 1);
            // SAFETY: the user gave this function for this data.
            let called = call_out(|| code = unsafe { function(user.get(), index, fd) });
            if let Err(text) = called {
                log::error!("an exception left the function of process {index}: {text}");
            }
            code
        })?;
        if !signal.is_null() {
            // SAFETY: the caller passes NULL or a writable pointer.
            unsafe { Out::new(signal) }?.store(number);
        }
        Ok(())
    })
}

/// Frees it, and closes the sockets if it never ran.
///
/// `prefork`: NULL does nothing; must not be used by another call meanwhile. Any thread; never
/// suspends.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn fastrpc_prefork_free(prefork: *mut fastrpc_prefork) {
    // SAFETY: the caller passes NULL or an object that is not used again.
    guard_value((), || std::mem::drop(unsafe { take(prefork) }))
}

/// Returns the number of this process among those of a fastrpc_prefork, from 0, or -1 in any other
/// process.
///
/// Any thread; never suspends.
#[unsafe(no_mangle)]
pub extern "C" fn fastrpc_process_index() -> i64 {
    guard_value(-1, || process::index().map_or(-1, |index| index as i64))
}

impl fastrpc_prefork_options {
    fn to_rust(self) -> process::Options {
        let mut options = process::Options::default();
        options.processes = self.processes;
        options.grace = arg::duration(self.grace).unwrap_or(FOREVER);
        options.backlog = self.backlog;
        options.restart = self.restart != 0;
        options
    }
}

// SAFETY: repr(C), `size` first, integers alone.
unsafe impl Options for fastrpc_prefork_options {}

impl Default for fastrpc_prefork_options {
    fn default() -> Self {
        let defaults = process::Options::default();
        fastrpc_prefork_options {
            size: size_of::<Self>(),
            processes: defaults.processes,
            grace: arg::nanoseconds(Some(defaults.grace)),
            backlog: defaults.backlog,
            restart: defaults.restart.into(),
        }
    }
}

const _: () = assert!(size_of::<fastrpc_prefork_options>() == 2 * size_of::<usize>() + 16);
