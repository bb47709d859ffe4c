//! The read buffer of a connection: one read, many frames.

use std::io;

use crate::net::{Scratch, Stream};
use crate::rt::Deadline;

/// The bytes received and not yet consumed. Empty, and without memory of its own, between whole
/// frames: the buffer that is read into belongs to the worker, and a connection borrows it from
/// when its fd is readable until the frames in it are consumed.
pub(in crate::rpc) struct ReadBuffer {
    rest: Vec<u8>,
    missing: Missing,
}

/// The result of parsing the front of the bytes.
pub(in crate::rpc) struct Taken {
    /// Bytes consumed: whole frames.
    pub(in crate::rpc) consumed: usize,
    pub(in crate::rpc) missing: Missing,
}

/// What the remaining bytes lack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(in crate::rpc) enum Missing {
    /// Nothing: they are left for later.
    Nothing,
    /// At least N more bytes, for the frame that they begin; never 0.
    Bytes(usize),
    /// More bytes, of unknown number.
    Some,
}

impl ReadBuffer {
    pub(in crate::rpc) fn new() -> ReadBuffer {
        ReadBuffer { rest: Vec::new(), missing: Missing::Nothing }
    }

    /// Returns a buffer that holds bytes read before.
    pub(in crate::rpc) fn holding(bytes: Vec<u8>) -> ReadBuffer {
        ReadBuffer { rest: bytes, missing: Missing::Nothing }
    }

    /// Whether a partial frame is buffered.
    pub(in crate::rpc) fn is_partial(&self) -> bool {
        !self.rest.is_empty()
    }

    /// Returns the buffered bytes.
    pub(in crate::rpc) fn bytes(&self) -> &[u8] {
        &self.rest
    }

    /// Offers the buffered bytes to `take` again.
    pub(in crate::rpc) fn retake<E>(
        &mut self,
        mut take: impl FnMut(&[u8]) -> Result<Taken, E>,
    ) -> Result<(), E> {
        if self.rest.is_empty() {
            return Ok(());
        }
        let taken = take(&self.rest)?;
        self.missing = taken.missing;
        self.rest.drain(..taken.consumed);
        if self.rest.is_empty() {
            self.rest = Vec::new();
        }
        Ok(())
    }

    /// Waits for bytes, reads them with one system call, and offers them to `take`. Returns the
    /// number read; 0 at the end of the stream.
    pub(in crate::rpc) fn read<E: From<io::Error>>(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
        mut take: impl FnMut(&[u8]) -> Result<Taken, E>,
    ) -> Result<usize, E> {
        if let Missing::Bytes(missing) = self.missing
            && missing > Scratch::SIZE
            && self.is_partial()
        {
            return self.read_large(stream, deadline, missing, take);
        }
        let (scratch, count) = stream.read_lazily(deadline, Scratch::borrow)?;
        self.offer(&scratch[..count], &mut take)?;
        Ok(count)
    }

    fn offer<E>(
        &mut self,
        mut fresh: &[u8],
        take: &mut impl FnMut(&[u8]) -> Result<Taken, E>,
    ) -> Result<(), E> {
        // First complete the frame in `rest`: its head, then, once that is known, all of it.
        while !self.rest.is_empty() {
            match self.missing {
                Missing::Bytes(missing) if missing > fresh.len() => {
                    self.rest.extend_from_slice(fresh);
                    self.missing = Missing::Bytes(missing - fresh.len());
                    return Ok(());
                }
                Missing::Bytes(missing) => {
                    let (front, back) = fresh.split_at(missing);
                    self.rest.extend_from_slice(front);
                    fresh = back;
                }
                Missing::Nothing | Missing::Some => {
                    self.rest.extend_from_slice(fresh);
                    return self.retake(take);
                }
            }
            self.retake(&mut *take)?;
        }
        if fresh.is_empty() {
            return Ok(());
        }
        let taken = take(fresh)?;
        self.missing = taken.missing;
        self.rest.extend_from_slice(&fresh[taken.consumed..]);
        Ok(())
    }

    /// Reads a frame larger than the worker's buffer in place. Memory grows with the bytes
    /// received, not with the size announced.
    fn read_large<E: From<io::Error>>(
        &mut self,
        stream: &Stream,
        deadline: Deadline,
        missing: usize,
        take: impl FnMut(&[u8]) -> Result<Taken, E>,
    ) -> Result<usize, E> {
        let have = self.rest.len();
        let room = missing.min(have.max(Scratch::SIZE));
        self.rest.reserve_exact(room);
        self.rest.resize(have + room, 0);
        let result = stream.read_by(&mut self.rest[have..], deadline);
        let count = *result.as_ref().unwrap_or(&0);
        self.rest.truncate(have + count);
        result?;
        match missing - count {
            0 => self.retake(take)?,
            missing => self.missing = Missing::Bytes(missing),
        }
        Ok(count)
    }
}

/// A read that returns this many bytes may have left some unread.
pub(in crate::rpc) const FULL_READ: usize = Scratch::SIZE;
