//! Why a request is rejected, and the status code for it.

use std::fmt;

use ::http::StatusCode;

/// Why a request cannot be served. The connection is closed after the error response: where the
/// next request would begin is unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Error {
    status: StatusCode,
    text: &'static str,
}

impl Error {
    /// Returns the status code of the response.
    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns what is wrong.
    pub(crate) fn text(&self) -> &'static str {
        self.text
    }

    /// Returns the error for a peer that closed its side in the middle of a request.
    pub(crate) const fn cut_short() -> Error {
        Error::malformed("the request ends early")
    }

    /// Returns the error for a peer that is too slow.
    pub(crate) const fn timed_out() -> Error {
        let text = "the request did not come in time";
        Error { status: StatusCode::REQUEST_TIMEOUT, text }
    }

    pub(super) const fn malformed(text: &'static str) -> Error {
        Error { status: StatusCode::BAD_REQUEST, text }
    }

    pub(super) const fn head_too_large() -> Error {
        let text = "the head is too large";
        Error { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text }
    }

    pub(super) const fn too_many_fields() -> Error {
        let text = "the head has too many fields";
        Error { status: StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, text }
    }

    pub(super) const fn target_too_long() -> Error {
        Error { status: StatusCode::URI_TOO_LONG, text: "the target is too long" }
    }

    pub(super) const fn body_too_large() -> Error {
        Error { status: StatusCode::PAYLOAD_TOO_LARGE, text: "the body is too large" }
    }

    pub(super) const fn version() -> Error {
        let text = "this server speaks HTTP/1.1 and HTTP/1.0";
        Error { status: StatusCode::HTTP_VERSION_NOT_SUPPORTED, text }
    }

    pub(super) const fn not_implemented(text: &'static str) -> Error {
        Error { status: StatusCode::NOT_IMPLEMENTED, text }
    }

    pub(super) const fn expectation() -> Error {
        let text = "only 100-continue can be expected";
        Error { status: StatusCode::EXPECTATION_FAILED, text }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text)
    }
}

impl std::error::Error for Error {}
