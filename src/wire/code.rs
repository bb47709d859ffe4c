//! Error codes of calls: the numbers that brpc documents, and what they mean.

use std::fmt;

/// An error code: why a call failed.
///
/// The library uses the constants below, which are those of brpc, so that its clients and servers
/// understand ours. A service may respond with any other number of its own, best at 10,000 and
/// above, well clear of the library's and of errno. 0 is success and never the code of an error.
///
/// ```
/// use fastrpc::rpc::{Code, Error};
///
/// const OUT_OF_STOCK: Code = Code::new(10_001);
///
/// let error = Error::new(OUT_OF_STOCK, "no more of these");
/// assert_eq!(error.code(), OUT_OF_STOCK);
/// assert!(error.code().is_service_defined());
/// assert!(!Code::ENOMETHOD.is_service_defined());
/// assert_eq!(Code::ENOMETHOD.to_string(), "ENOMETHOD (1002)");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Code(i32);

impl Code {
    /// The server has no such service.
    pub const ENOSERVICE: Code = Code(1001);
    /// The service has no such method.
    pub const ENOMETHOD: Code = Code(1002);
    /// The request could not be decoded.
    pub const EREQUEST: Code = Code(1003);
    /// The deadline passed before the response came.
    pub const ERPCTIMEDOUT: Code = Code(1008);
    /// The connection broke or could not be made.
    pub const EFAILEDSOCKET: Code = Code(1009);
    /// Too many calls are in flight, or too many bytes unsent.
    pub const EOVERCROWDED: Code = Code(1011);
    /// The handler panicked, or ended without a response.
    pub const EINTERNAL: Code = Code(2001);
    /// The response could not be decoded.
    pub const ERESPONSE: Code = Code(2002);
    /// The server is stopping.
    pub const ELOGOFF: Code = Code(2003);
    /// A limit of the server is reached.
    pub const ELIMIT: Code = Code(2004);
    /// The client was closed.
    pub const ECLOSE: Code = Code(2005);
    /// The call was canceled; the number is Linux's.
    pub const ECANCELED: Code = Code(125);

    /// Returns the code of this number.
    pub const fn new(number: i32) -> Code {
        Code(number)
    }

    /// Returns the number.
    pub const fn number(self) -> i32 {
        self.0
    }

    /// Returns the name of the library's constant; `None` for any other number.
    pub fn name(self) -> Option<&'static str> {
        self.lookup().map(|entry| entry.1)
    }

    /// Returns what a code of the library means, in a few words; `None` for any other number.
    pub fn description(self) -> Option<&'static str> {
        self.lookup().map(|entry| entry.2)
    }

    /// Whether the number is none of the library's, so that only the service can have chosen it.
    pub fn is_service_defined(self) -> bool {
        self.0 != 0 && self.lookup().is_none()
    }

    /// Returns the code, or EINTERNAL for 0, which would mean success.
    pub(crate) fn or_internal(self) -> Code {
        if self.0 == 0 { Code::EINTERNAL } else { self }
    }

    fn lookup(self) -> Option<&'static (Code, &'static str, &'static str)> {
        TABLE.iter().find(|entry| entry.0 == self)
    }
}

/// The name, if there is one, and the number: `ENOMETHOD (1002)`, `10001`.
impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => write!(f, "{name} ({})", self.0),
            None => self.0.fmt(f),
        }
    }
}

impl fmt::Debug for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Code({self})")
    }
}

impl From<i32> for Code {
    fn from(number: i32) -> Self {
        Code(number)
    }
}

impl From<Code> for i32 {
    fn from(code: Code) -> Self {
        code.0
    }
}

impl PartialEq<i32> for Code {
    fn eq(&self, number: &i32) -> bool {
        self.0 == *number
    }
}

const TABLE: &[(Code, &str, &str)] = &[
    (Code::ECANCELED, "ECANCELED", "call canceled"),
    (Code::ENOSERVICE, "ENOSERVICE", "no such service"),
    (Code::ENOMETHOD, "ENOMETHOD", "no such method"),
    (Code::EREQUEST, "EREQUEST", "bad request"),
    (Code::ERPCTIMEDOUT, "ERPCTIMEDOUT", "call timed out"),
    (Code::EFAILEDSOCKET, "EFAILEDSOCKET", "connection failed"),
    (Code::EOVERCROWDED, "EOVERCROWDED", "too many calls or unsent bytes"),
    (Code::EINTERNAL, "EINTERNAL", "internal server error"),
    (Code::ERESPONSE, "ERESPONSE", "bad response"),
    (Code::ELOGOFF, "ELOGOFF", "server is stopping"),
    (Code::ELIMIT, "ELIMIT", "server limit reached"),
    (Code::ECLOSE, "ECLOSE", "client closed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_protocol() {
        let numbers: Vec<i32> = TABLE.iter().map(|entry| entry.0.number()).collect();
        assert_eq!(numbers[0], libc::ECANCELED);
        assert_eq!(
            numbers[1..],
            [1001, 1002, 1003, 1008, 1009, 1011, 2001, 2002, 2003, 2004, 2005]
        );
    }

    #[test]
    fn foreign_numbers_have_no_name() {
        assert_eq!(Code::new(1008).name(), Some("ERPCTIMEDOUT"));
        assert_eq!(Code::new(1008).description(), Some("call timed out"));
        assert_eq!(Code::new(2042).name(), None);
        assert_eq!(Code::new(0).description(), None);
    }

    #[test]
    fn services_have_the_numbers_that_the_library_leaves() {
        assert!(TABLE.iter().all(|entry| !entry.0.is_service_defined()));
        assert!(Code::new(2042).is_service_defined());
        assert!(!Code::new(0).is_service_defined());
    }

    #[test]
    fn a_code_is_shown_by_name_and_number() {
        assert_eq!(Code::ELIMIT.to_string(), "ELIMIT (2004)");
        assert_eq!(Code::new(7).to_string(), "7");
        assert_eq!(format!("{:?}", Code::ELIMIT), "Code(ELIMIT (2004))");
    }
}
