//! Connected stream sockets.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Mutex;
use std::time::Duration;

use socket2::{SockRef, Socket, TcpKeepalive, Type};

use super::Addr;
use crate::rt::{self, Deadline, Interest, Source};

/// A connected stream socket. Any number of coroutines and threads may read and write it, in both
/// directions at once.
pub struct Stream {
    source: Source,
    peer: Addr,
    timeouts: Mutex<Timeouts>,
}

#[derive(Clone, Copy, Default)]
struct Timeouts {
    read: Option<Duration>,
    write: Option<Duration>,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").field("peer_addr", &self.peer).finish_non_exhaustive()
    }
}

impl Stream {
    /// Connects to `addr`. TCP connections send small writes at once (`TCP_NODELAY`).
    ///
    /// # Errors
    /// Those of connect(2); `ETIMEDOUT` at the deadline or when the kernel gives up first;
    /// `ECANCELED`.
    pub fn connect_by(addr: &Addr, deadline: Deadline) -> io::Result<Stream> {
        let socket = Socket::new(addr.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
        let pending = loop {
            let address = addr.to_sockaddr()?;
            // The address is valid for its length.
            let fd = socket.as_raw_fd();
            match crate::sys::syscall!(connect(fd, address.as_ptr().cast(), address.len())) {
                Ok(_) => break false,
                Err(error) if error.raw_os_error() == Some(libc::EINPROGRESS) => break true,
                // A Unix listener's queue is full; the kernel does not report when it no longer is
                // (unix(7)).
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if deadline.has_passed() {
                        return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
                    }
                    rt::sleep(QUEUE_FULL_PAUSE)?;
                }
                Err(error) => return Err(error),
            }
        };
        if matches!(addr, Addr::Inet(_)) {
            socket.set_tcp_nodelay(true)?;
        }
        let source = Source::new(socket.into())?;
        if pending {
            wait_connected(&source, deadline)?;
        }
        Ok(Stream { source, peer: addr.clone(), timeouts: Mutex::default() })
    }

    /// Resolves `target` (see [`Addr`]) and connects to the first of its addresses that accepts.
    ///
    /// # Errors
    /// Those of [`Addr::resolve`], and those of [`connect_by`](Stream::connect_by) for the last
    /// address.
    pub fn connect(target: &str, deadline: Deadline) -> io::Result<Stream> {
        let mut last = None;
        for addr in Addr::resolve(target, deadline)? {
            match Stream::connect_by(&addr, deadline) {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(|| io::ErrorKind::NotFound.into()))
    }

    pub(super) fn accepted(fd: OwnedFd, local: &Addr) -> io::Result<Stream> {
        let socket = SockRef::from(&fd);
        let peer = match local {
            Addr::Inet(_) => {
                socket.set_tcp_nodelay(true)?;
                // Fails if the peer has disconnected already, which a read then reports.
                socket.peer_addr().map(|addr| Addr::from_sockaddr(&addr))
            }
            Addr::Unix(_) => Ok(Addr::Unix(Default::default())),
        };
        let peer = peer.unwrap_or_else(|_| Addr::Inet(([0, 0, 0, 0], 0).into()));
        Ok(Stream { source: Source::new(fd)?, peer, timeouts: Mutex::default() })
    }

    /// Reads at most `buf.len()` bytes and returns how many; 0 at the end of the stream. Suspends a
    /// coroutine and blocks a plain thread.
    ///
    /// # Errors
    /// `ETIMEDOUT`, `ECANCELED`, `EBADF` after [`close`](Stream::close), or those of read(2).
    pub fn read_by(&self, buf: &mut [u8], deadline: Deadline) -> io::Result<usize> {
        self.source.read(buf, deadline)
    }

    /// Reads into a buffer that is borrowed only when there may be data.
    pub(crate) fn read_lazily<B: AsMut<[u8]>>(
        &self,
        deadline: Deadline,
        borrow: impl FnMut() -> B,
    ) -> io::Result<(B, usize)> {
        self.source.read_lazily(deadline, borrow)
    }

    /// Reads until `buf` is full.
    ///
    /// # Errors
    /// As for [`read_by`](Stream::read_by), and `UnexpectedEof`.
    pub fn read_exact_by(&self, mut buf: &mut [u8], deadline: Deadline) -> io::Result<()> {
        while !buf.is_empty() {
            match self.read_by(buf, deadline)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => buf = &mut buf[read..],
            }
        }
        Ok(())
    }

