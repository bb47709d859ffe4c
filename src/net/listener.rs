//! Listening sockets.

use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use socket2::{SockRef, Socket, Type};

use super::{Addr, Stream};
use crate::rt::{self, Deadline, Interest, Source};

/// The options of a [`Listener`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ListenOptions {
    /// Connections that may wait to be accepted; 4096 by default. The kernel caps it at
    /// net.core.somaxconn.
    pub backlog: i32,
    /// `SO_REUSEPORT`: several listeners, also of other processes, share the port, and the kernel
    /// spreads the connections (socket(7)). Default: false.
    pub reuse_port: bool,
    /// Whether an IPv6 listener accepts IPv4 connections as well; false by default.
    pub dual_stack: bool,
}

impl Default for ListenOptions {
    fn default() -> Self {
        ListenOptions { backlog: 4096, reuse_port: false, dual_stack: false }
    }
}

/// A socket that accepts connections.
///
/// ```
/// use fastrpc::net::{ListenOptions, Listener, Stream};
/// use fastrpc::rt::{self, Deadline};
/// use std::time::Duration;
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let listener = Listener::bind(&"127.0.0.1:0".parse()?, &ListenOptions::new())?;
/// let addr = listener.local_addr().clone();
/// let deadline = Deadline::after(Duration::from_secs(5));
/// let server = rt::spawn(move || {
///     let stream = listener.accept_by(deadline)?; // suspends this coroutine alone
///     stream.write_all_by(b"hello", deadline)
/// })?;
/// let stream = Stream::connect_by(&addr, deadline)?;
/// let mut greeting = [0; 5];
/// stream.read_exact_by(&mut greeting, deadline)?;
/// assert_eq!(&greeting, b"hello");
/// server.join()??;
/// # Ok(())
/// # }
/// ```
pub struct Listener {
    source: Source,
    local: Addr,
    /// A spare fd for when the process has no others: it is freed to accept a connection and close it,
    /// so that the peer sees the end and the queue does not stay full.
    reserve: Mutex<Option<File>>,
    shed: AtomicU64,
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").field("local_addr", &self.local).finish_non_exhaustive()
    }
}

impl ListenOptions {
    /// Returns the defaults.
    pub fn new() -> ListenOptions {
        ListenOptions::default()
    }

    setters! {
        backlog: i32,
        reuse_port: bool,
        dual_stack: bool,
    }
}

impl Listener {
    /// Binds and listens. Port 0 asks the kernel for a free one; see
    /// [`local_addr`](Listener::local_addr). A Unix socket that a dead process left behind at the
    /// path is replaced.
    ///
    /// # Errors
    /// Those of socket(2), bind(2) and listen(2).
    pub fn bind(addr: &Addr, options: &ListenOptions) -> io::Result<Listener> {
        let socket = bind_socket(addr, options)?;
        socket.listen(options.backlog)?;
        Listener::from_fd(socket.into())
    }

    /// Takes ownership of a socket that already listens.
    ///
    /// # Errors
    /// `InvalidInput` for an fd that does not listen.
    pub fn from_fd(fd: OwnedFd) -> io::Result<Listener> {
        let socket = SockRef::from(&fd);
        if !socket.is_listener()? {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the fd does not listen"));
        }
        let local = Addr::from_sockaddr(&socket.local_addr()?);
        let reserve = Mutex::new(File::open("/dev/null").ok());
        Ok(Listener { source: Source::new(fd)?, local, reserve, shed: AtomicU64::new(0) })
    }

    /// Returns the address it is bound to, with the port that the kernel chose for 0.
    pub fn local_addr(&self) -> &Addr {
        &self.local
    }

    /// Waits for a connection without limit.
    ///
    /// # Errors
    /// As for [`accept_by`](Listener::accept_by).
    pub fn accept(&self) -> io::Result<Stream> {
        self.accept_by(Deadline::NEVER)
    }

