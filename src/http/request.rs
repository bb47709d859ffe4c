//! A request as its handler sees it.

use std::borrow::Cow;
use std::fmt;
use std::io;

use bytes::Bytes;

use super::{Body, HeaderMap, Method, Uri, Version};
use crate::net::Addr;
use crate::wire::http1::Head;

/// An HTTP request, as its handler gets it.
///
/// ```
/// use fastrpc::http::{Request, Response};
///
/// fn greet(mut request: Request) -> Response {
///     let name = request.query("name").unwrap_or("you".into()).into_owned();
///     match request.bytes() {
///         Ok(body) => Response::text(format!("hello, {name}: {} bytes", body.len())),
///         Err(error) => Response::text(error.to_string()),
///     }
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let server = fastrpc::Server::new(Default::default());
/// server.route("POST", "/greet", greet)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Request {
    method: Method,
    uri: Uri,
    version: Version,
    headers: HeaderMap,
    params: Vec<(String, String)>,
    raw_head: Bytes,
    peer: Addr,
    connection: u64,
    body: Body,
}

impl Request {
    pub(super) fn new(
        head: Head,
        params: Vec<(String, String)>,
        peer: Addr,
        connection: u64,
        body: Body,
    ) -> Request {
        let Head { method, uri, version, fields: headers, raw: raw_head, .. } = head;
        Request { method, uri, version, headers, params, raw_head, peer, connection, body }
    }

    /// The method.
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The target: path and query, percent-encoded as they came.
    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The path, percent-encoded as it came. `..` and `//` in it are left as they are.
    pub fn path(&self) -> &str {
        self.uri.path()
    }

    /// HTTP/1.1 or HTTP/1.0.
    pub fn version(&self) -> Version {
        self.version
    }

    /// All header fields.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The first field of this name, whatever its case; `None` if there is none, or if it is no
    /// ASCII text.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// What stood in the path in the place of `:name`, decoded.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }

    /// The first parameter of this name behind the question mark, decoded.
    pub fn query(&self, name: &str) -> Option<Cow<'_, str>> {
        self.queries().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// All parameters behind the question mark, decoded.
    pub fn queries(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        form_urlencoded::parse(self.uri.query().unwrap_or_default().as_bytes())
    }

    /// The first cookie of this name, as it came.
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let fields = self.headers.get_all(::http::header::COOKIE).iter();
        let mut pairs = fields.filter_map(|field| field.to_str().ok()).flat_map(|f| f.split(';'));
        pairs.find_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            (key.trim() == name).then_some(value.trim())
        })
    }

    /// The request line and the header fields as they came, with the empty line at their end.
    pub fn raw_head(&self) -> &[u8] {
        &self.raw_head
    }

    /// What was asked for, for the log: a share of the head.
    pub(crate) fn asked(&self) -> AskedFor {
        AskedFor(self.raw_head.clone())
    }

    /// The number of the connection, which the server gives no other.
    pub fn connection_id(&self) -> u64 {
        self.connection
    }

    /// Where the request came from.
    pub fn peer(&self) -> &Addr {
        &self.peer
    }

    /// The body, to be read bit by bit.
    pub fn body(&mut self) -> &mut Body {
        &mut self.body
    }

    /// The body alone, for a response that is made while the body is read.
    pub fn into_body(self) -> Body {
        self.body
    }

    /// The whole body, read the first time this is asked. Suspends or blocks the caller.
    ///
    /// # Errors
    /// As for [`Body::read_all`].
    pub fn bytes(&mut self) -> io::Result<&[u8]> {
        self.body.gather()
    }

    /// The parameters of a body of the type application/x-www-form-urlencoded, decoded. Suspends
    /// or blocks the caller.
    ///
    /// # Errors
    /// `InvalidInput` for a body of another type; as for [`Body::read_all`].
    pub fn form(&mut self) -> io::Result<Vec<(String, String)>> {
        let kind = self.header("content-type").unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the body is no form"));
        }
        Ok(form_urlencoded::parse(self.bytes()?).into_owned().collect())
    }
}

/// A request's method and path, as the log names it.
pub(crate) struct AskedFor(Bytes);

impl fmt::Display for AskedFor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.0.split(|&byte| byte == b'\r').next().unwrap_or_default();
        let mut words = line.split(|&byte| byte == b' ');
        let (method, target) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
        let path = target.split(|&byte| byte == b'?').next().unwrap_or_default();
        write!(f, "{} {}", method.escape_ascii(), path.escape_ascii())
    }
}
