//! The two protocols of frames, and how a connection's first bytes tell them from others.

use std::sync::Arc;

use super::{Rpc, frames};
use crate::protocol::{Conn, Detected, End, FirstBytes, Protocol};
use crate::wire::baidu_std;
use crate::wire::original::{Head, Parsed};

/// baidu_std, which brpc speaks as well.
pub(crate) struct BaiduStd(pub(crate) Arc<Rpc>);

impl Protocol for BaiduStd {
    fn name(&self) -> &'static str {
        "baidu_std"
    }

    fn detect(&self, first: &[u8]) -> Detected {
        let magic = &baidu_std::Head::MAGIC;
        if first.starts_with(magic) {
            Detected::Yes
        } else if magic.starts_with(first) {
            Detected::NeedMore
        } else {
            Detected::No
        }
    }

    fn serve(&self, conn: &Arc<Conn>, first: FirstBytes) -> End {
        let frames = frames::BaiduStd::new(self.0.options.max_frame);
        self.0.serve(conn, first, frames)
    }
}

/// The HTTP-like frames of the original fastrpc, which differ from HTTP in their header fields
/// alone.
pub(crate) struct Original {
    rpc: Arc<Rpc>,
    /// What the request line has to be.
    request_line: &'static [u8],
}

impl Original {
    /// As the original's own clients write them. A server asks this before HTTP.
    pub(crate) fn strict(rpc: Arc<Rpc>) -> Original {
        Original { rpc, request_line: b"POST / HTTP/1.1\r\n" }
    }

    /// With any request line, as others write them: for servers on which HTTP is not spoken.
    pub(crate) fn lenient(rpc: Arc<Rpc>) -> Original {
        Original { rpc, request_line: b"" }
    }
}

impl Protocol for Original {
    fn name(&self) -> &'static str {
        "fastrpc"
    }

    fn detect(&self, first: &[u8]) -> Detected {
        if first.iter().zip(self.request_line).any(|(a, b)| a != b) {
            return Detected::No;
        }
        match Head::parse(first) {
            Ok(Parsed::Incomplete) => Detected::NeedMore,
            Ok(Parsed::Head(head)) if !head.op.is_empty() && !head.cli_id.is_empty() => {
                Detected::Yes
            }
            _ => Detected::No,
        }
    }

    fn serve(&self, conn: &Arc<Conn>, first: FirstBytes) -> End {
        let frames = frames::Original::new(self.rpc.options.max_frame);
        self.rpc.serve(conn, first, frames)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpc::Options;

    #[test]
    fn first_bytes_decide() {
        use Detected::{NeedMore, No, Yes};
        const OLD: &[u8] =
            b"POST / HTTP/1.1\r\nop: a.B.C\r\ncli_id: 1\r\nContent-Length: 0\r\n\r\n";
        let rpc = Arc::new(Rpc::new(Options::default()));
        let (baidu_std, original) = (BaiduStd(rpc.clone()), Original::strict(rpc.clone()));
        let lenient = Original::lenient(rpc);
        for (bytes, expected) in [
            (&b"P"[..], (NeedMore, NeedMore, NeedMore)),
            (b"PR", (NeedMore, No, No)),
            (b"PRPC", (Yes, No, No)),
            (b"PRPX", (No, No, No)),
            (b"PUT", (No, No, No)),
            (b"\x16\x03", (No, No, No)),
            (b"POST / HTTP/1.1\r\n", (No, NeedMore, NeedMore)),
            (b"POST /x", (No, No, NeedMore)),
            (b"GET / HTTP/1.1\r\n", (No, No, NeedMore)),
            (b"GET / HTTP/1.1\r\n\r\n", (No, No, No)),
            (OLD, (No, Yes, Yes)),
            (&OLD[..OLD.len() - 1], (No, NeedMore, NeedMore)),
            (b"POST / HTTP/1.1\r\nop: a.B.C\r\n\r\n", (No, No, No)),
            (b"POST / HTTP/1.1\r\ncli_id: 1\r\n\r\n", (No, No, No)),
        ] {
            let text = String::from_utf8_lossy(bytes);
            let found = (baidu_std.detect(bytes), original.detect(bytes), lenient.detect(bytes));
            assert_eq!(found, expected, "{text}");
        }
        let mut endless = b"POST / HTTP/1.1\r\n".to_vec();
        endless.resize(1 << 20, b'x');
        assert_eq!((original.detect(&endless), lenient.detect(&endless)), (No, No));
    }
}
