//! A server with a protocol of the program's own: the example of docs/adding-a-protocol.md, beside
//! RPC and HTTP on one port.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

const WORKERS: usize = 1;

mod common;

use common::{LONG, eventually, init};

use self::lines::Lines;

#[rustfmt::skip] // as wide as the document
mod lines {
// The example begins.
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fastrpc::rt::Deadline;
use fastrpc::server::{Conn, Detected, End, FirstBytes, Protocol};

/// Answers lines: a connection begins with `lines/1` and then sends one request a line.
pub struct Lines<F> {
    pub answer: F,
}

impl<F: Fn(&str) -> String + Send + Sync + 'static> Protocol for Lines<F> {
    fn name(&self) -> &'static str {
        "lines"
    }

    fn detect(&self, first: &[u8]) -> Detected {
        if first.starts_with(GREETING) {
            Detected::Yes
        } else if GREETING.starts_with(first) {
            Detected::NeedMore
        } else {
            Detected::No
        }
    }

    fn serve(&self, conn: &Arc<Conn>, first: FirstBytes) -> End {
        self.run(conn, first.bytes).err().unwrap_or(End::Closed)
    }
}

impl<F: Fn(&str) -> String> Lines<F> {
    fn run(&self, conn: &Arc<Conn>, mut bytes: Vec<u8>) -> Result<(), End> {
        bytes.drain(..GREETING.len());
        let mut buffer = [0; 1024];
        loop {
            while let Some(end) = bytes.iter().position(|&byte| byte == b'\n') {
                let line: Vec<u8> = bytes.drain(..=end).collect();
                let request = conn.begin_request(); // in flight, for a stop to wait for
                let answer = (self.answer)(String::from_utf8_lossy(&line).trim_end());
                conn.write_all(format!("{answer}\n").as_bytes(), Deadline::after(TIMEOUT))?;
                drop(request);
                if conn.is_draining() {
                    conn.hang_up();
                    return Ok(());
                }
            }
            if bytes.len() > MAX_LINE {
                return Err(End::Bad("its line is too long".into()));
            }
            match conn.read(&mut buffer, Deadline::after(TIMEOUT)) {
                Ok(0) => return Err(End::PeerClosed),
                Ok(count) => bytes.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

const GREETING: &[u8] = b"lines/1\n";
const MAX_LINE: usize = 1000;
const TIMEOUT: Duration = Duration::from_secs(30);
// The example ends.
}

#[test]
fn the_document_shows_this_example() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/");
    let source = std::fs::read_to_string(format!("{root}tests/server_protocol.rs")).unwrap();
    let (_, after) = source.split_once("// The example begins.\n").unwrap();
    let (example, _) = after.split_once("// The example ends.\n").unwrap();
    let text = std::fs::read_to_string(format!("{root}docs/adding-a-protocol.md")).unwrap();
    assert!(text.contains(&format!("```rust\n{example}```\n")), "it shows another one");
}

/// A server with all protocols, and its address.
fn serve(
    options: ServerOptions,
    answer: impl Fn(&str) -> String + Send + Sync + 'static,
) -> (Server, String) {
    init();
    let server = Server::new(options);
    server.add_protocol(Lines { answer });
    server.add_method("demo.Echo", "Say", |call| call.reply(b"by a call")).unwrap();
    server.route("GET", "/hello", |_| "by a request").unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    (server, addr)
}

fn connect(addr: &str, bytes: &[u8]) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(LONG)).unwrap();
    stream.write_all(bytes).unwrap();
    stream
}

#[track_caller]
fn assert_reads(stream: &mut TcpStream, expected: &str) {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes).unwrap();
    assert_eq!(String::from_utf8_lossy(&bytes), expected);
}

#[track_caller]
fn assert_closed(stream: &mut TcpStream) {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_) => assert_eq!(String::from_utf8_lossy(&rest), ""),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}"),
    }
}

