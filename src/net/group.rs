//! One address, listened on by several processes.

use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;

use socket2::{SockRef, Socket};

use super::listener::bind_socket;
use super::{Addr, ListenOptions};

/// Sockets that listen on one address, one for each process.
///
/// Each TCP socket has its own accept queue (`SO_REUSEPORT`), and the kernel spreads connections over
/// them by a hash of their addresses. With one shared queue, the process that wakes first takes all
/// there is, and a busy one gets few. Unix sockets have no such groups: their processes share a queue.
pub(crate) struct ListenGroup {
    local: Addr,
    sockets: Vec<OwnedFd>,
    backlog: i32,
}

impl ListenGroup {
    /// Binds and listens. Works without the runtime.
    ///
    /// # Errors
    /// Those of [`Listener::bind`](super::Listener::bind).
    pub(crate) fn bind(addr: &Addr, backlog: i32, count: usize) -> io::Result<ListenGroup> {
        let mut options = ListenOptions { backlog, ..ListenOptions::default() };
        // The first one without SO_REUSEPORT: a port that another program listens on is an error, even
        // if it allows sharing.
        let first = bind_socket(addr, &options)?;
        let local = Addr::from_sockaddr(&first.local_addr()?);
        let sockets: Vec<Socket> = match local {
            Addr::Inet(_) => {
                // Keeps the port: a socket that was bound to port 0 would lose it in `pause`.
                first.set_reuse_port(true)?;
                options.reuse_port = true;
                (0..count).map(|_| bind_socket(&local, &options)).collect::<io::Result<_>>()?
            }
            Addr::Unix(_) => (0..count).map(|_| first.try_clone()).collect::<io::Result<_>>()?,
        };
        for socket in &sockets {
            socket.listen(backlog)?;
        }
        let sockets = sockets.into_iter().map(OwnedFd::from).collect();
        Ok(ListenGroup { local, sockets, backlog })
    }

    pub(crate) fn local_addr(&self) -> &Addr {
        &self.local
    }

    /// Redirects the connections of socket `index` to the others of the group, and closes those in its
    /// queue. Does nothing if the queue is shared.
    ///
    /// # Errors
    /// Those of shutdown(2).
    pub(crate) fn pause(&self, index: usize) -> io::Result<()> {
        match self.local {
            Addr::Inet(_) => SockRef::from(&self.sockets[index]).shutdown(Shutdown::Read),
            Addr::Unix(_) => Ok(()),
        }
    }

    /// Lets socket `index` receive connections again.
    ///
    /// # Errors
    /// Those of listen(2).
    pub(crate) fn resume(&self, index: usize) -> io::Result<()> {
        SockRef::from(&self.sockets[index]).listen(self.backlog)
    }

    /// Returns socket `index` and closes the others in this process.
    pub(crate) fn into_one(mut self, index: usize) -> OwnedFd {
        self.sockets.swap_remove(index)
    }
}
