//! The end of a server.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Server, ServerOptions};
use fastrpc::rt::{self, Deadline};

use super::support::*;

#[test]
fn calls_in_flight_end_first() {
    let (server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    let (tx, rx) = mpsc::channel();
    for _ in 0..10 {
        let tx = tx.clone();
        let options = CallOptions::default();
        client.call_async("echo.EchoService", "Sleep", b"200", &options, move |outcome| {
            tx.send(outcome.map(|response| response.body)).unwrap();
        });
    }
    eventually("the calls have come", || server.stats().in_flight == 10);
    let report = server.stop(Deadline::after(LONG));
    assert_eq!((report.finished, report.canceled, report.refused), (10, 0, 0));
    for _ in 0..10 {
        assert_eq!(rx.recv_timeout(LONG).unwrap().unwrap(), b"200");
    }
    server.wait();
    assert!(server.listen("127.0.0.1:0").is_err());
    assert!(std::net::TcpStream::connect(&addr).is_err(), "nobody listens");
    assert_eq!(server.stats().connections, 0);
}

#[test]
fn calls_made_after_the_stop_began_are_refused() {
    let (server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Sleep", b"300"));
    eventually("the call has come", || server.stats().in_flight == 1);
    let stopping = std::thread::spawn(move || server.stop(Deadline::after(LONG)));
    eventually("nobody listens", || std::net::TcpStream::connect(&addr).is_err());
    // The listener is closed before the connections learn of it: by the second call they have.
    peer.send(&request(2, "Echo", b"late"));
    let frame = peer.receive().unwrap();
    assert_eq!((frame.id(), frame.code()), (2, 2003), "{}", frame.text());
    let frame = peer.receive().unwrap();
    assert_eq!((frame.id(), frame.code()), (1, 0));
    peer.assert_closed();
    drop(peer);
    let report = stopping.join().unwrap();
    assert_eq!((report.finished, report.canceled, report.refused), (1, 0, 1));
}

#[test]
fn the_deadline_cuts_off_what_is_left() {
    start();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let tx = std::sync::Mutex::new(tx);
    server
        .add_method("echo.EchoService", "Forever", move |call| {
            while !call.is_canceled() {
                rt::sleep(Duration::from_millis(1)).unwrap();
            }
            call.reply(b"too late");
            tx.lock().unwrap().send(()).unwrap();
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Forever", b""));
    peer.send(&request(2, "Forever", b""));
    eventually("the calls have come", || server.stats().in_flight == 2);
    let start = Instant::now();
    let report = server.stop(Deadline::after(Duration::from_millis(100)));
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!((report.finished, report.canceled, report.refused), (0, 2, 0));
    for _ in 0..2 {
        assert_eq!(peer.receive().unwrap().code(), 2003);
    }
    peer.assert_closed();
    for _ in 0..2 {
        rx.recv_timeout(LONG).expect("the handler learns of it");
    }
    assert_eq!(server.stats().connections, 0);
}

#[test]
fn a_dropped_server_is_stopped() {
    let (server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Sleep", b"5000"));
    eventually("the call has come", || server.stats().in_flight == 1);
    drop(server);
    assert_eq!(peer.receive().unwrap().code(), 2003);
    peer.assert_closed();
    eventually("nobody listens", || std::net::TcpStream::connect(&addr).is_err());
}

#[test]
fn a_peer_that_does_not_close_delays_the_stop_but_little() {
    let (server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Echo", b"x"));
    assert_eq!(peer.receive().unwrap().body, b"x");
    let start = Instant::now();
    server.stop(Deadline::after(LONG));
    assert!(start.elapsed() < LONG / 2, "{:?}", start.elapsed());
    peer.assert_closed();
}

#[test]
fn stop_from_a_coroutine() {
    let (server, addr) = server(ServerOptions::default());
    assert_serves(&addr);
    in_coroutine(move || {
        let report = server.stop(Deadline::after(LONG));
        assert_eq!(report.canceled, 0);
        assert_eq!(server.stop(Deadline::after(LONG)), Default::default());
    });
}