#[test]
fn it_is_served_beside_the_others_on_one_port() {
    let (server, addr) = serve(ServerOptions::new(), |line| line.to_uppercase());
    let mut lines = connect(&addr, b"lines/1\none\ntw");
    assert_reads(&mut lines, "ONE\n");
    lines.write_all(b"o\nthree\n").unwrap();
    assert_reads(&mut lines, "TWO\nTHREE\n");

    let client = Client::new(&*addr, ClientOptions::default()).unwrap();
    let response = client.call("demo.Echo", "Say", b"", &CallOptions::default()).unwrap();
    assert_eq!(response.body(), b"by a call");
    let request = b"GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let mut page = String::new();
    connect(&addr, request).read_to_string(&mut page).unwrap();
    assert!(page.ends_with("by a request"), "{page}");

    eventually("all is counted", || server.stats().calls == 5);
    let of = |name| server.protocol_stats(name).unwrap();
    assert_eq!((of("lines").requests, of("lines").connections), (3, 1));
    assert_eq!((of("lines").bytes_in, of("lines").bytes_out), (22, 14));
    assert_eq!((of("baidu_std").requests, of("http/1.1").requests), (1, 1));
    assert!(server.protocol_stats("other").is_none());
}

#[test]
fn a_greeting_that_comes_byte_by_byte_is_known() {
    let (_server, addr) = serve(ServerOptions::new(), str::to_owned);
    let mut lines = connect(&addr, b"");
    for byte in b"lines/1\nslow\n" {
        lines.write_all(&[*byte]).unwrap();
    }
    assert_reads(&mut lines, "slow\n");
}

#[test]
fn a_greeting_that_is_not_finished_is_somebody_elses() {
    let options = ServerOptions::new().detect_timeout(Duration::from_millis(50));
    let (server, addr) = serve(options, str::to_owned);
    // HTTP takes what is left, and says that it took too long.
    let mut page = String::new();
    connect(&addr, b"line").read_to_string(&mut page).unwrap();
    assert!(page.starts_with("HTTP/1.1 408 "), "{page}");
    assert_eq!(server.protocol_stats("lines").unwrap().connections, 0);
}

#[test]
fn a_peer_that_breaks_the_rules_is_closed_and_counted() {
    let (server, addr) = serve(ServerOptions::new(), str::to_owned);
    let (tx, closed) = mpsc::channel();
    let tx = Mutex::new(tx);
    server.on_close(move |id| tx.lock().unwrap().send(id).unwrap());
    let mut bad = connect(&addr, &[b"lines/1\n", &[b'x'; 2000][..]].concat());
    assert_closed(&mut bad);
    let first = closed.recv_timeout(LONG).unwrap();
    let mut half = connect(&addr, b"lines/1\nlast\n");
    half.shutdown(Shutdown::Write).unwrap();
    assert_reads(&mut half, "last\n");
    assert_closed(&mut half);
    assert_ne!(closed.recv_timeout(LONG).unwrap(), first);
    assert_eq!(server.protocol_stats("lines").unwrap().bad_peers, 1);
}

/// A function that answers once the gate is open, and who opens it.
fn gated() -> (impl Fn(&str) -> String + Send + Sync, Arc<Mutex<bool>>) {
    let gate = Arc::new(Mutex::new(false));
    let pass = gate.clone();
    let answer = move |line: &str| {
        while !*pass.lock().unwrap() {
            rt::sleep(Duration::from_millis(1)).unwrap();
        }
        line.to_owned()
    };
    (answer, gate)
}

#[test]
fn a_stop_waits_for_what_is_in_flight() {
    let (answer, gate) = gated();
    let (server, addr) = serve(ServerOptions::new(), answer);
    let mut idle = connect(&addr, b"lines/1\n");
    let mut busy = connect(&addr, b"lines/1\nwaits\n");
    eventually("both are known", || server.protocol_stats("lines").unwrap().connections == 2);
    eventually("one is in flight", || server.stats().in_flight == 1);
    let stopping = std::thread::spawn(move || server.stop(rt::Deadline::after(LONG)));
    assert_closed(&mut idle);
    *gate.lock().unwrap() = true;
    assert_reads(&mut busy, "waits\n");
    assert_closed(&mut busy);
    let report = stopping.join().unwrap();
    assert_eq!((report.finished, report.canceled), (1, 0));
}

#[test]
fn a_stop_that_runs_out_of_time_cuts_it_off() {
    let (answer, gate) = gated();
    let (server, addr) = serve(ServerOptions::new(), answer);
    let mut busy = connect(&addr, b"lines/1\nwaits\n");
    eventually("it is in flight", || server.stats().in_flight == 1);
    let report = server.stop(rt::Deadline::after(Duration::from_millis(50)));
    assert_eq!((report.finished, report.canceled), (0, 1));
    assert_closed(&mut busy);
    *gate.lock().unwrap() = true;
    eventually("it has left", || server.stats().connections == 0);
}
