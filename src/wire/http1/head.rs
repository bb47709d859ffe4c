//! Decodes request heads, and decides how the body is framed.

use std::mem::MaybeUninit;
use std::str;

use ::http::header::{self, HeaderMap, HeaderName, HeaderValue};
use ::http::uri::Authority;
use ::http::{Method, Uri, Version};
use bytes::Bytes;

use super::{Error, Limits, Scan};

/// The head of a request.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) method: Method,
    pub(crate) uri: Uri,
    pub(crate) version: Version,
    pub(crate) fields: HeaderMap,
    /// The whole head, as received.
    pub(crate) raw: Bytes,
    pub(crate) framing: Framing,
    /// The client may send another request on this connection.
    pub(crate) keep_alive: bool,
    /// The client waits for 100 Continue before it sends the body.
    pub(crate) expects_continue: bool,
}

/// How the end of a body is determined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Framing {
    /// It has this many bytes.
    Length(u64),
    Chunked,
}

impl Framing {
    pub(crate) const EMPTY: Framing = Framing::Length(0);
}

impl Head {
    /// Parses the head that is all of `input`, as `scan` found it.
    pub(crate) fn parse(input: &[u8], scan: &Scan, limits: &Limits) -> Result<Head, Error> {
        let mut few = [const { MaybeUninit::uninit() }; FEW];
        if scan.lines() <= FEW {
            return Head::parse_in(input, &mut few, limits);
        }
        let mut many = vec![MaybeUninit::uninit(); scan.lines()];
        Head::parse_in(input, &mut many, limits)
    }

    fn parse_in<'a>(
        input: &'a [u8],
        space: &mut [MaybeUninit<httparse::Header<'a>>],
        limits: &Limits,
    ) -> Result<Head, Error> {
        let mut request = httparse::Request::new(&mut []);
        let parsed = httparse::ParserConfig::default()
            .parse_request_with_uninit_headers(&mut request, input, space)
            .map_err(|error| refusal(error, input))?;
        if parsed != httparse::Status::Complete(input.len()) {
            return Err(Error::malformed("a field"));
        }
        let version = match request.version {
            Some(1) => Version::HTTP_11,
            _ => Version::HTTP_10,
        };
        let target = request.path.unwrap_or_default();
        if target.len() > limits.target {
            return Err(Error::target_too_long());
        }
        let method = Method::from_bytes(request.method.unwrap_or_default().as_bytes())
            .map_err(|_| Error::malformed("the method"))?;
        // One copy, which the target and all values share.
        let shared = Bytes::copy_from_slice(input);
        let uri =
            Uri::from_maybe_shared(shared.slice_ref(within(&shared, input, target.as_bytes())))
                .map_err(|_| Error::malformed("the target"))?;
        let mut fields = HeaderMap::with_capacity(request.headers.len());
        let mut is_plain = true;
        for field in request.headers.iter() {
            let (name, value) = read_field(field, &shared, input)?;
            is_plain = is_plain && !affects_connection(&name);
            fields.append(name, value);
        }
        Head::interpret(Parts { method, uri, version, fields, raw: shared, is_plain }, limits)
    }

    /// Interprets the fields, and rejects invalid combinations.
    fn interpret(parts: Parts, limits: &Limits) -> Result<Head, Error> {
        let Parts { method, uri, version, fields, raw, is_plain } = parts;
        if method == Method::CONNECT {
            return Err(Error::not_implemented("this server is no proxy"));
        }
        check_host(version, &fields)?;
        let mut keep_alive = version == Version::HTTP_11;
        if is_plain {
            let (framing, expects_continue) = (Framing::EMPTY, false);
            return Ok(Head {
                method,
                uri,
                version,
                fields,
                raw,
                framing,
                keep_alive,
                expects_continue,
            });
        }
        let framing = framing(version, &fields)?;
        for token in tokens(&fields, &header::CONNECTION) {
            if token.eq_ignore_ascii_case("close") {
                keep_alive = false;
                break;
            }
            keep_alive = keep_alive || token.eq_ignore_ascii_case("keep-alive");
        }
        let expects_continue = expects_continue(version, &fields)?;
        if framing.is_some_and(|framing| matches!(framing, Framing::Length(n) if n > limits.body)) {
            return Err(Error::body_too_large());
        }
        let framing = framing.unwrap_or(Framing::EMPTY);
        Ok(Head { method, uri, version, fields, raw, framing, keep_alive, expects_continue })
    }
}

/// A parsed head whose fields have not been interpreted.
struct Parts {
    method: Method,
    uri: Uri,
    version: Version,
    fields: HeaderMap,
    raw: Bytes,
    /// No field [`affects_connection`].
    is_plain: bool,
}

/// Whether a field other than Host affects the connection.
fn affects_connection(name: &HeaderName) -> bool {
    *name == header::CONTENT_LENGTH
        || *name == header::TRANSFER_ENCODING
        || *name == header::CONNECTION
        || *name == header::EXPECT
}

/// Returns the part of `copy`, a copy of `input`, that corresponds to `part`.
fn within<'a>(copy: &'a [u8], input: &[u8], part: &[u8]) -> &'a [u8] {
    if part.is_empty() {
        return &copy[..0];
    }
    let start = part.as_ptr().addr() - input.as_ptr().addr();
    &copy[start..start + part.len()]
}

fn read_field(
    field: &httparse::Header<'_>,
    shared: &Bytes,
    input: &[u8],
) -> Result<(HeaderName, HeaderValue), Error> {
    let name = HeaderName::from_bytes(field.name.as_bytes())
        .map_err(|_| Error::malformed("the name of a field"))?;
    let value =
        HeaderValue::from_maybe_shared(shared.slice_ref(within(shared, input, field.value)))
            .map_err(|_| Error::malformed("the value of a field"))?;
    Ok((name, value))
}

