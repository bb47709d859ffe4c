//! Errors of calls, and their codes.

use std::borrow::Cow;
use std::fmt;
use std::io;

use super::Code;

/// Why a call failed, and what a handler returns to fail one: a [`Code`] and a text.
///
/// The predicates say what happened and whether the server may have run the call; the text is for
/// people and may change.
///
/// ```
/// use fastrpc::rpc::Error;
///
/// fn may_retry(error: &Error) -> bool {
///     // The server has not seen the call.
///     error.is_connect() || error.is_overcrowded()
/// }
///
/// let error = Error::new(10_001, "out of stock");
/// assert_eq!(error.to_string(), "10001: out of stock");
/// assert!(!may_retry(&error));
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: Code,
    kind: Kind,
    text: Cow<'static, str>,
}

impl Error {
    /// Creates an error for a handler to return, from a code, which is a constant of [`Code`] or a
    /// number of the service's own, and a text. 0, which would mean success, becomes EINTERNAL.
    pub fn new(code: impl Into<Code>, text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Handler, code.into().or_internal(), text)
    }

    pub(super) fn of(kind: Kind, code: Code, text: impl Into<Cow<'static, str>>) -> Error {
        Error { code, kind, text: text.into() }
    }

    pub(super) fn remote(code: Code, text: String) -> Error {
        Error::of(Kind::Remote, code, text)
    }

    pub(super) fn timeout(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Timeout, Code::ERPCTIMEDOUT, text)
    }

    pub(super) fn connect(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Connect, Code::EFAILEDSOCKET, text)
    }

    pub(super) fn broken(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Broken, Code::EFAILEDSOCKET, text)
    }

    pub(crate) fn gone() -> Error {
        Error::broken("the connection is gone")
    }

    pub(super) fn closed() -> Error {
        Error::of(Kind::Closed, Code::ECLOSE, "the client is closed")
    }

    pub(super) fn crowded(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Crowded, Code::EOVERCROWDED, text)
    }

    pub(super) fn canceled() -> Error {
        Error::of(Kind::Canceled, Code::ECANCELED, "the call was canceled")
    }

    pub(super) fn request(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Invalid, Code::EREQUEST, text)
    }

    pub(super) fn response(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Invalid, Code::ERESPONSE, text)
    }

    pub(super) fn internal(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Internal, Code::EINTERNAL, text)
    }

    /// Returns the code. Never 0.
    pub fn code(&self) -> Code {
        self.code
    }

    /// Returns the text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether the deadline passed. A late response is dropped; the server may have run the call.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// Whether there was no connection and none could be made: the server has not seen the call.
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }

    /// Whether the connection broke, or the client was closed, while the call was in flight: the
    /// server may have run it.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, Kind::Broken | Kind::Closed)
    }

    /// Whether the server responded with this error: its library, or the service.
    pub fn is_remote(&self) -> bool {
        self.kind == Kind::Remote
    }

    /// Whether the server responded with a code of the service's own, not one of the library's
    /// ([`Code::is_service_defined`]).
    pub fn is_service_error(&self) -> bool {
        self.is_remote() && self.code.is_service_defined()
    }

    /// Whether too many calls are in flight or bytes unsent: the call was not sent.
    pub fn is_overcrowded(&self) -> bool {
        self.kind == Kind::Crowded
    }

    /// Whether the call, or the coroutine that waited for it, was canceled.
    pub fn is_canceled(&self) -> bool {
        self.kind == Kind::Canceled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rpc::Error({:?}, {}, {:?})", self.kind, self.code, self.text)
    }
}

impl std::error::Error for Error {}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        let kind = match error.kind {
            Kind::Timeout => io::ErrorKind::TimedOut,
            Kind::Connect => io::ErrorKind::NotConnected,
            Kind::Broken => io::ErrorKind::ConnectionAborted,
            Kind::Invalid => io::ErrorKind::InvalidData,
            _ => io::ErrorKind::Other,
        };
        io::Error::new(kind, error)
    }
}

/// Lets a handler propagate an I/O error with `?`: the call fails with EINTERNAL and the text, or
/// with ECANCELED if a wait was canceled. An [`Error`] inside is returned unchanged.
impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.raw_os_error() == Some(libc::ECANCELED) {
            return Error::canceled();
        }
        match error.downcast::<Error>() {
            Ok(inner) => inner,
            Err(error) => Error::internal(error.to_string()),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Handler,
    Timeout,
    Connect,
    Broken,
    Closed,
    Remote,
    Crowded,
    Canceled,
    Invalid,
    Internal,
}
