//! Checks responses that were encoded elsewhere.

use std::mem::MaybeUninit;

use ::http::{StatusCode, Version};

use super::head::{FEW, length_of, tokens_of};
use super::{BodyDecoder, Error, Framing, Limits, Scan};

/// A response that was encoded elsewhere, and that ends where its framing says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawResponse {
    pub(crate) status: StatusCode,
    /// Bytes of the head; the rest is the body.
    pub(crate) head_len: usize,
    /// The body ends with the connection, or the client is told to close it.
    pub(crate) must_close: bool,
}

impl RawResponse {
    /// Checks the whole response `input` to a request of `version`, with method HEAD if `is_head`.
    /// An error is the fault of the response's author, not of the client.
    pub(crate) fn check(input: &[u8], version: Version, is_head: bool) -> Result<Self, Error> {
        let mut scan = Scan::default();
        let head_len = scan.find(input, &LIMITS)?.ok_or(Error::malformed("no end of the head"))?;
        let (head, body) = input.split_at(head_len);
        if scan.lines() <= FEW {
            let mut few = [const { MaybeUninit::uninit() }; FEW];
            return RawResponse::check_head(head, body, &mut few, version, is_head);
        }
        let mut many = vec![MaybeUninit::uninit(); scan.lines()];
        RawResponse::check_head(head, body, &mut many, version, is_head)
    }

    fn check_head<'a>(
        head: &'a [u8],
        body: &[u8],
        space: &mut [MaybeUninit<httparse::Header<'a>>],
        version: Version,
        is_head: bool,
    ) -> Result<RawResponse, Error> {
        const MALFORMED: Error = Error::malformed("the head");
        let mut response = httparse::Response::new(&mut []);
        let parsed = httparse::ParserConfig::default().parse_response_with_uninit_headers(
            &mut response,
            head,
            space,
        );
        if !matches!(parsed, Ok(httparse::Status::Complete(n)) if n == head.len()) {
            return Err(MALFORMED);
        }
        let code = response.code.unwrap_or_default();
        let status = StatusCode::from_u16(code).map_err(|_| MALFORMED)?;
        if status.is_informational() {
            return Err(Error::malformed("a status below 200"));
        }
        let values = |name: &'static str| {
            let fields = response.headers.iter();
            fields.filter(move |f| f.name.eq_ignore_ascii_case(name)).map(|field| field.value)
        };
        let has_no_body = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let length = length_of(values("content-length"))?;
        let is_chunked = values("transfer-encoding").next().is_some();
        if is_chunked {
            if length.is_some() || version == Version::HTTP_10 || has_no_body {
                return Err(Error::malformed("a Transfer-Encoding where none may be"));
            }
            let mut codings = tokens_of(values("transfer-encoding"));
            let is_chunked = codings.next().is_some_and(|t| t.eq_ignore_ascii_case("chunked"));
            if !is_chunked || codings.next().is_some() {
                return Err(Error::malformed("a Transfer-Encoding that is not chunked"));
            }
        }
        if has_no_body || (is_head && body.is_empty()) {
            if !body.is_empty() {
                return Err(Error::malformed("a body that may not be"));
            }
        } else if is_chunked {
            check_chunks(body, &LIMITS)?;
        } else if length.is_some_and(|length| length != body.len() as u64) {
            return Err(Error::malformed("a Content-Length that is not the body's"));
        }
        let has_end = has_no_body || is_head || is_chunked || length.is_some();
        let is_old = response.version == Some(0);
        let closes = tokens_of(values("connection")).any(|t| t.eq_ignore_ascii_case("close"));
        let must_close = closes || is_old || !has_end;
        Ok(RawResponse { status, head_len: head.len(), must_close })
    }
}

/// Checks that the body is complete and that nothing follows it.
fn check_chunks(mut body: &[u8], limits: &Limits) -> Result<(), Error> {
    let mut decoder = BodyDecoder::new(Framing::Chunked, limits);
    while !decoder.is_end() {
        let decoded = decoder.decode(body, usize::MAX)?;
        if decoded.consumed == 0 && !decoded.is_end {
            return Err(Error::malformed("no last chunk"));
        }
        body = &body[decoded.consumed..];
    }
    if body.is_empty() { Ok(()) } else { Err(Error::malformed("bytes behind the last chunk")) }
}

/// Generous: the response was made on this side.
const LIMITS: Limits = Limits { head: 1 << 20, fields: 1000, target: 1 << 20, body: u64::MAX };
