//! Which protocol a connection's first bytes are of.

use super::dispatch::Dispatch;
use super::encode::Format;
use super::frames::Frames;
use super::reader::End;
use crate::rpc::io::{Missing, Taken};
use crate::wire::baidu_std;
use crate::wire::original::{Head, Parsed};

/// Looks at the first bytes, and leaves them all where they are.
pub(super) struct Sniffer {
    /// HTTP is served here.
    has_http: bool,
    found: Option<Sniffed>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sniffed {
    BaiduStd,
    Original,
    Http,
}

impl Sniffer {
    pub(super) fn new(has_http: bool) -> Sniffer {
        Sniffer { has_http, found: None }
    }

    pub(super) fn found(&self) -> Option<Sniffed> {
        self.found
    }

    /// `None` if there are too few bytes to tell, an error if nobody here speaks it.
    fn look(&self, bytes: &[u8]) -> Result<Option<Sniffed>, End> {
        let magic = &baidu_std::Head::MAGIC;
        if bytes.starts_with(magic) {
            return Ok(Some(Sniffed::BaiduStd));
        }
        if magic.starts_with(bytes) {
            return Ok(None);
        }
        // What the original library sends differs from HTTP in its fields alone; but all that it
        // sends begins like this.
        let begins_alike = bytes.iter().zip(ORIGINAL).all(|(a, b)| a == b);
        if self.has_http && !begins_alike {
            return Ok(Some(Sniffed::Http));
        }
        match Head::parse(bytes) {
            Ok(Parsed::Incomplete) => Ok(None),
            Ok(Parsed::Head(head)) if !head.op.is_empty() && !head.cli_id.is_empty() => {
                Ok(Some(Sniffed::Original))
            }
            _ if self.has_http => Ok(Some(Sniffed::Http)),
            _ => Err(End::Bad("it speaks none of the protocols served here".into())),
        }
    }
}

impl Frames for Sniffer {
    const FORMAT: Format = Format::Unknown;

    fn take(&mut self, bytes: &[u8], _: &mut Dispatch<'_>) -> Result<Taken, End> {
        self.found = self.look(bytes)?;
        let missing = if self.found.is_some() { Missing::Nothing } else { Missing::Some };
        Ok(Taken { consumed: 0, missing })
    }

    fn head_is_whole(&self, _: &[u8]) -> bool {
        false
    }
}

const ORIGINAL: &[u8] = b"POST / HTTP/1.1\r\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn look(has_http: bool, bytes: &[u8]) -> Result<Option<Sniffed>, ()> {
        Sniffer::new(has_http).look(bytes).map_err(|_| ())
    }

    #[test]
    fn first_bytes_decide() {
        const OLD: &[u8] =
            b"POST / HTTP/1.1\r\nop: a.B.C\r\ncli_id: 1\r\nContent-Length: 0\r\n\r\n";
        for (bytes, alone, with_http) in [
            (&b"P"[..], Ok(None), Ok(None)),
            (b"PR", Ok(None), Ok(None)),
            (b"PRPC", Ok(Some(Sniffed::BaiduStd)), Ok(Some(Sniffed::BaiduStd))),
            (b"PRPX", Err(()), Ok(Some(Sniffed::Http))),
            (b"PUT", Err(()), Ok(Some(Sniffed::Http))),
            (b"\x16\x03", Err(()), Ok(Some(Sniffed::Http))),
            (b"POST / HTTP/1.1\r\n", Ok(None), Ok(None)),
            (b"POST /x", Ok(None), Ok(Some(Sniffed::Http))),
            (b"GET / HTTP/1.1\r\n", Ok(None), Ok(Some(Sniffed::Http))),
            (b"GET / HTTP/1.1\r\n\r\n", Err(()), Ok(Some(Sniffed::Http))),
            (OLD, Ok(Some(Sniffed::Original)), Ok(Some(Sniffed::Original))),
            (&OLD[..OLD.len() - 1], Ok(None), Ok(None)),
            (b"POST / HTTP/1.1\r\nop: a.B.C\r\n\r\n", Err(()), Ok(Some(Sniffed::Http))),
            (b"POST / HTTP/1.1\r\ncli_id: 1\r\n\r\n", Err(()), Ok(Some(Sniffed::Http))),
        ] {
            let text = String::from_utf8_lossy(bytes);
            assert_eq!(look(false, bytes), alone, "{text}");
            assert_eq!(look(true, bytes), with_http, "{text}");
        }
    }

    #[test]
    fn a_head_without_an_end_is_for_others() {
        let mut long = b"GET / HTTP/1.1\r\n".to_vec();
        long.resize(1 << 20, b'x');
        assert_eq!(look(false, &long), Err(()));
        assert_eq!(look(true, &long), Ok(Some(Sniffed::Http)));
    }
}
