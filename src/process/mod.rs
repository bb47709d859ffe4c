//! Pre-forking: several processes that serve one address.
//!
//! [`Prefork`] binds an address, forks the processes and supervises them: a process that ends is
//! restarted; SIGTERM or SIGINT to the parent stops them all.
//!
//! The parent serves nothing and never starts the runtime, which would not work in its children; each
//! child has a runtime of its own. The parent keeps the listening sockets, so that the connections in
//! the queue of a child that has died wait for its successor.

// What it may call: net, rt, sys.
//
// What it must never do: wait for children that are not its own.

mod child;
mod supervisor;

use std::fmt;
use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::net::{Addr, ListenGroup};

pub use self::child::index;

use self::supervisor::Supervisor;

/// The options of a [`Prefork`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// The number of serving processes, without the parent; by default one for each processor.
    pub processes: usize,
    /// The time from SIGTERM to SIGKILL; 15 seconds by default, more than the grace of servers.
    pub grace: Duration,
    /// Whether a process that ends is restarted; true by default.
    pub restart: bool,
    /// Connections that may wait in the queue of each process; 4096 by default.
    pub backlog: i32,
}

impl Default for Options {
    fn default() -> Self {
        let processes = std::thread::available_parallelism().map_or(1, NonZero::get);
        Options { processes, grace: Duration::from_secs(15), restart: true, backlog: 4096 }
    }
}

/// A bound address and the processes that will serve it.
///
/// ```no_run
/// use fastrpc::process::{Options, Prefork};
/// use fastrpc::{Server, ServerOptions};
/// use std::time::Duration;
///
/// # fn main() -> std::io::Result<()> {
/// let prefork = Prefork::bind("127.0.0.1:8997", Options::default())?;
/// prefork.run(|_index, listen_fd| {
///     let server = Server::new(ServerOptions::default());
///     let served = server
///         .listen_fd(listen_fd)
///         .and_then(|_| server.run_until_signal(Duration::from_secs(10)));
///     i32::from(served.is_err())
/// })?;
/// # Ok(())
/// # }
/// ```
pub struct Prefork {
    group: ListenGroup,
    options: Options,
}

impl fmt::Debug for Prefork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Prefork")
            .field("local_addr", self.local_addr())
            .field("options", &self.options)
            .finish()
    }
}

impl Options {
    /// Returns the defaults.
    pub fn new() -> Options {
        Options::default()
    }

    setters! {
        processes: usize,
        grace: Duration,
        restart: bool,
        backlog: i32,
    }
}

impl Prefork {
    /// Binds `addr`: `"host:port"`, where port 0 takes a free one, or `"unix:/path"`. The host is an IP
    /// address or `localhost`. Connections are queued from now on. Works without the runtime.
    ///
    /// # Errors
    /// `InvalidInput` for no processes or more than 1,024; those of bind(2), `AddrInUse` also when
    /// another program shares the port by `SO_REUSEPORT`.
    pub fn bind(addr: &str, options: Options) -> io::Result<Prefork> {
        if !(1..=MAX_PROCESSES).contains(&options.processes) {
            let text = "the number of processes must be between 1 and 1024";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let group = ListenGroup::bind(&addr.parse()?, options.backlog, options.processes)?;
        Ok(Prefork { group, options })
    }

    /// Returns the address bound.
    pub fn local_addr(&self) -> &Addr {
        self.group.local_addr()
    }

    /// Forks the processes, each of which calls `work` with its index, from 0, and a listening socket,
    /// and exits with the status that `work` returns; 101 if it panics. Blocks the caller, the parent,
    /// until the processes have ended:
    ///
    /// - after SIGTERM or SIGINT to the parent: it closes the sockets, sends SIGTERM to the processes,
    ///   and SIGKILL to those that still run after [`grace`](Options::grace). Returns the signal's
    ///   number. A process that has not called
    ///   [`run_until_signal`](crate::Server::run_until_signal) dies of the SIGTERM at once.
    /// - with [`restart`](Options::restart) off, after the last one has ended. Returns 0.
    ///
    /// A process that ends, for whatever reason, is logged and restarted after 100 ms; the delay
    /// doubles each time up to 5 s, and is 100 ms again once the process has run for 10 s. During the
    /// first 100 ms its connections wait for it; with longer delays they go to the other processes.
    /// When the parent dies for any reason, the processes get SIGKILL, except one that has changed its
    /// user or group (`PR_SET_PDEATHSIG`, prctl(2)).
    ///
    /// The kernel spreads TCP connections evenly by a hash of their addresses. Processes on a Unix
    /// socket share one queue, from which idle ones take.
    ///
    /// Call it before the program creates threads: only the calling thread exists in the processes.
    ///
    /// # Errors
    /// `AlreadyExists` when the runtime has started, which does not work in a child; `ResourceBusy` when
    /// another part of this process waits for signals; those of fork(2). No process is left then.
    pub fn run(self, work: impl Fn(usize, OwnedFd) -> i32) -> io::Result<i32> {
        Supervisor::new(self.group, self.options, &work)?.run()
    }
}

const MAX_PROCESSES: usize = 1024;
