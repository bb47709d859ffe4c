//! Waiting for signals: temporary handlers and a self-pipe.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::io::rawfd::{Interest, wait_fd};
use super::time::Deadline;
use crate::sys::syscall;

/// While it lives, certain signals are written to a pipe; when dropped, it restores the program's own
/// handlers. There is at most one at a time. Works without the runtime.
pub(crate) struct SignalWatch {
    pipe: Arc<Pipe>,
    before: Vec<(libc::c_int, libc::sigaction)>,
}

/// Ends [`SignalWatch::wait`] without a signal.
pub(crate) struct SignalStopper(Arc<Pipe>);

impl SignalWatch {
    /// Installs handlers for `signals`.
    ///
    /// # Errors
    /// `ResourceBusy` while another watch exists.
    pub(crate) fn start(signals: &[libc::c_int]) -> io::Result<SignalWatch> {
        if ACTIVE.swap(true, Ordering::Acquire) {
            return Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another part of this process already waits for these signals",
            ));
        }
        let mut watch = match Pipe::get() {
            Ok(pipe) => SignalWatch { pipe, before: Vec::new() },
            Err(error) => {
                ACTIVE.store(false, Ordering::Release);
                return Err(error);
            }
        };
        while watch.pipe.read()?.is_some() {}
        for &signal in signals {
            let before = install(signal)?;
            watch.before.push((signal, before));
        }
        Ok(watch)
    }

    pub(crate) fn stopper(&self) -> SignalStopper {
        SignalStopper(self.pipe.clone())
    }

    /// Waits for one of the signals and returns its number, or 0 after [`SignalStopper::tell`].
    /// Suspends or blocks the caller.
    ///
    /// # Errors
    /// As for [`wait_fd`].
    pub(crate) fn wait(&self, deadline: Deadline) -> io::Result<libc::c_int> {
        loop {
            if let Some(signal) = self.pipe.read()? {
                return Ok(signal.into());
            }
            wait_fd(self.pipe.read.as_raw_fd(), Interest::Read, deadline)?;
        }
    }

    /// Ends the watch and lets the process ignore the signals from now on.
    pub(crate) fn end_ignoring(mut self) {
        for (_, action) in &mut self.before {
            action.sa_sigaction = libc::SIG_IGN;
            action.sa_flags = 0;
        }
    }
}

impl Drop for SignalWatch {
    fn drop(&mut self) {
        for (signal, before) in &self.before {
            // `before` came from sigaction itself, for this very signal.
            let _ = syscall!(sigaction(*signal, before, std::ptr::null_mut()));
        }
        ACTIVE.store(false, Ordering::Release);
    }
}

impl SignalStopper {
    pub(crate) fn tell(&self) {
        write_byte(self.0.write.as_raw_fd(), 0);
    }
}

/// Created once per process and never closed: a handler that was interrupted may still write to it. A
/// forked child creates its own, so that its signals do not reach its parent.
struct Pipe {
    owner: u32,
    read: OwnedFd,
    write: OwnedFd,
}

impl Pipe {
    fn get() -> io::Result<Arc<Pipe>> {
        let owner = std::process::id();
        let mut current = PIPE.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pipe) = current.as_ref().filter(|pipe| pipe.owner == owner) {
            return Ok(pipe.clone());
        }
        let mut fds = [0; 2];
        // `fds` is an array of two.
        syscall!(pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC | libc::O_NONBLOCK))?;
        // SAFETY: a new fd that nobody else owns.
        let read = unsafe { OwnedFd::from_raw_fd(fds[0]) };
        // SAFETY: as above.
        let write = unsafe { OwnedFd::from_raw_fd(fds[1]) };
        let pipe = Arc::new(Pipe { owner, read, write });
        WRITE_FD.store(pipe.write.as_raw_fd(), Ordering::Release);
        *current = Some(pipe.clone());
        Ok(pipe)
    }

    /// Reads the next byte, if there is one.
    fn read(&self) -> io::Result<Option<u8>> {
        let mut byte = 0u8;
        // `byte` is writable for one byte.
        match syscall!(read(self.read.as_raw_fd(), (&raw mut byte).cast(), 1)) {
            Ok(_) => Ok(Some(byte)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Installs our handler and returns the program's action.
fn install(signal: libc::c_int) -> io::Result<libc::sigaction> {
    // SAFETY: all zeroes is a valid sigaction: no flags, an empty mask, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let mut before = action;
    let handler: extern "C" fn(libc::c_int) = on_signal;
    action.sa_sigaction = handler as libc::sighandler_t;
    action.sa_flags = libc::SA_RESTART;
    // Both point to valid sigactions; the handler makes one async-signal-safe call.
    syscall!(sigaction(signal, &action, &mut before))?;
    Ok(before)
}

extern "C" fn on_signal(signal: libc::c_int) {
    // SAFETY: always safe to call.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: the location is valid for as long as the thread runs.
    let before = unsafe { errno.read() };
    write_byte(WRITE_FD.load(Ordering::Acquire), signal as u8);
    // SAFETY: as above.
    unsafe { errno.write(before) };
}

fn write_byte(fd: libc::c_int, byte: u8) {
    // One byte from a live variable. A full pipe wakes the reader anyway.
    let _ = syscall!(write(fd, (&raw const byte).cast(), 1));
}

static ACTIVE: AtomicBool = AtomicBool::new(false);
static PIPE: Mutex<Option<Arc<Pipe>>> = Mutex::new(None);
static WRITE_FD: AtomicI32 = AtomicI32::new(-1);