fn refusal(error: httparse::Error, input: &[u8]) -> Error {
    let text = match error {
        httparse::Error::Version if is_other_version(input) => return Error::version(),
        httparse::Error::TooManyHeaders => return Error::too_many_fields(),
        httparse::Error::HeaderName => "the name of a field",
        httparse::Error::HeaderValue => "the value of a field",
        httparse::Error::Version => "the version",
        _ => "the request line",
    };
    Error::malformed(text)
}

/// Whether the request line ends in another version of HTTP: one digit, a dot, one digit.
fn is_other_version(input: &[u8]) -> bool {
    let line = input.split(|&byte| byte == b'\r').next().unwrap_or_default();
    let version = line.rsplit(|&byte| byte == b' ').next().unwrap_or_default();
    let Some([major, b'.', minor]) = version.strip_prefix(b"HTTP/") else { return false };
    major.is_ascii_digit() && minor.is_ascii_digit()
}

fn check_host(version: Version, fields: &HeaderMap) -> Result<(), Error> {
    let mut hosts = fields.get_all(header::HOST).iter();
    let Some(host) = hosts.next() else {
        let text = "HTTP/1.1 without a Host";
        return if version == Version::HTTP_11 { Err(Error::malformed(text)) } else { Ok(()) };
    };
    if hosts.next().is_some() {
        return Err(Error::malformed("more than one Host"));
    }
    let host = host.as_bytes();
    let valid = host.is_empty()
        || is_plain_host(host)
        || (!host.contains(&b'@') && Authority::try_from(host).is_ok());
    if valid { Ok(()) } else { Err(Error::malformed("the Host")) }
}

/// Whether this is a name or an IPv4 address, perhaps with a port: valid without further checks.
pub(super) fn is_plain_host(host: &[u8]) -> bool {
    let (name, port) = match memchr::memchr(b':', host) {
        Some(colon) => (&host[..colon], &host[colon + 1..]),
        None => (host, &b"0"[..]),
    };
    let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-');
    !name.is_empty()
        && name.iter().all(is_name)
        && !port.is_empty()
        && port.iter().all(u8::is_ascii_digit)
}

fn framing(version: Version, fields: &HeaderMap) -> Result<Option<Framing>, Error> {
    let lengths = fields.get_all(header::CONTENT_LENGTH).iter();
    let length = length_of(lengths.map(HeaderValue::as_bytes))?;
    if !fields.contains_key(header::TRANSFER_ENCODING) {
        return Ok(length.map(Framing::Length));
    }
    if length.is_some() {
        return Err(Error::malformed("a Content-Length beside a Transfer-Encoding"));
    }
    if version == Version::HTTP_10 {
        return Err(Error::malformed("a Transfer-Encoding in HTTP/1.0"));
    }
    let mut codings = 0;
    let mut last = "";
    for token in tokens(fields, &header::TRANSFER_ENCODING) {
        if last.eq_ignore_ascii_case("chunked") {
            return Err(Error::malformed("a Transfer-Encoding after chunked"));
        }
        (codings, last) = (codings + 1, token);
    }
    if !last.eq_ignore_ascii_case("chunked") {
        return Err(Error::malformed("a Transfer-Encoding that does not end in chunked"));
    }
    if codings > 1 {
        return Err(Error::not_implemented("a transfer coding beside chunked"));
    }
    Ok(Some(Framing::Chunked))
}

/// Returns the length that all Content-Length fields agree on.
pub(super) fn length_of<'a>(values: impl Iterator<Item = &'a [u8]>) -> Result<Option<u64>, Error> {
    let mut length = None;
    for digits in values {
        let number = if digits.iter().all(u8::is_ascii_digit) {
            str::from_utf8(digits).ok().and_then(|digits| digits.parse::<u64>().ok())
        } else {
            None
        };
        let number = number.ok_or(Error::malformed("a Content-Length that is no number"))?;
        if length.is_some_and(|length| length != number) {
            return Err(Error::malformed("two Content-Lengths"));
        }
        length = Some(number);
    }
    Ok(length)
}

fn expects_continue(version: Version, fields: &HeaderMap) -> Result<bool, Error> {
    let mut expects = false;
    for value in fields.get_all(header::EXPECT) {
        if !value.as_bytes().eq_ignore_ascii_case(b"100-continue") {
            return Err(Error::expectation());
        }
        // In HTTP/1.0 it means nothing (RFC 9110, 10.1.1).
        expects = version == Version::HTTP_11;
    }
    Ok(expects)
}

/// Iterates over the elements of a list that may span several fields. A value that is not ASCII
/// text yields elements that equal nothing.
pub(crate) fn tokens<'a>(
    fields: &'a HeaderMap,
    name: &HeaderName,
) -> impl Iterator<Item = &'a str> + use<'a> {
    tokens_of(fields.get_all(name).iter().map(HeaderValue::as_bytes))
}

/// Does the same, given the values of the fields.
pub(super) fn tokens_of<'a>(
    values: impl Iterator<Item = &'a [u8]>,
) -> impl Iterator<Item = &'a str> {
    values
        .flat_map(|value| {
            let text = str::from_utf8(value).ok().filter(|text| text.is_ascii());
            text.unwrap_or("?").split(',')
        })
        .map(|token| token.trim_matches([' ', '\t']))
        .filter(|token| !token.is_empty())
}

/// This many fields have room on the stack.
pub(super) const FEW: usize = 32;