    /// Waits for a connection until `deadline`. Suspends a coroutine and blocks a plain thread.
    ///
    /// When the process or the system has no fds left, connections are accepted and closed at once,
    /// and the call goes on waiting.
    ///
    /// # Errors
    /// `ETIMEDOUT`, `ECANCELED`, `EBADF` after [`close`](Listener::close), or what accept(2)
    /// reports of the listener itself.
    pub fn accept_by(&self, deadline: Deadline) -> io::Result<Stream> {
        loop {
            match self.source.run(Interest::Read, deadline, accept) {
                Ok(fd) => return Stream::accepted(fd, &self.local),
                Err(error) if is_connection_error(&error) => {}
                Err(error) if is_exhaustion(&error) => self.shed(&error, deadline)?,
                Err(error) => return Err(error),
            }
        }
    }

    /// Stops listening: pending `accept` calls fail with `EBADF`, and new connections are refused.
    pub fn close(&self) {
        self.source.close();
    }

    /// Returns the number of connections that were closed at once because no fd was left.
    pub fn shed_count(&self) -> u64 {
        self.shed.load(Ordering::Relaxed)
    }

    /// Without an fd for the next connection: frees the spare one to accept and close it.
    fn shed(&self, error: &io::Error, deadline: Deadline) -> io::Result<()> {
        let mut reserve = self.reserve.lock().unwrap_or_else(PoisonError::into_inner);
        if reserve.take().is_some() {
            let taken = accept(self.source.fd());
            drop(taken);
            *reserve = File::open("/dev/null").ok();
            if reserve.is_some() {
                let before = self.shed.fetch_add(1, Ordering::Relaxed);
                if before.is_power_of_two() || before == 0 {
                    log::warn!("a connection to {} was closed: {error}", self.local);
                }
                return Ok(());
            }
        } else {
            *reserve = File::open("/dev/null").ok();
        }
        drop(reserve);
        // Nothing can be closed either: the queue must wait, and we with it.
        if deadline.has_passed() {
            return Err(io::Error::from_raw_os_error(libc::ETIMEDOUT));
        }
        rt::sleep(EXHAUSTION_PAUSE)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.source.fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.source.close();
    }
}

/// Creates a socket that is bound and does not listen yet.
pub(super) fn bind_socket(addr: &Addr, options: &ListenOptions) -> io::Result<Socket> {
    let socket = Socket::new(addr.domain(), Type::STREAM.nonblocking().cloexec(), None)?;
    match addr {
        Addr::Inet(inet) => {
            socket.set_reuse_address(true)?;
            if inet.is_ipv6() {
                socket.set_only_v6(!options.dual_stack)?;
            }
        }
        Addr::Unix(path) => remove_stale(path),
    }
    if options.reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.bind(&addr.to_sockaddr()?)?;
    Ok(socket)
}

fn accept(fd: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let flags = libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
    let (addr, length) = (std::ptr::null_mut(), std::ptr::null_mut());
    // Null pointers: no address wanted.
    let fd = crate::sys::syscall!(accept4(fd.as_raw_fd(), addr, length, flags))?;
    // SAFETY: a new fd that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether the connection failed before it was accepted, not the listener (accept(2)).
fn is_connection_error(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ECONNABORTED
                | libc::EPROTO
                | libc::ENETDOWN
                | libc::ENOPROTOOPT
                | libc::EHOSTDOWN
                | libc::ENONET
                | libc::EHOSTUNREACH
                | libc::ENETUNREACH
        )
    )
}

fn is_exhaustion(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

/// Removes the socket at `path` if no process listens on it.
fn remove_stale(path: &Path) {
    let is_socket = path.symlink_metadata().is_ok_and(|meta| meta.file_type().is_socket());
    if is_socket {
        let refused = std::os::unix::net::UnixStream::connect(path)
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if refused {
            // If this fails, bind reports the address as in use.
            let _ = std::fs::remove_file(path);
        }
    }
}

const EXHAUSTION_PAUSE: Duration = Duration::from_millis(50);
