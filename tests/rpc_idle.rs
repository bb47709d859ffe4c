//! Ten thousand connections that say nothing: the server keeps serving, and they are cheap.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use fastrpc::ServerOptions;

const WORKERS: usize = 1;
const CONNECTIONS: usize = 10_000;

mod common;
#[allow(dead_code, reason = "no test program uses all of it")]
#[path = "rpc/support.rs"]
mod support;

use support::*;

#[test]
fn ten_thousand_connections_that_say_nothing() {
    raise_fd_limit(CONNECTIONS as u64 + 500);
    let (server, addr) = server(ServerOptions::default());
    assert_serves(&addr);
    eventually("the first client is gone", || server.stats().connections == 0);
    let (fds, memory) = (open_fds(), resident());

    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["peers_process", "--exact", "--ignored", "--nocapture"])
        .env("FASTRPC_TEST_CONNECT", &addr)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut commands = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut said = |what: &str| lines.by_ref().any(|line| line.unwrap().contains(what));

    assert!(said("all connected"), "the peers failed");
    eventually("all are accepted", || server.stats().connections == CONNECTIONS as u64);
    assert_serves(&addr);
    let each = resident().saturating_sub(memory) / CONNECTIONS;
    println!("{each} bytes per idle connection");
    assert!(each < 12 << 10, "an idle connection takes {each} bytes");

    commands.write_all(b"\n").unwrap();
    assert!(said("all answered"), "the peers failed");
    let each = resident().saturating_sub(memory) / CONNECTIONS;
    println!("{each} bytes per connection that was busy once");
    assert!(each < 16 << 10, "a connection that was busy once takes {each} bytes");

    drop(commands);
    eventually("all are gone", || server.stats().connections == 0);
    eventually("their fds are closed", || open_fds() <= fds + 3);
    assert!(child.wait().unwrap().success());
    assert_serves(&addr);
}

#[test]
#[ignore = "not a test: the other ends of the connections of the test above"]
fn peers_process() {
    raise_fd_limit(CONNECTIONS as u64 + 500);
    let addr = std::env::var("FASTRPC_TEST_CONNECT").expect("set by the test that starts this");
    let quiet: Vec<TcpStream> =
        (0..CONNECTIONS).map(|_| TcpStream::connect(&addr).unwrap()).collect();
    println!("all connected");
    let mut line = String::new();
    std::io::stdin().read_line(&mut line).unwrap();
    for stream in &quiet {
        let mut peer = Peer::over(stream.try_clone().unwrap());
        peer.send(&request(1, "Echo", &[7; 5000]));
        assert_eq!(peer.receive().unwrap().body, [7; 5000]);
    }
    println!("all answered");
    std::io::stdin().read_line(&mut line).unwrap();
}
