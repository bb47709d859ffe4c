//! What can be given for an address.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::Addr;

/// Names the address of a socket: a text, an address, or a host with a port.
///
/// Texts are `"host:port"`, `"[::1]:port"` or `"unix:/path"`. See [`Addr`] for all forms.
///
/// ```
/// use fastrpc::net::ToAddr;
/// use std::net::Ipv6Addr;
///
/// assert_eq!("example.org:80".to_addr(), "example.org:80");
/// assert_eq!(("example.org", 80).to_addr(), "example.org:80");
/// assert_eq!((Ipv6Addr::LOCALHOST, 80).to_addr(), "[::1]:80");
/// ```
pub trait ToAddr {
    /// Returns the address as a text.
    fn to_addr(&self) -> Cow<'_, str>;
}

impl ToAddr for str {
    fn to_addr(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl ToAddr for String {
    fn to_addr(&self) -> Cow<'_, str> {
        self.into()
    }
}

impl<T: ToAddr + ?Sized> ToAddr for &T {
    fn to_addr(&self) -> Cow<'_, str> {
        (**self).to_addr()
    }
}

impl ToAddr for Addr {
    fn to_addr(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl ToAddr for SocketAddr {
    fn to_addr(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl ToAddr for SocketAddrV4 {
    fn to_addr(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

impl ToAddr for SocketAddrV6 {
    fn to_addr(&self) -> Cow<'_, str> {
        self.to_string().into()
    }
}

/// The host may be a name or an IP address; one of IPv6 needs no brackets.
impl ToAddr for (&str, u16) {
    fn to_addr(&self) -> Cow<'_, str> {
        let (host, port) = self;
        match host.parse() {
            Ok(ip) => SocketAddr::new(ip, *port).to_string().into(),
            Err(_) => format!("{host}:{port}").into(),
        }
    }
}

impl ToAddr for (String, u16) {
    fn to_addr(&self) -> Cow<'_, str> {
        (self.0.as_str(), self.1).to_addr().into_owned().into()
    }
}

impl ToAddr for (IpAddr, u16) {
    fn to_addr(&self) -> Cow<'_, str> {
        SocketAddr::from(*self).to_string().into()
    }
}

impl ToAddr for (Ipv4Addr, u16) {
    fn to_addr(&self) -> Cow<'_, str> {
        SocketAddr::from(*self).to_string().into()
    }
}

impl ToAddr for (Ipv6Addr, u16) {
    fn to_addr(&self) -> Cow<'_, str> {
        SocketAddr::from(*self).to_string().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_become_texts() {
        assert_eq!(("::1", 80).to_addr(), "[::1]:80");
        assert_eq!(("127.0.0.1".to_owned(), 80).to_addr(), "127.0.0.1:80");
        assert_eq!((Ipv4Addr::LOCALHOST, 80).to_addr(), "127.0.0.1:80");
        assert_eq!(SocketAddr::from(([127, 0, 0, 1], 80)).to_addr(), "127.0.0.1:80");
        let unix = "unix:/tmp/socket".parse::<Addr>().unwrap();
        assert_eq!(unix.to_addr(), "unix:/tmp/socket");
    }
}
