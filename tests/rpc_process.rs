//! Servers that are processes of their own: killed, restarted, stopped by a signal.

use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, mpsc};
use std::time::{Duration, Instant};

use fastrpc::rpc::{Call, CallOptions, Client, ClientOptions, Protocol, Response};
use fastrpc::{Server, ServerOptions};

const WORKERS: usize = 1;

mod common;
#[allow(dead_code, reason = "no test program uses all of it")]
#[path = "rpc/support.rs"]
mod support;

use support::*;

#[test]
#[ignore = "not a test: the server process of the tests below"]
fn server_process() {
    static KEPT: Mutex<Vec<Call>> = Mutex::new(Vec::new());
    init();
    let server = Server::new(ServerOptions::default());
    add_methods(&server);
    server.add_method("echo.EchoService", "Keep", |call| KEPT.lock().unwrap().push(call)).unwrap();
    let wish = std::env::var("FASTRPC_TEST_LISTEN").expect("set by the test that starts this");
    let addr = server.listen(&wish).unwrap();
    println!("listening on {addr}");
    let before = action(libc::SIGTERM);
    let signal = server.run_until_signal(LONG).unwrap();
    assert_eq!(action(libc::SIGTERM), before, "the program's own handler is back");
    let again = server.run_until_signal(LONG);
    assert!(matches!(again, Ok(0)), "a stopped server does not wait: {again:?}");
    println!("stopped by {signal}");
}

#[test]
#[ignore = "not a test: the client process of the tests below"]
fn client_process() {
    init();
    let addr = std::env::var("FASTRPC_TEST_CONNECT").expect("set by the test that starts this");
    let mut options = ClientOptions::default();
    if std::env::var_os("FASTRPC_TEST_ORIGINAL").is_some() {
        options.protocol = Protocol::Original;
    }
    let client = Client::new(&addr, options).unwrap();
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
    println!("connected to {addr}");
    std::thread::sleep(LONG);
}

/// The handler of a signal.
fn action(signal: libc::c_int) -> usize {
    // SAFETY: all zeroes is a valid sigaction.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: asks only; `action` is valid to write to.
    assert_eq!(unsafe { libc::sigaction(signal, std::ptr::null(), &mut action) }, 0);
    action.sa_sigaction
}

struct Process {
    child: Child,
    addr: String,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Process {
    fn start(listen: &str) -> Process {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["server_process", "--exact", "--ignored", "--nocapture"])
            .env("FASTRPC_TEST_LISTEN", listen)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let addr = loop {
            let line = lines.next().expect("the server came up").unwrap();
            if let Some((_, addr)) = line.split_once("listening on ") {
                break addr.to_owned();
            }
        };
        Process { child, addr, lines }
    }

    /// Whether it has a handler for `signal` (proc(5)).
    fn catches(&self, signal: libc::c_int) -> bool {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        let mask = u64::from_str_radix(mask.trim(), 16).unwrap();
        mask & 1 << (signal - 1) != 0
    }

    fn signal(&self, signal: libc::c_int) {
        // SAFETY: a process of ours that was not waited for yet.
        assert_eq!(unsafe { libc::kill(self.child.id() as libc::pid_t, signal) }, 0);
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_killed_server_ends_a_thousand_calls_once_and_at_once() {
    init();
    in_time(Duration::from_millis(100), kill_with_a_thousand_in_flight);
}

/// How long the slowest of the calls took to end.
fn kill_with_a_thousand_in_flight() -> Duration {
    let first = Process::start("127.0.0.1:0");
    let addr = first.addr.clone();
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    let (tx, rx) = mpsc::channel();
    for i in 0..1000 {
        let tx = tx.clone();
        let options = CallOptions::new().timeout(LONG);
        client.call_async("echo.EchoService", "Keep", b"x", &options, move |outcome| {
            tx.send((i, outcome.unwrap_err(), Instant::now())).unwrap();
        });
    }
    drop(tx);
    // Answered after those before it have reached the server.
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
    assert_eq!(client.stats().in_flight, 1000);
    let killed = Instant::now();
    first.signal(libc::SIGKILL);
    let mut seen = HashSet::new();
    let mut slowest = Duration::ZERO;
    for _ in 0..1000 {
        let (i, error, at) = rx.recv_timeout(LONG).unwrap();
        assert!(seen.insert(i), "{i} ended twice");
        assert!(error.is_closed() && error.code() == 1009, "{error:?}");
        assert!(error.text().contains(&addr), "{error:?}");
        slowest = slowest.max(at - killed);
    }
    assert!(rx.recv_timeout(LONG).is_err(), "a call ended twice");
    println!("the slowest of 1000 calls ended after {slowest:?}");

    drop(first);
    let _second = Process::start(&addr);
    let start = Instant::now();
    eventually("the same client works", || call(&client, "Echo", b"y") == Ok(b"y".to_vec()));
    println!("it worked again after {:?}", start.elapsed());
    slowest
}

#[test]
fn a_killed_client_is_a_closed_connection() {
    let (server, addr) = server(ServerOptions::default());
    let (tx, closed) = mpsc::channel();
    let tx = Mutex::new(tx);
    server.on_close(move |id| tx.lock().unwrap().send(id).unwrap());
    for original in [false, true] {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command
            .args(["client_process", "--exact", "--ignored", "--nocapture"])
            .env("FASTRPC_TEST_CONNECT", &addr)
            .stdout(Stdio::piped());
        if original {
            command.env("FASTRPC_TEST_ORIGINAL", "1");
        }
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("connected to")), "the client came up");
        assert!(closed.try_recv().is_err(), "it is still there");
        child.kill().unwrap();
        child.wait().unwrap();
        closed.recv_timeout(LONG).expect("the server is told");
        assert!(closed.recv_timeout(Duration::from_millis(20)).is_err(), "told twice");
    }
}

#[test]
fn a_killed_server_is_a_lost_connection() {
    init();
    for protocol in [Protocol::BaiduStd, Protocol::Original] {
        let process = Process::start("127.0.0.1:0");
        let mut options = ClientOptions::default();
        options.protocol = protocol;
        let client = Client::new(&process.addr, options).unwrap();
        let (tx, lost) = mpsc::channel();
        let tx = Mutex::new(tx);
        client.on_close(move |error| tx.lock().unwrap().send(error.code()).unwrap());
        assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
        process.signal(libc::SIGKILL);
        assert_eq!(lost.recv_timeout(LONG), Ok(1009.into()));
    }
}

#[test]
fn a_signal_stops_the_server_after_its_calls() {
    init();
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut process = Process::start("127.0.0.1:0");
        let client = Client::new(&process.addr, ClientOptions::default()).unwrap();
        let (tx, rx) = mpsc::channel();
        client.call_async(
            "echo.EchoService",
            "Sleep",
            b"300",
            &CallOptions::default(),
            move |outcome| tx.send(outcome.map(Response::into_body)).unwrap(),
        );
        assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
        // It listens before it watches for signals.
        eventually("it watches for signals", || process.catches(signal));
        process.signal(signal);
        assert_eq!(rx.recv_timeout(LONG).unwrap().unwrap(), b"300");
        let last = process.lines.by_ref().map(Result::unwrap).find(|l| l.contains("stopped by"));
        assert!(last.is_some_and(|line| line.contains(&format!("stopped by {signal}"))));
        assert!(process.child.wait().unwrap().success());
    }
}
