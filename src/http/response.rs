//! A response as its handler makes it.

use std::borrow::Cow;
use std::fmt;
use std::io;

use ::http::header::{CONTENT_TYPE, LOCATION};

use super::respond::BodyWriter;
use super::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// A response: a status, header fields and a body. `Content-Length`, `Transfer-Encoding`,
/// `Connection` and `Date` are the connection's business and ignored here, but for `Connection:
/// close`, which ends the connection after the response.
///
/// ```
/// use fastrpc::http::{Response, StatusCode};
///
/// let response = Response::json(r#"{"id": 1}"#)
///     .with_status(StatusCode::CREATED)
///     .header("Location", "/items/1");
/// assert_eq!(response.status(), StatusCode::CREATED);
/// ```
#[derive(Debug)]
pub struct Response {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) content: Content,
    /// What was wrong with a field: makes the response a 500.
    pub(super) fault: Option<String>,
}

pub(super) enum Content {
    Bytes(Cow<'static, [u8]>),
    Stream(Option<u64>, Produce),
    /// A complete response, head and all.
    Raw(Vec<u8>),
}

type Produce = Box<dyn FnOnce(&mut BodyWriter) -> io::Result<()> + Send>;

impl Response {
    /// A response without a body.
    pub fn new(status: StatusCode) -> Response {
        let content = Content::Bytes(Cow::Borrowed(&[]));
        Response { status, headers: HeaderMap::new(), content, fault: None }
    }

    /// 200 with a body of this type.
    pub fn bytes(content_type: &str, body: impl Into<Cow<'static, [u8]>>) -> Response {
        Response::new(StatusCode::OK).header(CONTENT_TYPE, content_type).body(body)
    }

    /// 200 with plain text.
    pub fn text(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/plain; charset=utf-8", text.into())
    }

    /// 200 with a page.
    pub fn html(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("text/html; charset=utf-8", text.into())
    }

    /// 200 with encoded JSON.
    pub fn json(text: impl Into<Cow<'static, str>>) -> Response {
        Response::typed("application/json", text.into())
    }

    fn typed(content_type: &'static str, text: Cow<'static, str>) -> Response {
        let mut response = Response::new(StatusCode::OK);
        response.headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        response.body(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        })
    }

    /// 302 to another place.
    pub fn redirect(location: &str) -> Response {
        Response::new(StatusCode::FOUND).header(LOCATION, location)
    }

    /// 200 with a body that `produce` writes, in the connection's coroutine. If it fails or
    /// panics, the connection ends, which tells the client that the body is not whole.
    pub fn stream(
        produce: impl FnOnce(&mut BodyWriter) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let content = Content::Stream(None, Box::new(produce));
        Response { content, ..Response::new(StatusCode::OK) }
    }

    /// The same with a body of exactly `length` bytes.
    pub fn stream_sized(
        length: u64,
        produce: impl FnOnce(&mut BodyWriter) -> io::Result<()> + Send + 'static,
    ) -> Response {
        let content = Content::Stream(Some(length), Box::new(produce));
        Response { content, ..Response::new(StatusCode::OK) }
    }

    /// A complete response, head and body, that is sent as it is. One that is malformed, or does
    /// not end where it says, is logged and becomes a 500.
    pub fn raw(bytes: Vec<u8>) -> Response {
        Response { content: Content::Raw(bytes), ..Response::new(StatusCode::OK) }
    }

    pub(super) fn is_stream(&self) -> bool {
        matches!(self.content, Content::Stream(..))
    }

    /// A status with its name as the text.
    pub(super) fn plain(status: StatusCode) -> Response {
        let reason = status.canonical_reason().unwrap_or_default();
        Response::text(format!("{} {reason}\n", status.as_str())).with_status(status)
    }

    /// Sets the status. One below 200 becomes a 500.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Response {
        self.status = status;
        self
    }

    /// Adds a field. One whose name or value cannot be sent makes the response a 500, and is
    /// logged.
    #[must_use]
    pub fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: fmt::Display>,
        value: impl TryInto<HeaderValue, Error: fmt::Display>,
    ) -> Response {
        if let Err(error) = self.try_header(name, value) {
            self.fault = Some(error);
        }
        self
    }

    /// Adds a field.
    ///
    /// # Errors
    /// Why it cannot be sent.
    pub fn try_header(
        &mut self,
        name: impl TryInto<HeaderName, Error: fmt::Display>,
        value: impl TryInto<HeaderValue, Error: fmt::Display>,
    ) -> Result<(), String> {
        let name = name.try_into().map_err(|error| error.to_string())?;
        let value = value.try_into().map_err(|error| error.to_string())?;
        self.headers.append(name, value);
        Ok(())
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Cow<'static, [u8]>>) -> Response {
        self.content = Content::Bytes(body.into());
        self
    }

    /// The status.
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The fields.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        &mut self.headers
    }
}

/// 200 with plain text.
impl From<String> for Response {
    fn from(text: String) -> Response {
        Response::text(text)
    }
}

/// 200 with plain text.
impl From<&'static str> for Response {
    fn from(text: &'static str) -> Response {
        Response::text(text)
    }
}

/// A response without a body.
impl From<StatusCode> for Response {
    fn from(status: StatusCode) -> Response {
        Response::new(status)
    }
}

/// A handler may fail: an error is logged and becomes a 500 without its text, which may not be for the
/// client.
///
/// ```
/// use fastrpc::http::{Request, Response, StatusCode};
///
/// fn half(request: Request) -> Result<Response, std::num::ParseIntError> {
///     let number: i64 = request.param("number").unwrap_or_default().parse()?;
///     Ok(Response::text((number / 2).to_string()))
/// }
/// let router = fastrpc::http::Router::new();
/// router.route("GET", "/half/:number", half)?;
/// # let failed: Result<Response, &str> = Err("the disk is on fire");
/// # assert_eq!(Response::from(failed).status(), StatusCode::INTERNAL_SERVER_ERROR);
/// # Ok::<(), fastrpc::http::RouteError>(())
/// ```
impl<R: Into<Response>, E: fmt::Display> From<Result<R, E>> for Response {
    fn from(result: Result<R, E>) -> Response {
        result.map_or_else(
            |error| {
                log::error!("an HTTP handler failed: {error}");
                Response::plain(StatusCode::INTERNAL_SERVER_ERROR)
            },
            Into::into,
        )
    }
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Content::Bytes(bytes) => write!(f, "{} bytes", bytes.len()),
            Content::Stream(Some(length), _) => write!(f, "a stream of {length} bytes"),
            Content::Stream(None, _) => f.write_str("a stream"),
            Content::Raw(bytes) => write!(f, "{} bytes, with the head", bytes.len()),
        }
    }
}
