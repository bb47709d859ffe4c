//! The way out of a connection: many appends, few writes.

use std::cell::{Cell, RefCell};
use std::io;
use std::time::Duration;

use crate::net::Stream;
use crate::rt::Deadline;

/// Frames on their way to one peer. Home worker only.
///
/// Whoever appends the first frame starts a writer: a coroutine that calls [`flush`](Out::flush).
/// It runs after the coroutines that were ready before it, so that what they append goes out with
/// the same write. While it waits for the peer to take more, appends gather for its next write.
pub(super) struct Out {
    buffer: RefCell<Vec<u8>>,
    /// Bytes taken from `buffer` for the write under way and not yet handed to the kernel.
    writing: Cell<usize>,
    /// A writer was asked for and has not ended.
    active: Cell<bool>,
    /// Nothing goes out any more.
    shut: Cell<bool>,
    written: Cell<u64>,
}

impl Out {
    pub(super) fn new() -> Out {
        Out {
            buffer: RefCell::new(Vec::new()),
            writing: Cell::new(0),
            active: Cell::new(false),
            shut: Cell::new(false),
            written: Cell::new(0),
        }
    }

    /// Appends what `encode` writes and passes on its result. The flag is true if the caller must
    /// start a writer.
    #[inline]
    pub(super) fn append<R>(&self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> (R, bool) {
        let mut buffer = self.buffer.borrow_mut();
        if buffer.capacity() == 0 {
            *buffer = spare();
        }
        let result = encode(&mut buffer);
        if self.shut.get() {
            buffer.clear();
        }
        let start = !buffer.is_empty() && !self.active.replace(true);
        (result, start)
    }

    /// Like [`append`](Out::append), for bytes that cannot go out yet: nobody is asked to write.
    pub(super) fn hold<R>(&self, encode: impl FnOnce(&mut Vec<u8>) -> R) -> R {
        encode(&mut self.buffer.borrow_mut())
    }

    /// Whether held bytes wait for a writer; if so the caller must start it.
    pub(super) fn release(&self) -> bool {
        !self.buffer.borrow().is_empty() && !self.active.replace(true)
    }

    /// Bytes appended and not yet handed to the kernel.
    #[inline]
    pub(super) fn unsent(&self) -> usize {
        self.buffer.borrow().len() + self.writing.get()
    }

    /// Neither bytes nor a writer.
    pub(super) fn is_idle(&self) -> bool {
        !self.active.get() && self.buffer.borrow().is_empty()
    }

    /// Drops what is unsent, and from now on all that is appended.
    pub(super) fn shut(&self) {
        self.shut.set(true);
        recycle(self.buffer.take());
    }

    pub(super) fn is_shut(&self) -> bool {
        self.shut.get()
    }

    /// The bytes written since this was last asked.
    pub(super) fn take_written(&self) -> u64 {
        self.written.take()
    }

    /// The writer's body: writes until there is nothing left, calling `progress` after each round.
    /// Fails when the peer is gone or takes nothing for `stall`; then all further bytes are
    /// dropped.
    pub(super) fn flush(
        &self,
        stream: &Stream,
        stall: Duration,
        mut progress: impl FnMut(),
    ) -> io::Result<()> {
        loop {
            let bytes = self.buffer.take();
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

/// Connections borrow their buffers, so that idle ones hold none.
fn spare() -> Vec<u8> {
    SPARE.with(|spare| spare.borrow_mut().pop()).unwrap_or_else(|| Vec::with_capacity(FIRST_SIZE))
}

fn recycle(mut bytes: Vec<u8>) {
    if bytes.capacity() == 0 || bytes.capacity() > LARGEST_KEPT {
        return;
    }
    bytes.clear();
    SPARE.with(|spare| {
        let mut spare = spare.borrow_mut();
        if spare.len() < MOST_KEPT {
            spare.push(bytes);
        }
    });
}

thread_local! {
    static SPARE: RefCell<Vec<Vec<u8>>> = const { RefCell::new(Vec::new()) };
}

const FIRST_SIZE: usize = 4 << 10;
const LARGEST_KEPT: usize = 256 << 10;
const MOST_KEPT: usize = 16;
