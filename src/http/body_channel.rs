//! A body that arrives while its request is served: the connection's input, lent to the handler.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::io::{Input, Out};
use crate::net::Stream;
use crate::rt::Deadline;
use crate::wire::http1::{BodyDecoder, CONTINUE, Error};

/// A body that comes while its request is served: the connection's input, lent to the request
/// until the answer is complete.
pub(super) struct BodyChannel {
    reader: Mutex<Option<Box<BodyReader>>>,
}

/// See [`BodyChannel`].
pub(super) struct BodyReader {
    pub(super) input: Input,
    pub(super) decoder: BodyDecoder,
    stream: Arc<Stream>,
    out: Arc<Out>,
    timeout: Option<Duration>,
    /// The client waits for 100 Continue.
    pub(super) is_expected: bool,
    /// Why the body cannot be read to its end, and what to answer.
    pub(super) failure: Option<Error>,
}

impl BodyChannel {
    pub(super) fn new(reader: BodyReader) -> Arc<BodyChannel> {
        Arc::new(BodyChannel { reader: Mutex::new(Some(Box::new(reader))) })
    }

    /// Reads some of the body; 0 at its end. May suspend.
    pub(super) fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        // Taken out: no lock is held over a wait.
        let reader = self.lock().take();
        let mut reader =
            reader.ok_or_else(|| io::Error::other("the request is over, or read elsewhere"))?;
        let result = reader.read(buffer);
        *self.lock() = Some(reader);
        result
    }

    /// Looks at the reader, unless it is being read.
    pub(super) fn look<R>(&self, f: impl FnOnce(&BodyReader) -> R) -> Option<R> {
        self.lock().as_deref().map(f)
    }

    /// Takes the input back: the request is over. `None` if somebody reads.
    pub(super) fn reclaim(&self) -> Option<Box<BodyReader>> {
        self.lock().take()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Box<BodyReader>>> {
        self.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl BodyReader {
    pub(super) fn new(
        input: Input,
        decoder: BodyDecoder,
        stream: Arc<Stream>,
        out: Arc<Out>,
        timeout: Option<Duration>,
        is_expected: bool,
    ) -> BodyReader {
        BodyReader { input, decoder, stream, out, timeout, is_expected, failure: None }
    }

    pub(super) fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(failure) = self.failure {
                return Err(io::Error::new(io::ErrorKind::InvalidData, failure));
            }
            let decoded = match self.decoder.decode(self.input.unread(), buffer.len()) {
                Ok(decoded) => decoded,
                Err(error) => return Err(self.fail(error, io::ErrorKind::InvalidData)),
            };
            let data = &self.input.unread()[decoded.data];
            let count = data.len();
            buffer[..count].copy_from_slice(data);
            self.input.take(decoded.consumed);
            if count > 0 || decoded.is_end {
                return Ok(count);
            }
            self.fill()?;
        }
    }

    fn fill(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.is_expected) && !self.out.is_responding() {
            self.out.append(|out| out.extend_from_slice(CONTINUE));
            self.out.flush()?;
        }
        match self.input.fill(&self.stream, self.timeout.into()) {
            Ok(0) => Err(self.fail(Error::cut_short(), io::ErrorKind::UnexpectedEof)),
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => {
                Err(self.fail(Error::timed_out(), io::ErrorKind::TimedOut))
            }
            Err(error) => {
                self.failure = Some(Error::cut_short());
                Err(error)
            }
        }
    }

    fn fail(&mut self, failure: Error, kind: io::ErrorKind) -> io::Error {
        self.failure = Some(failure);
        io::Error::new(kind, failure)
    }

    /// Whether what is left of the body is little enough to be read and thrown away.
    pub(super) fn can_skip(&self) -> bool {
        self.decoder.is_end()
            || (!self.is_expected
                && self.failure.is_none()
                && self.decoder.left().is_none_or(|left| left <= MAX_SKIPPED))
    }

    /// Reads and throws away what is left of the body. False if that is too much.
    pub(super) fn skip(&mut self) -> bool {
        let mut skipped = 0;
        let mut buffer = [0; 4096];
        let deadline = Deadline::after(SKIP_TIME);
        self.timeout = Some(SKIP_TIME);
        while !self.decoder.is_end() {
            match self.read(&mut buffer) {
                Ok(count) if skipped < MAX_SKIPPED && !deadline.has_passed() => {
                    skipped += count as u64;
                }
                _ => return false,
            }
        }
        true
    }
}

/// Bytes of a body that nobody wanted, beyond which it is cheaper to close the connection.
const MAX_SKIPPED: u64 = 256 << 10;
const SKIP_TIME: Duration = Duration::from_secs(5);
