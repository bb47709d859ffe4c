//! The addresses of a server, and what to do when one cannot be bound.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileTypeExt;
use std::sync::Arc;

use super::Server;
use crate::net::{self, Addr, Listener, ToAddr};
use crate::rt;
use crate::sync::lock;

impl Server {
    /// Listens on `addr`: `"host:port"`, where port 0 takes a free one, or `"unix:/path"`. May be
    /// called several times. Returns the address bound.
    ///
    /// # Errors
    /// When the address cannot be bound, or the server has stopped. The text names the address and
    /// says what can be done.
    pub fn listen(&self, addr: impl ToAddr) -> io::Result<Addr> {
        let addr: Addr = addr.to_addr().parse()?;
        let listener = Listener::bind(&addr, &net::ListenOptions::default()).map_err(|source| {
            let listeners = lock(&self.shared.listeners);
            let is_own = listeners.iter().any(|listener| *listener.local_addr() == addr);
            let kind = source.kind();
            io::Error::new(kind, ListenError { why: why(&addr, kind, is_own), addr, source })
        })?;
        self.listen_with(listener)
    }

    /// Serves on a socket that listens already, TCP or Unix: one that was inherited, or that
    /// [`Prefork`](crate::process::Prefork) gave. Returns its address.
    ///
    /// # Errors
    /// `InvalidInput` for an fd that does not listen, and when the server has stopped.
    pub fn listen_fd(&self, fd: OwnedFd) -> io::Result<Addr> {
        self.listen_with(Listener::from_fd(fd)?)
    }

    fn listen_with(&self, listener: Listener) -> io::Result<Addr> {
        let local = listener.local_addr().clone();
        let listener = Arc::new(listener);
        {
            let mut listeners = lock(&self.shared.listeners);
            if self.shared.connections.is_stopping() {
                let text = format!("cannot listen on {local}: the server has stopped");
                return Err(io::Error::other(text));
            }
            listeners.push(listener.clone());
        }
        let shared = self.shared.clone();
        rt::Builder::new().name("accept").spawn(move || shared.accept(&listener))?;
        Ok(local)
    }

    /// The first address that [`listen`](Server::listen) bound.
    pub fn local_addr(&self) -> Option<Addr> {
        Some(lock(&self.shared.listeners).first()?.local_addr().clone())
    }
}

/// Why a server cannot listen on an address.
#[derive(Debug)]
struct ListenError {
    addr: Addr,
    why: Option<&'static str>,
    source: io::Error,
}

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.addr)?;
        match self.why {
            Some(why) => f.write_str(why),
            None => self.source.fmt(f),
        }
    }
}

impl Error for ListenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

/// What to do about an error of bind(2).
fn why(addr: &Addr, kind: io::ErrorKind, is_own: bool) -> Option<&'static str> {
    match (addr, kind) {
        (_, io::ErrorKind::AddrInUse) if is_own => {
            Some("this server listens on it already; call listen() once for each address")
        }
        (Addr::Inet(_), io::ErrorKind::AddrInUse) => {
            Some("the port is in use; stop who has it (ss -ltnp shows), or take another port")
        }
        (Addr::Unix(path), io::ErrorKind::AddrInUse) => {
            let is_socket = path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket());
            let is_abstract = path.as_os_str().as_encoded_bytes().starts_with(b"@");
            Some(match is_socket || is_abstract {
                true => "another process listens on it; stop that, or take another path",
                false => "a file that is not a socket is there; remove it, or take another path",
            })
        }
        (Addr::Inet(_), io::ErrorKind::AddrNotAvailable) => {
            Some("no interface of this machine has the address; 0.0.0.0 stands for all of them")
        }
        (Addr::Inet(inet), io::ErrorKind::PermissionDenied) if inet.port() < 1024 => {
            Some("ports below 1024 need the capability CAP_NET_BIND_SERVICE")
        }
        (Addr::Unix(_), io::ErrorKind::NotFound) => Some("the folder of the path does not exist"),
        _ => None,
    }
}
