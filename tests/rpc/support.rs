//! Servers, and peers that speak the protocol by hand.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use fastrpc::rpc::{CallOptions, Client, ClientOptions, ReplyOptions, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};
use prost::Message;

#[allow(unused_imports, reason = "not every test program uses all of it")]
pub(crate) use crate::common::{
    LONG, eventually, in_coroutine, init, open_fds, raise_fd_limit, resident,
};

/// A server with the methods below, on a free port.
///
/// - `Echo` answers what it gets, attachment and compression included.
/// - `Sleep` sleeps for as many milliseconds as the request says, then echoes.
/// - `Fail` answers 2042 "refused by handler".
/// - `Panic` panics with the request as the text.
/// - `Forget` drops the call.
pub(crate) fn server(options: ServerOptions) -> (Server, String) {
    init();
    let server = Server::new(options);
    add_methods(&server);
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    (server, addr)
}

pub(crate) fn add_methods(server: &Server) {
    let service = "echo.EchoService";
    server
        .add_method(service, "Echo", |call| {
            let (body, attachment) = (call.request().to_vec(), call.attachment().to_vec());
            let compress = call.compress();
            let options = ReplyOptions::new().attachment(&attachment).compress(compress);
            call.reply_with(&body, &options);
        })
        .unwrap();
    server
        .add_method(service, "Sleep", |call| {
            let millis = std::str::from_utf8(call.request()).unwrap().parse().unwrap();
            rt::sleep(Duration::from_millis(millis)).unwrap();
            let body = call.request().to_vec();
            call.reply(&body);
        })
        .unwrap();
    server.add_method(service, "Fail", |call| call.fail(2042, "refused by handler")).unwrap();
    server
        .add_method(service, "Panic", |call| {
            panic!("{}", String::from_utf8_lossy(call.request()).into_owned())
        })
        .unwrap();
    server.add_method(service, "Forget", drop).unwrap();
}

pub(crate) fn client(addr: &str) -> Client {
    init();
    Client::new(addr, ClientOptions::default()).unwrap()
}

pub(crate) fn call(client: &Client, method: &str, body: &[u8]) -> Result<Vec<u8>, (i32, String)> {
    client
        .call("echo.EchoService", method, body, &CallOptions::default())
        .map(Response::into_body)
        .map_err(|error| (error.code().number(), error.text().to_owned()))
}

/// The server still answers somebody else.
pub(crate) fn assert_serves(addr: &str) {
    assert_eq!(call(&client(addr), "Echo", b"still there"), Ok(b"still there".to_vec()));
}

/// A gate that handlers wait at: opened once, for all.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }

    /// For coroutines: suspends until the gate is open.
    pub(crate) fn pass(&self) {
        while !*self.0.0.lock().unwrap() {
            rt::sleep(Duration::from_millis(1)).unwrap();
        }
    }
}

/// A peer that speaks by hand.
pub(crate) struct Peer(pub TcpStream);

impl Peer {
    pub(crate) fn connect(addr: &str) -> Peer {
        Peer::over(TcpStream::connect(addr).unwrap())
    }

    pub(crate) fn over(stream: TcpStream) -> Peer {
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(LONG)).unwrap();
        stream.set_write_timeout(Some(LONG)).unwrap();
        Peer(stream)
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// The next frame; `None` at the end of the stream, however it ends.
    pub(crate) fn receive(&mut self) -> Option<Frame> {
        let mut head = [0; 12];
        self.read_exact(&mut head)?;
        assert_eq!(&head[..4], b"PRPC");
        let size = |at: usize| u32::from_be_bytes(head[at..at + 4].try_into().unwrap()) as usize;
        let mut rest = vec![0; size(4)];
        self.read_exact(&mut rest)?;
        let body = rest.split_off(size(8));
        Some(Frame { meta: Meta::decode(&rest[..]).unwrap(), body })
    }

    fn read_exact(&mut self, buffer: &mut [u8]) -> Option<()> {
        match self.0.read_exact(buffer) {
            Ok(()) => Some(()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                panic!("nothing came in {LONG:?}")
            }
            Err(_) => None,
        }
    }

    #[track_caller]
    pub(crate) fn assert_closed(&mut self) {
        let next = self.receive();
        assert!(next.is_none(), "not closed, but {next:?}");
    }
}

#[derive(Debug)]
pub(crate) struct Frame {
    pub(crate) meta: Meta,
    /// With the attachment.
    pub(crate) body: Vec<u8>,
}

impl Frame {
    pub(crate) fn code(&self) -> i32 {
        self.meta.response.as_ref().map_or(0, |response| response.code.unwrap_or(0))
    }

    pub(crate) fn text(&self) -> &str {
        self.meta.response.as_ref().and_then(|response| response.text.as_deref()).unwrap_or("")
    }

    pub(crate) fn id(&self) -> i64 {
        self.meta.correlation_id.unwrap_or(0)
    }
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Meta {
    #[prost(message, optional, tag = "1")]
    pub(crate) request: Option<RequestMeta>,
    #[prost(message, optional, tag = "2")]
    pub(crate) response: Option<ResponseMeta>,
    #[prost(int32, optional, tag = "3")]
    pub(crate) compress: Option<i32>,
    #[prost(int64, optional, tag = "4")]
    pub(crate) correlation_id: Option<i64>,
    #[prost(int32, optional, tag = "5")]
    pub(crate) attachment_size: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct RequestMeta {
    #[prost(string, tag = "1")]
    pub(crate) service: String,
    #[prost(string, tag = "2")]
    pub(crate) method: String,
    #[prost(int64, optional, tag = "3")]
    pub(crate) log_id: Option<i64>,
    #[prost(string, optional, tag = "7")]
    pub(crate) request_id: Option<String>,
    #[prost(int32, optional, tag = "8")]
    pub(crate) timeout_ms: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct ResponseMeta {
    #[prost(int32, optional, tag = "1")]
    pub(crate) code: Option<i32>,
    #[prost(string, optional, tag = "2")]
    pub(crate) text: Option<String>,
}

pub(crate) fn frame(meta: &Meta, body: &[u8]) -> Vec<u8> {
    frame_of(&meta.encode_to_vec(), body)
}

/// A frame whose meta is any bytes.
pub(crate) fn frame_of(meta: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = b"PRPC".to_vec();
    out.extend(((meta.len() + body.len()) as u32).to_be_bytes());
    out.extend((meta.len() as u32).to_be_bytes());
    out.extend(meta);
    out.extend(body);
    out
}

pub(crate) fn request_meta(id: i64, service: &str, method: &str) -> Meta {
    Meta {
        request: Some(RequestMeta {
            service: service.into(),
            method: method.into(),
            ..RequestMeta::default()
        }),
        correlation_id: Some(id),
        ..Meta::default()
    }
}

/// A call of the echo service.
pub(crate) fn request(id: i64, method: &str, body: &[u8]) -> Vec<u8> {
    frame(&request_meta(id, "echo.EchoService", method), body)
}

pub(crate) fn answer(id: i64, body: &[u8]) -> Vec<u8> {
    let response = Some(ResponseMeta { code: Some(0), text: None });
    frame(&Meta { response, correlation_id: Some(id), ..Meta::default() }, body)
}

/// Runs `attempt` until one takes less than `bound`, five times at most: what else the machine does
/// for a moment is not our slowness.
pub(crate) fn in_time(bound: Duration, attempt: impl Fn() -> Duration) {
    let slow: Vec<_> = (0..5).map(|_| attempt()).take_while(|took| *took >= bound).collect();
    assert!(slow.len() < 5, "each took longer than {bound:?}: {slow:?}");
}
