//! Finds the end of a head, looking at each byte once.

use memchr::memchr3;

use super::{Error, Limits};

/// Searches for the end of a head, and remembers how far it has searched: bytes that arrive one by
/// one are examined once.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Scan {
    /// The bytes before this are known to be whole lines and the beginning of another.
    at: usize,
    line_start: usize,
    lines: usize,
}

impl Scan {
    /// Returns the length of the head that `input` begins with, its empty line included; `None` if
    /// it is incomplete. `input` must begin with the input of the previous call.
    pub(crate) fn find(&mut self, input: &[u8], limits: &Limits) -> Result<Option<usize>, Error> {
        let window = &input[..input.len().min(limits.head)];
        while let Some(next) = memchr3(b'\r', b'\n', 0, &window[self.at..]) {
            let at = self.at + next;
            // Before the byte is examined: in smaller pieces it would not have come so far.
            if self.lines == 0 && at - self.line_start > limits.target + AROUND_TARGET {
                return Err(Error::target_too_long());
            }
            match (window[at], window.get(at + 1)) {
                (b'\r', Some(b'\n')) => {}
                (b'\r', None) if window.len() < limits.head => {
                    self.at = at;
                    return Ok(None);
                }
                (b'\r', None) => break,
                (b'\r', _) => return Err(Error::malformed("a CR without its LF")),
                (b'\n', _) => return Err(Error::malformed("a LF without its CR")),
                _ => return Err(Error::malformed("a NUL")),
            }
            if at == self.line_start {
                return Ok(Some(at + 2));
            }
            self.lines += 1;
            if self.lines > limits.fields + 1 {
                return Err(Error::too_many_fields());
            }
            self.at = at + 2;
            self.line_start = self.at;
        }
        self.at = self.at.max(window.len());
        if self.lines == 0 && window.len() > limits.target + AROUND_TARGET {
            return Err(Error::target_too_long());
        }
        if window.len() == limits.head { Err(Error::head_too_large()) } else { Ok(None) }
    }

    /// Returns the number of lines seen, without the empty one at the end.
    pub(super) fn lines(&self) -> usize {
        self.lines
    }
}

/// Room in a request line for everything but its target: a method and a version.
const AROUND_TARGET: usize = 64;
