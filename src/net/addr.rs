//! Addresses: TCP and Unix sockets, parsed and resolved.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use socket2::{Domain, SockAddr};

use crate::rt::{Deadline, WaitError, Waiter};
use crate::sys::signals::spawn_without_signals;

/// The address of a socket: TCP or Unix.
///
/// Written as `1.2.3.4:80`, `[::1]:80`, `:80` (every IPv4 address of this machine),
/// `unix:/path/to/socket`, or `unix:@name` for a name in Linux's abstract namespace (unix(7)).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Addr {
    /// A TCP address.
    Inet(SocketAddr),
    /// A Unix socket's path; empty for the unnamed end of a connection.
    Unix(PathBuf),
}

impl Addr {
    /// Parses `text`, and resolves a host name by the system's resolver on a thread of its own.
    /// Suspends a coroutine and blocks a plain thread meanwhile.
    ///
    /// # Errors
    /// `InvalidInput` for a text that is not an address, `NotFound` for a name without addresses,
    /// `ETIMEDOUT` at the deadline, `ECANCELED`, or the resolver's error, with the host in its text.
    pub fn resolve(text: &str, deadline: Deadline) -> io::Result<Vec<Addr>> {
        if let Ok(addr) = text.parse() {
            return Ok(vec![addr]);
        }
        let (host, port) = split_host(text)?;
        let found = look_up(host.to_owned(), port, deadline)?;
        if found.is_empty() {
            let text = format!("the host '{host}' has no addresses");
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
        Ok(found.into_iter().map(Addr::Inet).collect())
    }

    /// Returns the TCP port; `None` for a Unix socket.
    pub fn port(&self) -> Option<u16> {
        match self {
            Addr::Inet(addr) => Some(addr.port()),
            Addr::Unix(_) => None,
        }
    }

    pub(super) fn domain(&self) -> Domain {
        match self {
            Addr::Inet(addr) => Domain::for_address(*addr),
            Addr::Unix(_) => Domain::UNIX,
        }
    }

    pub(super) fn to_sockaddr(&self) -> io::Result<SockAddr> {
        match self {
            Addr::Inet(addr) => Ok(SockAddr::from(*addr)),
            Addr::Unix(path) => match path.as_os_str().as_bytes().strip_prefix(b"@") {
                Some(name) => {
                    let name = [b"\0", name].concat();
                    SockAddr::unix(Path::new(std::ffi::OsStr::from_bytes(&name)))
                }
                None => SockAddr::unix(path),
            },
        }
    }

    pub(super) fn from_sockaddr(addr: &SockAddr) -> Addr {
        if let Some(inet) = addr.as_socket() {
            return Addr::Inet(inet);
        }
        if let Some(name) = addr.as_abstract_namespace() {
            let shown = [b"@", name].concat();
            return Addr::Unix(PathBuf::from(std::ffi::OsStr::from_bytes(&shown)));
        }
        Addr::Unix(addr.as_pathname().map(Path::to_path_buf).unwrap_or_default())
    }
}

/// Parses addresses without host names; see [`Addr::resolve`] for names.
impl FromStr for Addr {
    type Err = io::Error;

    fn from_str(text: &str) -> io::Result<Addr> {
        if let Some(path) = text.strip_prefix("unix:") {
            if path.is_empty() {
                return Err(invalid(text, "the path is missing: unix:/path"));
            }
            return Ok(Addr::Unix(PathBuf::from(path)));
        }
        let (host, port) = split_host(text)?;
        let ip = match host {
            "" | "*" => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            "localhost" => IpAddr::V4(Ipv4Addr::LOCALHOST),
            _ => match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
                Some(v6) => match v6.parse::<Ipv6Addr>() {
                    Ok(ip) => IpAddr::V6(ip),
                    // Scopes, as in `[fe80::1%eth0]`, are left to the resolver.
                    Err(_) => return Err(invalid(text, "the host is not an IPv6 address")),
                },
                None => match host.parse() {
                    Ok(ip) => IpAddr::V4(ip),
                    Err(_) => return Err(invalid(text, "the host is not an IP address")),
                },
            },
        };
        Ok(Addr::Inet(SocketAddr::new(ip, port)))
    }
}

impl fmt::Display for Addr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Inet(addr) => addr.fmt(f),
            Addr::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

impl From<SocketAddr> for Addr {
    fn from(addr: SocketAddr) -> Self {
        Addr::Inet(addr)
    }
}

fn split_host(text: &str) -> io::Result<(&str, u16)> {
    let (host, port) =
        text.rsplit_once(':').ok_or_else(|| invalid(text, "the port is missing: host:port"))?;
    if host.contains(':') && !host.starts_with('[') {
        return Err(invalid(text, "an IPv6 address needs brackets: [::1]:80"));
    }
    let port =
        port.parse().map_err(|_| invalid(text, "the port is not a number from 0 to 65535"))?;
    Ok((host, port))
}

fn invalid(text: &str, reason: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("invalid address '{text}': {reason}"))
}

/// Calls the system's resolver, which blocks, on a thread that may outlive the deadline.
fn look_up(host: String, port: u16, deadline: Deadline) -> io::Result<Vec<SocketAddr>> {
    let result: Arc<Mutex<Option<io::Result<Vec<SocketAddr>>>>> = Arc::default();
    let waiter = Waiter::new();
    let (waker, slot) = (waiter.waker(), result.clone());
    let builder = std::thread::Builder::new().name("fastrpc-dns".into());
    spawn_without_signals(builder, move || {
        let host = host.trim_start_matches('[').trim_end_matches(']');
        let found = (host, port).to_socket_addrs().map(Iterator::collect);
        let found =
            found.map_err(|e| io::Error::new(e.kind(), format!("cannot resolve '{host}': {e}")));
        *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(found);
        waker.wake();
    })?;
    waiter.wait(deadline)?;
    let mut result = result.lock().unwrap_or_else(PoisonError::into_inner);
    result.take().unwrap_or_else(|| Err(WaitError::TimedOut.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_addresses() {
        for text in ["127.0.0.1:80", "[::1]:80", "0.0.0.0:0", "unix:/tmp/a b", "unix:@name"] {
            assert_eq!(text.parse::<Addr>().unwrap().to_string(), text);
        }
        assert_eq!(":7".parse::<Addr>().unwrap().to_string(), "0.0.0.0:7");
        assert_eq!("localhost:7".parse::<Addr>().unwrap().to_string(), "127.0.0.1:7");
        for text in ["", "host", "1.2.3.4", "1.2.3.4:x", "1.2.3.4:65536", "::1:80", "unix:", "a:1"]
        {
            let error = text.parse::<Addr>().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text}");
        }
    }

    #[test]
    fn names_are_looked_up() {
        let found = Addr::resolve("localhost:9", Deadline::NEVER).unwrap();
        assert!(found.iter().all(|addr| addr.port() == Some(9)), "{found:?}");
        let error = Addr::resolve("no-such-host.invalid:9", Deadline::NEVER).unwrap_err();
        assert!(error.to_string().contains("'no-such-host.invalid'"), "{error}");
    }

    #[test]
    fn sockaddrs_round_trip() {
        for text in ["127.0.0.1:80", "[::1]:80", "unix:/tmp/x", "unix:@name"] {
            let addr = text.parse::<Addr>().unwrap();
            assert_eq!(Addr::from_sockaddr(&addr.to_sockaddr().unwrap()), addr);
        }
    }
}
