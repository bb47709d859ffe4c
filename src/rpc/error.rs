use std::borrow::Cow;
use std::fmt;
use std::io;

/// Why a call has no answer, or an answer that says it failed; and what a handler answers when it
/// fails.
///
/// [`code`](Error::code) is one of [`code`](self::code) when the failure is ours, whatever the
/// handler chose when the answer came from the server ([`is_remote`](Error::is_remote)). The text
/// is for people and may change.
#[derive(Clone, PartialEq, Eq)]
pub struct Error {
    code: i32,
    kind: Kind,
    text: Cow<'static, str>,
}

impl Error {
    /// An error for a handler to answer with: any number, and a text. 0, which would mean success,
    /// becomes EINTERNAL.
    pub fn new(code: i32, text: impl Into<Cow<'static, str>>) -> Error {
        let code = if code == 0 { code::EINTERNAL } else { code };
        Error::of(Kind::Handler, code, text)
    }

    pub(super) fn of(kind: Kind, code: i32, text: impl Into<Cow<'static, str>>) -> Error {
        Error { code, kind, text: text.into() }
    }

    pub(super) fn remote(code: i32, text: String) -> Error {
        Error::of(Kind::Remote, code, text)
    }

    pub(super) fn timeout(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Timeout, code::ERPCTIMEDOUT, text)
    }

    pub(super) fn connect(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Connect, code::EFAILEDSOCKET, text)
    }

    pub(super) fn broken(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Broken, code::EFAILEDSOCKET, text)
    }

    pub(super) fn gone() -> Error {
        Error::broken("the connection is gone")
    }

    pub(super) fn closed() -> Error {
        Error::of(Kind::Closed, code::ECLOSE, "the client is closed")
    }

    pub(super) fn crowded(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Crowded, code::EOVERCROWDED, text)
    }

    pub(super) fn canceled() -> Error {
        Error::of(Kind::Canceled, code::ECANCELED, "the call was cancelled")
    }

    pub(super) fn request(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Invalid, code::EREQUEST, text)
    }

    pub(super) fn response(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Invalid, code::ERESPONSE, text)
    }

    pub(super) fn internal(text: impl Into<Cow<'static, str>>) -> Error {
        Error::of(Kind::Internal, code::EINTERNAL, text)
    }

    /// The number that says what went wrong: see [`code`](self::code). Never 0.
    pub fn code(&self) -> i32 {
        self.code
    }

    /// What went wrong, for people.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The call's time ran out. A late answer is dropped; the server may have run the call.
    pub fn is_timeout(&self) -> bool {
        self.kind == Kind::Timeout
    }

    /// There was no connection and none could be made: the server has not seen the call.
    pub fn is_connect(&self) -> bool {
        self.kind == Kind::Connect
    }

    /// The connection broke, or the client was closed, while the call waited for its answer: the
    /// server may have run the call.
    pub fn is_closed(&self) -> bool {
        matches!(self.kind, Kind::Broken | Kind::Closed)
    }

    /// The server answered with this error.
    pub fn is_remote(&self) -> bool {
        self.kind == Kind::Remote
    }

    /// The server's service chose this error: its code is none of [`code`](self::code), which are
    /// the library's on either side.
    pub fn is_service(&self) -> bool {
        self.is_remote() && !code::is_library(self.code)
    }

    /// Too many calls in flight or bytes unsent: the call was not started.
    pub fn is_overcrowded(&self) -> bool {
        self.kind == Kind::Crowded
    }

    /// The call, or the coroutine that waited for it, was cancelled.
    pub fn is_canceled(&self) -> bool {
        self.kind == Kind::Canceled
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {})", self.text, self.code)
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

/// So that `?` in a handler answers with what failed in it: EINTERNAL and the text, or ECANCELED
/// for a wait that was cancelled. An [`Error`] inside comes out as it was.
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

/// The error numbers of the protocol, as brpc documents them. A handler may answer with any other
/// number too.
pub mod code {
    /// The server has no such service.
    pub const ENOSERVICE: i32 = 1001;
    /// The service has no such method.
    pub const ENOMETHOD: i32 = 1002;
    /// The request cannot be understood.
    pub const EREQUEST: i32 = 1003;
    /// The call's time ran out.
    pub const ERPCTIMEDOUT: i32 = 1008;
    /// There is no connection, or it broke.
    pub const EFAILEDSOCKET: i32 = 1009;
    /// Too many calls in flight or bytes unsent.
    pub const EOVERCROWDED: i32 = 1011;
    /// The handler ended without an answer, or failed in a way that is a bug.
    pub const EINTERNAL: i32 = 2001;
    /// The answer cannot be understood.
    pub const ERESPONSE: i32 = 2002;
    /// The server is stopping.
    pub const ELOGOFF: i32 = 2003;
    /// The server has reached a limit.
    pub const ELIMIT: i32 = 2004;
    /// The connection was closed on purpose.
    pub const ECLOSE: i32 = 2005;
    /// The call was cancelled; the operating system's number.
    pub const ECANCELED: i32 = libc::ECANCELED;

    /// Whether `code` is one of these.
    pub(super) fn is_library(code: i32) -> bool {
        matches!(
            code,
            ENOSERVICE
                | ENOMETHOD
                | EREQUEST
                | ERPCTIMEDOUT
                | EFAILEDSOCKET
                | EOVERCROWDED
                | EINTERNAL
                | ERESPONSE
                | ELOGOFF
                | ELIMIT
                | ECLOSE
                | ECANCELED
        )
    }
}
