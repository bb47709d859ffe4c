//! The write queue of a connection: many appends, few writes.

use std::cell::{Cell, RefCell};
use std::io;
use std::sync::Arc;

use std::time::Duration;

use crate::net::{Stream, recycle, spare};
use crate::rt::Deadline;

/// The frames to be written to one peer. Home worker only.
///
/// The caller that appends the first frame starts a writer: a coroutine that calls
/// [`flush`](WriteQueue::flush). It runs after the coroutines that were ready before it, so that
/// what they append goes out with the same write. While it waits for the peer to take more, appends
/// accumulate for its next write.
///
/// A long round does not wait for its end: each time `EARLY_FRAMES` frames or `EARLY_BYTES`
/// bytes have accumulated, the caller that appends writes them itself. The write saves more than it
/// costs: the peer starts on these frames while we produce the others, and in a closed loop neither
/// side goes to sleep between rounds.
pub(in crate::rpc) struct WriteQueue {
    stream: RefCell<Option<Arc<Stream>>>,
    buffer: RefCell<Vec<u8>>,
    /// Frames in `buffer`.
    frames: Cell<usize>,
    /// Bytes taken from `buffer` for the write in progress and not yet passed to the kernel.
    writing: Cell<usize>,
    /// A writer was requested and has not ended.
    active: Cell<bool>,
    /// Nothing is written any more.
    shut: Cell<bool>,
    written: Cell<u64>,
}

/// Whether the caller that appended must start a writer, which calls [`flush`](WriteQueue::flush).
#[must_use = "without a writer the bytes stay in the queue"]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::rpc) enum Writer {
    Start,
    /// A writer runs, or nothing was appended.
    NotNeeded,
}

impl WriteQueue {
    pub(in crate::rpc) fn new() -> WriteQueue {
        WriteQueue {
            stream: RefCell::new(None),
            buffer: RefCell::new(Vec::new()),
            frames: Cell::new(0),
            writing: Cell::new(0),
            active: Cell::new(false),
            shut: Cell::new(false),
            written: Cell::new(0),
        }
    }

    /// Sets the stream to write to.
    pub(in crate::rpc) fn attach(&self, stream: Arc<Stream>) {
        self.stream.replace(Some(stream));
    }

    /// Appends the frame that `encode` writes, and returns its result.
    #[inline]
    pub(in crate::rpc) fn append<R>(&self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> (R, Writer) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = spare();
        }
        let result = encode(&mut buffer);
        if self.shut.get() {
            buffer.clear();
        }
        let writer = self.writer_for(&buffer);
        let frames = self.frames.get() + 1;
        self.frames.set(frames);
        if frames >= EARLY_FRAMES || buffer.len() >= EARLY_BYTES {
            self.write_early(&mut buffer);
        }
        (result, writer)
    }

    /// Writes what can be written without waiting, unless a write is in progress.
    fn write_early(&self, buffer: &mut Vec<u8>) {
        let stream = self.stream.borrow();
        let Some(stream) = stream.as_ref() else { return };
        if self.writing.get() > 0 {
            return;
        }
        // Errors are left to the writer, which will encounter them too.
        if let Ok(count) = stream.try_write(buffer) {
            buffer.drain(..count);
            self.written.set(self.written.get() + count as u64);
        }
        self.frames.set(0);
    }

    /// Appends like [`append`](WriteQueue::append), but bytes that must not be sent yet: requests
    /// no writer.
    pub(in crate::rpc) fn hold<R>(&self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        encode(&mut self.buffer.borrow_mut())
    }

    /// Releases held bytes for writing.
    pub(in crate::rpc) fn release(&self) -> Writer {
        self.writer_for(&self.buffer.borrow())
    }

    #[inline]
    fn writer_for(&self, buffer: &[u8]) -> Writer {
        let starts = !buffer.is_empty() && !self.active.replace(true);
        if starts { Writer::Start } else { Writer::NotNeeded }
    }

    /// Returns the number of bytes appended and not yet passed to the kernel.
    #[inline]
    pub(in crate::rpc) fn unsent(&self) -> usize {
        self.buffer.borrow().len() + self.writing.get()
    }

    /// Whether there are neither bytes nor a writer.
    pub(in crate::rpc) fn is_idle(&self) -> bool {
        !self.active.get() && self.buffer.borrow().is_empty()
    }

    /// Shuts the queue: drops unsent bytes, and everything that is appended later.
    pub(in crate::rpc) fn shut(&self) {
        self.shut.set(true);
        self.stream.replace(None);
        recycle(self.buffer.take());
    }

    pub(in crate::rpc) fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// Returns the bytes written since the last call.
    pub(in crate::rpc) fn take_written(&self) -> u64 {
        self.written.take()
    }

    /// Writes until nothing is left, calling `progress` after each round: the writer's body. Fails
    /// when the peer has closed the connection or takes nothing for `stall`; then all further bytes
    /// are dropped.
    pub(in crate::rpc) fn flush(
        &self,
        stall: Duration,
        mut progress: impl FnMut(),
    ) -> io::Result<()> {
        let Some(stream) = self.stream.borrow().clone() else {
            self.active.set(false);
            return Ok(());
        };
        loop {
            let bytes = self.buffer.take();
            self.frames.set(0);
            if bytes.is_empty() {
                recycle(bytes);
                self.active.set(false);
                return Ok(());
            }
            let mut sent = 0;
            while sent < bytes.len() && !self.shut.get() {
                self.writing.set(bytes.len() - sent);
                match stream.write_by(&bytes[sent..], Deadline::after(stall)) {
                    Ok(count) => sent += count,
                    Err(error) => {
                        self.writing.set(0);
                        self.active.set(false);
                        self.shut();
                        return Err(error);
                    }
                }
            }
            self.written.set(self.written.get() + sent as u64);
            self.writing.set(0);
            recycle(bytes);
            progress();
        }
    }
}

/// Enough for a write of its own. Measured with 100 calls in flight on one connection, both sides
/// ours: 0.6 million calls per second without early writes, 1.4 million with these.
const EARLY_FRAMES: usize = 24;
const EARLY_BYTES: usize = 64 << 10;
