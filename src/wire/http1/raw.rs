use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::{StatusCode, Version};

use super::head::{content_length, tokens};
use super::{BodyDecoder, Error, Framing, Limits, Scan};

/// A response that somebody else encoded, found to end where it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawResponse {
    pub(crate) status: StatusCode,
    /// Bytes of the head; the rest is the body.
    pub(crate) head_len: usize,
    /// The client will know the end by the end of the connection alone, or is told to close it.
    pub(crate) must_close: bool,
}

impl RawResponse {
    /// Looks at the whole response `input`, which answers a request of `version`, of the method
    /// HEAD if `is_head`. An error is the maker's, not the client's.
    pub(crate) fn check(input: &[u8], version: Version, is_head: bool) -> Result<Self, Error> {
        let mut scan = Scan::default();
        let limits = Limits { body: u64::MAX, ..LIMITS };
        let head_len = scan.find(input, &limits)?.ok_or(Error::malformed("no end of the head"))?;
        let (status, is_old, fields) = read_head(&input[..head_len], scan.lines())?;
        if status.is_informational() {
            return Err(Error::malformed("a status below 200"));
        }
        let body = &input[head_len..];
        let has_no_body = status == StatusCode::NO_CONTENT || status == StatusCode::NOT_MODIFIED;
        let length = content_length(&fields)?;
        let is_chunked = fields.contains_key(header::TRANSFER_ENCODING);
        if is_chunked {
            if length.is_some() || version == Version::HTTP_10 || has_no_body {
                return Err(Error::malformed("a Transfer-Encoding where none may be"));
            }
            let mut codings = tokens(&fields, &header::TRANSFER_ENCODING);
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
            check_chunks(body, &limits)?;
        } else if length.is_some_and(|length| length != body.len() as u64) {
            return Err(Error::malformed("a Content-Length that is not the body's"));
        }
        let has_end = has_no_body || is_head || is_chunked || length.is_some();
        let closes = tokens(&fields, &header::CONNECTION).any(|t| t.eq_ignore_ascii_case("close"));
        Ok(RawResponse { status, head_len, must_close: closes || is_old || !has_end })
    }
}

/// The status, whether it is of HTTP/1.0, and the fields.
fn read_head(input: &[u8], lines: usize) -> Result<(StatusCode, bool, HeaderMap), Error> {
    const MALFORMED: Error = Error::malformed("the head");
    let mut space = vec![httparse::EMPTY_HEADER; lines];
    let mut response = httparse::Response::new(&mut space);
    if !matches!(response.parse(input), Ok(httparse::Status::Complete(n)) if n == input.len()) {
        return Err(MALFORMED);
    }
    let status = StatusCode::from_u16(response.code.unwrap_or_default()).map_err(|_| MALFORMED)?;
    let mut fields = HeaderMap::with_capacity(response.headers.len());
    for field in response.headers.iter() {
        let name = HeaderName::from_bytes(field.name.as_bytes()).map_err(|_| MALFORMED)?;
        let value = HeaderValue::from_bytes(field.value).map_err(|_| MALFORMED)?;
        fields.append(name, value);
    }
    Ok((status, response.version == Some(0), fields))
}

/// The body is whole, and nothing follows it.
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
