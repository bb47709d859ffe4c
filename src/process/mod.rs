//! Several processes that serve one address: the pre-fork model.
//!
//! **What it offers.** [`Prefork`] binds an address, makes the processes, and looks after them: one
//! that ends is made again, SIGTERM or SIGINT to the parent stop them all.
//!
//! **What holds.** The parent serves nothing and never starts the runtime, which would not work in
//! its children; each child has a runtime of its own. The parent keeps the listening sockets: what
//! waits in the queue of a child that has died waits for the next one.
//!
//! **What it may call.** `net` for the sockets, `rt` for signals, libc.
//!
//! **What it must never do.** Wait for children that are not its own.

mod child;
mod supervisor;

use std::io;
use std::num::NonZero;
use std::os::fd::OwnedFd;
use std::time::Duration;

use crate::net::{Addr, ListenGroup};

pub use self::child::index;

use self::supervisor::Supervisor;

/// How a [`Prefork`] makes its processes.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Options {
    /// How many processes serve, the parent not counted; by default one for each processor.
    pub processes: usize,
    /// How long the processes have to end after a SIGTERM, before SIGKILL; 15 seconds by default,
    /// more than what servers give their calls.
    pub grace: Duration,
    /// Whether a process that ends is made again; true by default.
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

/// An address, bound, and the processes that are to serve it.
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

impl Prefork {
    /// Binds `addr`: `"host:port"`, where port 0 takes a free one, or `"unix:/path"`. Connections wait
    /// from here on. Works without the runtime.
    ///
    /// # Errors
    /// `InvalidInput` for no or more than 1,024 processes, and when the address cannot be had: also
    /// if other processes share it by `SO_REUSEPORT`.
    pub fn bind(addr: &str, options: Options) -> io::Result<Prefork> {
        if !(1..=MAX_PROCESSES).contains(&options.processes) {
            let text = "the number of processes is between 1 and 1024";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let group = ListenGroup::bind(&addr.parse()?, options.backlog, options.processes)?;
        Ok(Prefork { group, options })
    }

    /// The address bound.
    pub fn local_addr(&self) -> &Addr {
        self.group.local_addr()
    }

    /// Forks the processes, each of which calls `work` with its number, from 0, and a socket that
    /// listens, and ends with the status that `work` gives; 101 if it panics. Blocks the caller, the
    /// parent, until the processes have ended:
    ///
    /// - after SIGTERM or SIGINT to the parent: it closes the sockets, sends SIGTERM to the processes,
    ///   and SIGKILL to those that are still there after [`grace`](Options::grace). Gives the signal's
    ///   number. A process that has not called
    ///   [`run_until_signal`](crate::Server::run_until_signal) dies of the SIGTERM at once.
    /// - with [`restart`](Options::restart) off, after the last has ended. Gives 0.
    ///
    /// A process that ends, by whatever cause and with whatever status, is logged and made again
    /// after 100 ms; twice as long each further time, up to 5 s, and again 100 ms once it has lived
    /// for 10 s. During the first 100 ms its connections wait for it; in longer pauses they go to the
    /// other processes. When the parent dies by any cause, the processes get SIGKILL; one that
    /// changes its user or group gives that up (`PR_SET_PDEATHSIG`, prctl(2)).
    ///
    /// The kernel spreads TCP connections evenly by a hash of their addresses. Processes on a Unix
    /// socket share one queue: who is idle takes from it.
    ///
    /// Call it before the program makes threads: only the calling one exists in the processes.
    ///
    /// # Errors
    /// `AlreadyExists` when the runtime has started, which works in no child; `ResourceBusy` when
    /// something else in this process waits for signals; those of fork(2). No process is left then.
    pub fn run(self, work: impl Fn(usize, OwnedFd) -> i32) -> io::Result<i32> {
        Supervisor::new(self.group, self.options, &work)?.run()
    }
}

const MAX_PROCESSES: usize = 1024;