    /// Writes at least one byte of `buf` and returns how many. A peer that has disconnected is `EPIPE`,
    /// without a signal.
    ///
    /// # Errors
    /// As for [`read_by`](Stream::read_by), or those of send(2).
    pub fn write_by(&self, buf: &[u8], deadline: Deadline) -> io::Result<usize> {
        self.source.write(buf, deadline)
    }

    /// Writes what fits without waiting.
    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.source.try_write(buf)
    }

    /// Writes all of `buf`. Bytes of concurrent writers may interleave.
    ///
    /// # Errors
    /// As for [`write_by`](Stream::write_by); a part may have been written.
    pub fn write_all_by(&self, mut buf: &[u8], deadline: Deadline) -> io::Result<()> {
        while !buf.is_empty() {
            let written = self.write_by(buf, deadline)?;
            buf = &buf[written..];
        }
        Ok(())
    }

    /// Waits until there is data or the end of the stream.
    ///
    /// # Errors
    /// As for [`read_by`](Stream::read_by).
    pub fn wait_readable(&self, deadline: Deadline) -> io::Result<()> {
        self.source.wait_ready(Interest::Read, deadline)
    }

    /// Shuts down one direction or both (shutdown(2)): the peer reads the end of the stream.
    ///
    /// # Errors
    /// `NotConnected` when the peer has disconnected.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket().shutdown(how)
    }

    /// Closes the connection for all its users: their waits fail with `EBADF`.
    pub fn close(&self) {
        self.source.close();
    }

    /// Returns the peer's address.
    pub fn peer_addr(&self) -> &Addr {
        &self.peer
    }

    /// Returns the local address.
    ///
    /// # Errors
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<Addr> {
        Ok(Addr::from_sockaddr(&self.socket().local_addr()?))
    }

    /// Sets after how long a silent peer, whose machine or network has failed, counts as dead: reads
    /// and writes fail with `ETIMEDOUT` once sent data was not acknowledged for `timeout`, and an idle
    /// connection is probed after as long (`TCP_USER_TIMEOUT` and `SO_KEEPALIVE`, tcp(7); in whole
    /// seconds, at least one). `None` leaves it to the kernel: a quarter of an hour, or never. Has no
    /// effect on Unix sockets.
    ///
    /// # Errors
    /// Those of setsockopt(2).
    pub fn set_peer_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if matches!(self.peer, Addr::Unix(_)) {
            return Ok(());
        }
        let socket = self.socket();
        let timeout = timeout.map(|timeout| timeout.max(Duration::from_secs(1)));
        socket.set_tcp_user_timeout(timeout)?;
        let Some(timeout) = timeout else { return socket.set_keepalive(false) };
        let keepalive = TcpKeepalive::new()
            .with_time(timeout)
            .with_interval((timeout / 3).max(Duration::from_secs(1)));
        socket.set_tcp_keepalive(&keepalive)
    }

    /// Sets how long [`Read::read`] waits; `None`, the default, without limit.
    pub fn set_read_timeout(&self, timeout: Option<Duration>) {
        self.timeouts.lock().unwrap_or_else(|error| error.into_inner()).read = timeout;
    }

    /// Sets how long [`Write::write`] waits; `None`, the default, without limit.
    pub fn set_write_timeout(&self, timeout: Option<Duration>) {
        self.timeouts.lock().unwrap_or_else(|error| error.into_inner()).write = timeout;
    }

    fn timeouts(&self) -> Timeouts {
        *self.timeouts.lock().unwrap_or_else(|error| error.into_inner())
    }

    fn socket(&self) -> SockRef<'_> {
        SockRef::from(self)
    }
}

impl Read for &Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.read_by(buf, self.timeouts().read.into())
    }
}

impl Write for &Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.write_by(buf, self.timeouts().write.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Stream {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        (&*self).read(buf)
    }
}

impl Write for Stream {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        (&*self).write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.fd()
    }
}

fn wait_connected(source: &Source, deadline: Deadline) -> io::Result<()> {
    source.run(Interest::Write, deadline, |fd| {
        let socket = SockRef::from(&fd);
        if let Some(error) = socket.take_error()? {
            return Err(error);
        }
        // Without an error and without a peer, the connect is still in progress.
        match socket.peer_addr() {
            Ok(_) => Ok(()),
            Err(error) if error.raw_os_error() == Some(libc::ENOTCONN) => {
                Err(io::ErrorKind::WouldBlock.into())
            }
            Err(error) => Err(error),
        }
    })
}

const QUEUE_FULL_PAUSE: Duration = Duration::from_millis(1);
