//! Read buffer and write queue: many requests with one read, many responses with one write.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::net::{Scratch, Stream, recycle, spare};
use crate::rt::{self, Deadline, Waiter, Waker};

/// Bytes that came and were not yet taken. Holds no memory when there are none.
pub(super) struct Input {
    bytes: Vec<u8>,
    at: usize,
    /// Bytes read since this was last asked.
    read: u64,
}

impl Input {
    pub(super) fn new(bytes: Vec<u8>) -> Input {
        Input { bytes, at: 0, read: 0 }
    }

    #[inline]
    pub(super) fn unread(&self) -> &[u8] {
        &self.bytes[self.at..]
    }

    /// The next `count` of them are done with.
    pub(super) fn take(&mut self, count: usize) {
        self.at += count;
        if self.at == self.bytes.len() {
            recycle(std::mem::take(&mut self.bytes));
            self.at = 0;
        }
    }

    /// Reads what there is; 0 is the end of the stream.
    pub(super) fn fill(&mut self, stream: &Stream, deadline: Deadline) -> io::Result<usize> {
        let (scratch, count) = stream.read_lazily(deadline, Scratch::borrow)?;
        if self.bytes.capacity() == 0 {
            self.bytes = spare();
        }
        self.bytes.drain(..self.at);
        self.at = 0;
        self.bytes.extend_from_slice(&scratch[..count]);
        self.read += count as u64;
        Ok(count)
    }

    pub(super) fn take_read(&mut self) -> u64 {
        std::mem::take(&mut self.read)
    }
}

/// The write queue. May be used from anywhere; what is appended leaves in that order.
pub(super) struct Out {
    stream: Arc<Stream>,
    stall: Duration,
    state: Mutex<State>,
    /// A response is under way: nothing else may be said.
    responding: AtomicBool,
    written: AtomicU64,
}

#[derive(Default)]
struct State {
    buffer: Vec<u8>,
    /// Somebody writes; bytes that are appended meanwhile are for a next write.
    is_writing: bool,
    /// A coroutine was started that will flush.
    flushes_soon: bool,
    failed: bool,
    waiting: Vec<Waker>,
}

impl Out {
    pub(super) fn new(stream: Arc<Stream>, stall: Duration) -> Out {
        let (responding, written) = (AtomicBool::new(false), AtomicU64::new(0));
        Out { stream, stall, state: Mutex::default(), responding, written }
    }

    pub(super) fn append(&self, encode: impl FnOnce(&mut Vec<u8>)) {
        let mut state = self.lock();
        if state.buffer.capacity() == 0 {
            state.buffer = spare();
        }
        encode(&mut state.buffer);
        if state.failed {
            state.buffer.clear();
        }
    }

    /// Bytes that have not been handed to the kernel, those of a write under way not counted.
    pub(super) fn unsent(&self) -> usize {
        self.lock().buffer.len()
    }

    /// Writes all that was appended. May suspend.
    ///
    /// # Errors
    /// The peer is gone or takes nothing; from then on all is dropped.
    pub(super) fn flush(&self) -> io::Result<()> {
        while let Some(bytes) = self.next_write()? {
            let result = self.write(&bytes);
            recycle(bytes);
            let mut state = self.lock();
            state.is_writing = false;
            state.failed |= result.is_err();
            for waker in std::mem::take(&mut state.waiting) {
                waker.wake();
            }
            drop(state);
            result?;
        }
        Ok(())
    }

    /// What to write next, once nobody else writes.
    fn next_write(&self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let mut state = self.lock();
            if state.failed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            if !state.is_writing {
                if state.buffer.is_empty() {
                    return Ok(None);
                }
                state.is_writing = true;
                return Ok(Some(std::mem::take(&mut state.buffer)));
            }
            let waiter = Waiter::new();
            state.waiting.push(waiter.waker());
            drop(state);
            waiter.wait(Deadline::NEVER)?;
        }
    }

    fn write(&self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let count = self.stream.write_by(bytes, Deadline::after(self.stall))?;
            self.written.fetch_add(count as u64, Ordering::Relaxed);
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Flushes when the calling coroutine waits the next time, if it has not done so by then; a
    /// plain thread flushes now.
    pub(super) fn flush_soon(self: &Arc<Self>) {
        {
            let mut state = self.lock();
            if state.buffer.is_empty() || state.flushes_soon {
                return;
            }
            state.flushes_soon = rt::is_coroutine();
        }
        if !rt::is_coroutine() {
            // An error is for whoever writes next.
            return drop(self.flush());
        }
        let out = self.clone();
        let spawned = rt::spawn_detached("http writer", move || {
            out.lock().flushes_soon = false;
            // An error is for the connection, which meets it too.
            let _ = out.flush();
        });
        if spawned.is_err() {
            self.lock().flushes_soon = false;
        }
    }

    pub(super) fn set_responding(&self, responding: bool) {
        self.responding.store(responding, Ordering::Relaxed);
    }

    pub(super) fn is_responding(&self) -> bool {
        self.responding.load(Ordering::Relaxed)
    }

    pub(super) fn has_failed(&self) -> bool {
        self.lock().failed
    }

    /// Bytes written since this was last asked.
    pub(super) fn take_written(&self) -> u64 {
        self.written.swap(0, Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
