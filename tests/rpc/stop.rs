//! The end of a server.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Response};
use fastrpc::rt::{self, Deadline};
use fastrpc::{Server, ServerOptions};

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
            tx.send(outcome.map(Response::into_body)).unwrap();
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
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let tx = std::sync::Mutex::new(tx);
    server
        .add_method("echo.EchoService", "Forever", move |call| {
            while !call.is_canceled() {
                let _ = rt::sleep(Duration::from_millis(1));
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
fn handlers_that_wait_are_cancelled_at_the_deadline() {
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let add = |method: &str, answers_first: bool| {
        let tx = tx.clone();
        let handler = move |call: fastrpc::rpc::Call| {
            let call = if answers_first {
                call.reply(b"early");
                None
            } else {
                Some(call)
            };
            let error = rt::sleep(LONG * 1000).unwrap_err();
            drop(call);
            tx.send((answers_first, error.raw_os_error())).unwrap();
        };
        server.add_method("echo.EchoService", method, handler).unwrap();
    };
    add("Never", false);
    add("Later", true);
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut gone = Peer::connect(&addr);
    gone.send(&request(1, "Never", b""));
    eventually("the call has come", || server.stats().in_flight == 1);
    // With a reset: a peer that only closes its side still gets its answer.
    socket2::SockRef::from(&gone.0).set_linger(Some(Duration::ZERO)).unwrap();
    drop(gone);
    eventually("its peer has gone", || server.stats().connections == 0);
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Later", b""));
    assert_eq!(peer.receive().unwrap().body, b"early");
    peer.send(&request(2, "Never", b""));
    eventually("the call has come", || server.stats().calls == 3);

    server.stop(Deadline::after(Duration::from_millis(50)));
    // All of them have ended when the stop has.
    let mut ended: Vec<_> = rx.try_iter().collect();
    ended.sort();
    let canceled = Some(libc::ECANCELED);
    assert_eq!(ended, [(false, canceled), (false, canceled), (true, canceled)]);
    assert_eq!(peer.receive().unwrap().code(), 2003);
    peer.assert_closed();
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
