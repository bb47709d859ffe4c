//! Error numbers as they travel in `RpcResponseMeta.error_code`: those that brpc documents, so
//! that its clients and servers understand ours. Zero is success; a handler may use any other
//! number of its own.

/// The server has no such service.
pub(crate) const ENOSERVICE: i32 = 1001;
/// The service has no such method.
pub(crate) const ENOMETHOD: i32 = 1002;
/// The request could not be decoded.
pub(crate) const EREQUEST: i32 = 1003;
/// The deadline passed before the answer came.
pub(crate) const ERPCTIMEDOUT: i32 = 1008;
/// The connection broke or could not be made.
pub(crate) const EFAILEDSOCKET: i32 = 1009;
/// Too much waits to be sent on this connection.
pub(crate) const EOVERCROWDED: i32 = 1011;
/// The server failed.
pub(crate) const EINTERNAL: i32 = 2001;
/// The response could not be decoded.
pub(crate) const ERESPONSE: i32 = 2002;
/// The server is stopping.
pub(crate) const ELOGOFF: i32 = 2003;
/// A limit of the server is reached.
pub(crate) const ELIMIT: i32 = 2004;
/// The connection was closed on purpose.
pub(crate) const ECLOSE: i32 = 2005;

/// The symbolic name of a number of this list, for logs.
pub(crate) fn name(code: i32) -> Option<&'static str> {
    lookup(code).map(|entry| entry.1)
}

/// What a number of this list means, in a few words: the text of an error that has none of its
/// own.
pub(crate) fn text(code: i32) -> Option<&'static str> {
    lookup(code).map(|entry| entry.2)
}

fn lookup(code: i32) -> Option<&'static (i32, &'static str, &'static str)> {
    TABLE.iter().find(|entry| entry.0 == code)
}

const TABLE: &[(i32, &str, &str)] = &[
    (ENOSERVICE, "ENOSERVICE", "no such service"),
    (ENOMETHOD, "ENOMETHOD", "no such method"),
    (EREQUEST, "EREQUEST", "bad request"),
    (ERPCTIMEDOUT, "ERPCTIMEDOUT", "call timed out"),
    (EFAILEDSOCKET, "EFAILEDSOCKET", "connection failed"),
    (EOVERCROWDED, "EOVERCROWDED", "too much waits to be sent"),
    (EINTERNAL, "EINTERNAL", "internal server error"),
    (ERESPONSE, "ERESPONSE", "bad response"),
    (ELOGOFF, "ELOGOFF", "server is stopping"),
    (ELIMIT, "ELIMIT", "server limit reached"),
    (ECLOSE, "ECLOSE", "connection closed"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_protocol() {
        let numbers: Vec<i32> = TABLE.iter().map(|entry| entry.0).collect();
        assert_eq!(numbers, [1001, 1002, 1003, 1008, 1009, 1011, 2001, 2002, 2003, 2004, 2005]);
    }

    #[test]
    fn foreign_numbers_have_no_name() {
        assert_eq!(name(1008), Some("ERPCTIMEDOUT"));
        assert_eq!(text(1008), Some("call timed out"));
        assert_eq!(name(2042), None);
        assert_eq!(text(0), None);
    }
}
