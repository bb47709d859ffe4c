//! A peer whose machine has gone says nothing, not even that it has gone. Played in a network
//! namespace of its own, whose loopback device is switched off.

use std::process::Command;
use std::sync::mpsc;
use std::time::Duration;

use fastrpc::ServerOptions;
use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt::{self, Deadline};

const WORKERS: usize = 1;

mod common;
#[allow(dead_code, reason = "no test program uses all of it")]
#[path = "rpc/support.rs"]
mod support;

use support::*;

#[test]
fn an_unreachable_peer_is_gone_for_client_and_server() {
    let exe = std::env::current_exe().unwrap();
    let output = Command::new("unshare")
        .args(["--map-root-user", "--net"])
        .arg(exe)
        .args(["unreachable_process", "--exact", "--ignored", "--nocapture"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if said.contains("unshare failed") {
        eprintln!("skipped: this machine gives us no network namespace: {said}");
        return;
    }
    assert!(output.status.success(), "{output:?}");
}

#[test]
#[ignore = "not a test: the process, in its own network, of the test above"]
fn unreachable_process() {
    switch_loopback(true);
    let mut options = ServerOptions::default();
    options.peer_timeout = Some(Duration::from_secs(1));
    let (server, addr) = server(options);
    let mut options = ClientOptions::default();
    options.peer_timeout = Some(Duration::from_secs(1));
    let client = Client::new(&addr, options).unwrap();
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
    assert_eq!(server.stats().connections, 1);

    switch_loopback(false);
    let (tx, rx) = mpsc::channel();
    let options = CallOptions::new().timeout(LONG);
    client.call_async("echo.EchoService", "Echo", b"y", &options, move |outcome| {
        tx.send(outcome.unwrap_err()).unwrap();
    });
    let error = rx.recv_timeout(LONG).unwrap();
    assert!(error.is_closed(), "long before its own time-out of {LONG:?}: {error:?}");
    // The server has sent nothing: it finds out by asking.
    eventually("the server drops the connection", || server.stats().connections == 0);

    switch_loopback(true);
    assert!(client.connect(Deadline::after(LONG)).is_ok());
    assert_eq!(call(&client, "Echo", b"z"), Ok(b"z".to_vec()));
    rt::sleep(Duration::from_secs(3)).unwrap();
    assert_eq!(server.stats().connections, 1, "a peer that is there may be silent");
}

/// Sets the device `lo` of this network namespace up or down (netdevice(7)).
fn switch_loopback(up: bool) {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").unwrap();
    // SAFETY: all zeroes is a valid `ifreq`.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    request.ifr_name[0] = b'l' as libc::c_char;
    request.ifr_name[1] = b'o' as libc::c_char;
    request.ifr_ifru.ifru_flags = if up { libc::IFF_UP as libc::c_short } else { 0 };
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: a valid `ifreq` for a request that takes one.
    assert_eq!(unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &request) }, 0);
}
