//! Codes of RPC errors, as they go over the wire.

use crate::rpc::Code;

/// The server has no such service.
pub const FASTRPC_CODE_ENOSERVICE: i32 = 1001;
/// The service has no such method.
pub const FASTRPC_CODE_ENOMETHOD: i32 = 1002;
/// The request cannot be understood.
pub const FASTRPC_CODE_EREQUEST: i32 = 1003;
/// The call's time ran out.
pub const FASTRPC_CODE_ERPCTIMEDOUT: i32 = 1008;
/// There is no connection, or it broke.
pub const FASTRPC_CODE_EFAILEDSOCKET: i32 = 1009;
/// Too many calls are in flight, or too many bytes unsent.
pub const FASTRPC_CODE_EOVERCROWDED: i32 = 1011;
/// The handler ended without an answer, or an exception left it.
pub const FASTRPC_CODE_EINTERNAL: i32 = 2001;
/// The answer cannot be understood.
pub const FASTRPC_CODE_ERESPONSE: i32 = 2002;
/// The server is stopping.
pub const FASTRPC_CODE_ELOGOFF: i32 = 2003;
/// The server has reached a limit.
pub const FASTRPC_CODE_ELIMIT: i32 = 2004;
/// The connection was closed on purpose.
pub const FASTRPC_CODE_ECLOSE: i32 = 2005;
/// The call was canceled: the operating system's ECANCELED.
pub const FASTRPC_CODE_ECANCELED: i32 = 125;

const _: () = {
    assert!(FASTRPC_CODE_ENOSERVICE == Code::ENOSERVICE.number());
    assert!(FASTRPC_CODE_ENOMETHOD == Code::ENOMETHOD.number());
    assert!(FASTRPC_CODE_EREQUEST == Code::EREQUEST.number());
    assert!(FASTRPC_CODE_ERPCTIMEDOUT == Code::ERPCTIMEDOUT.number());
    assert!(FASTRPC_CODE_EFAILEDSOCKET == Code::EFAILEDSOCKET.number());
    assert!(FASTRPC_CODE_EOVERCROWDED == Code::EOVERCROWDED.number());
    assert!(FASTRPC_CODE_EINTERNAL == Code::EINTERNAL.number());
    assert!(FASTRPC_CODE_ERESPONSE == Code::ERESPONSE.number());
    assert!(FASTRPC_CODE_ELOGOFF == Code::ELOGOFF.number());
    assert!(FASTRPC_CODE_ELIMIT == Code::ELIMIT.number());
    assert!(FASTRPC_CODE_ECLOSE == Code::ECLOSE.number());
    assert!(FASTRPC_CODE_ECANCELED == Code::ECANCELED.number());
};
