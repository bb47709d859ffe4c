//! The HTTP-like head in front of each frame.

use crate::wire::Error;

/// The fields of a head. Absent fields are empty, or `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Head<'a> {
    /// The head's own length on the wire, the empty line included.
    pub(crate) len: usize,
    /// Bytes that follow the head.
    pub(crate) body_len: usize,
    /// A GET: what follows is not for the method.
    pub(crate) is_get: bool,
    /// The method called: `package.Service.Method`.
    pub(crate) op: &'a str,
    /// The call's id, as received.
    pub(crate) cli_id: &'a str,
    /// The type of a pushed message.
    pub(crate) mes_name: &'a str,
    /// The value of `fastrpc_ver`.
    pub(crate) version: &'a str,
    /// The call's status; 0, or absent, is success.
    pub(crate) status: &'a str,
    pub(crate) err: &'a str,
    pub(crate) timeout_ms: &'a str,
    pub(crate) trace_id: &'a str,
}

/// The result of parsing the front of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Parsed<'a> {
    Head(Head<'a>),
    /// The empty line that ends the head has not come yet.
    Incomplete,
}

/// The longest head taken, in bytes.
const MAX_HEAD: usize = 8 << 10;

impl<'a> Head<'a> {
    /// Reads the head that `input` begins with.
    ///
    /// As in the old library: lines may end with LF alone; names are compared exactly, and the
    /// first of several fields counts; after a line without `": "` no further fields are read;
    /// `Content-Length` is found whatever its case and wherever it is in the head. Unlike there,
    /// lengths that contradict each other, or are not numbers, are an error.
    pub(crate) fn parse(input: &'a [u8]) -> Result<Parsed<'a>, Error> {
        if !begins_like_a_head(input) {
            return Err(Error::magic());
        }
        let window = &input[..input.len().min(MAX_HEAD)];
        let mut head = Head::default();
        let mut length = None;
        let (mut at, mut is_first, mut fields_end) = (0, true, false);
        while let Some(end) = window[at..].iter().position(|&byte| byte == b'\n') {
            let line = &window[at..at + end];
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            at += end + 1;
            if line.is_empty() {
                head.len = at;
                head.body_len = length.unwrap_or(0);
                return Ok(Parsed::Head(head));
            }
            if is_first {
                head.is_get = line.starts_with(b"GET ");
                is_first = false;
                continue;
            }
            read_length(line, &mut length)?;
            fields_end = fields_end || !head.read_field(line);
        }
        if window.len() == MAX_HEAD { Err(Error::head_too_long()) } else { Ok(Parsed::Incomplete) }
    }

    /// Reads one line. Returns false if it is not a field.
    fn read_field(&mut self, line: &'a [u8]) -> bool {
        let Some(colon) = line.windows(2).position(|pair| pair == b": ") else { return false };
        let place = match &line[..colon] {
            b"op" => &mut self.op,
            b"cli_id" => &mut self.cli_id,
            b"mes_name" => &mut self.mes_name,
            b"fastrpc_ver" => &mut self.version,
            b"status" => &mut self.status,
            b"err" => &mut self.err,
            b"timeout_ms" => &mut self.timeout_ms,
            b"trace_id" => &mut self.trace_id,
            _ => return true,
        };
        // A value that is not valid UTF-8 counts as absent.
        if place.is_empty() {
            *place = std::str::from_utf8(&line[colon + 2..]).unwrap_or_default();
        }
        true
    }

    /// Returns the call's id.
    pub(crate) fn id(&self) -> Option<u32> {
        digits(self.cli_id.as_bytes()).and_then(|id| u32::try_from(id).ok())
    }

    /// Whether the peer reads the fields that the original frames lack.
    pub(crate) fn is_version_2(&self) -> bool {
        digits(self.version.as_bytes()).is_some_and(|version| version >= 2)
    }
}

/// Whether `input` begins, as far as it goes, as frames do.
pub(crate) fn begins_like_a_head(input: &[u8]) -> bool {
    [&b"POST "[..], b"GET ", b"HTTP/"].iter().any(|start| {
        let known = input.len().min(start.len());
        input[..known] == start[..known]
    })
}

fn read_length(line: &[u8], length: &mut Option<usize>) -> Result<(), Error> {
    const NAME: &[u8] = b"content-length:";
    let Some((name, value)) = line.split_at_checked(NAME.len()) else { return Ok(()) };
    if !name.eq_ignore_ascii_case(NAME) {
        return Ok(());
    }
    let value = digits(value.trim_ascii()).and_then(|value| usize::try_from(value).ok());
    let value = value.ok_or_else(Error::length)?;
    match length.replace(value) {
        Some(before) if before != value => Err(Error::length()),
        _ => Ok(()),
    }
}

/// Parses a number that consists of digits alone.
pub(super) fn digits(text: &[u8]) -> Option<u64> {
    if text.is_empty() {
        return None;
    }
    text.iter().try_fold(0u64, |number, byte| {
        let digit = byte.is_ascii_digit().then(|| u64::from(byte - b'0'))?;
        number.checked_mul(10)?.checked_add(digit)
    })
}
