//! A server that stops.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastrpc::rt::{self, Deadline};

use super::support::*;

#[test]
fn what_is_in_flight_is_answered_and_the_connection_closed() {
    let gate = Arc::new(Mutex::new((0, false)));
    let pass = gate.clone();
    let (server, addr) = serve(move |router| {
        router
            .route("GET", "/wait", move |_| {
                pass.lock().unwrap().0 += 1;
                while !pass.lock().unwrap().1 {
                    rt::sleep(Duration::from_millis(1)).unwrap();
                }
                "done"
            })
            .unwrap();
    });
    let mut idle = Peer::connect(&addr);
    idle.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.response().text(), "hello");
    let mut busy = Peer::connect(&addr);
    busy.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || gate.lock().unwrap().0 == 1);
    eventually("the end of the first one is counted", || server.stats().in_flight == 1);
    let server = Arc::new(server);
    let stopper = server.clone();
    let stopping = std::thread::spawn(move || stopper.stop(Deadline::after(LONG)));
    idle.assert_closed();
    gate.lock().unwrap().1 = true;
    let answer = busy.response();
    assert_eq!((answer.text(), answer.field("Connection")), ("done", Some("close")));
    busy.assert_closed();
    let report = stopping.join().unwrap();
    assert_eq!((report.finished, report.canceled), (1, 0));
    assert_eq!((server.stats().connections, server.stats().in_flight), (0, 0));
}

#[test]
fn a_connection_is_closed_after_its_request() {
    let own: Arc<Mutex<Option<Arc<fastrpc::Server>>>> = Arc::default();
    let ids = Arc::new(Mutex::new(Vec::new()));
    let (closing, seen) = (own.clone(), ids.clone());
    let (server, addr) = serve(move |router| {
        let note = seen.clone();
        router
            .route("GET", "/id", move |request| {
                note.lock().unwrap().push(request.connection_id());
                "noted"
            })
            .unwrap();
        router
            .route("GET", "/close", move |request| {
                let server = closing.lock().unwrap().clone().unwrap();
                server.close_connection(request.connection_id()).unwrap();
                rt::sleep(Duration::from_millis(5)).unwrap();
                "the last"
            })
            .unwrap();
    });
    let server = Arc::new(server);
    own.lock().unwrap().replace(server.clone());
    let (tx, closed) = std::sync::mpsc::channel();
    let tx = Mutex::new(tx);
    server.on_close(move |id| tx.lock().unwrap().send(id).unwrap());

    let mut peer = Peer::connect(&addr);
    peer.send("GET /close HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = peer.response();
    assert_eq!((answer.text(), answer.field("Connection")), ("the last", Some("close")));
    peer.assert_closed();
    closed.recv_timeout(LONG).unwrap();
    // One that waits for its next request.
    let mut idle = Peer::connect(&addr);
    idle.send("GET /id HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(idle.response().text(), "noted");
    let id = ids.lock().unwrap()[0];
    server.close_connection(id).unwrap();
    idle.assert_closed();
    assert_eq!(closed.recv_timeout(LONG), Ok(id));
    drop(own.lock().unwrap().take());
    assert_serves(&addr);
}

#[test]
fn the_request_in_flight_is_the_last() {
    let gate = Arc::new(Mutex::new((0, false)));
    let pass = gate.clone();
    let (server, addr) = serve(move |router| {
        router
            .route("GET", "/wait", move |_| {
                pass.lock().unwrap().0 += 1;
                while !pass.lock().unwrap().1 {
                    rt::sleep(Duration::from_millis(1)).unwrap();
                }
                "done"
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || gate.lock().unwrap().0 == 1);
    let server = Arc::new(server);
    let stopper = server.clone();
    let stopping = std::thread::spawn(move || stopper.stop(Deadline::after(LONG)));
    eventually("the listener closes", || std::net::TcpStream::connect(&addr).is_err());
    gate.lock().unwrap().1 = true;
    let last = peer.response();
    assert_eq!((last.text(), last.field("Connection")), ("done", Some("close")));
    peer.assert_closed();
    stopping.join().unwrap();
}

#[test]
fn at_the_deadline_it_is_cut_off() {
    let (server, addr) = serve(|router| {
        router
            .route("GET", "/forever", |_| {
                let slept = rt::sleep(LONG * 100);
                assert!(slept.is_err(), "the stop cancels it");
                "canceled"
            })
            .unwrap()
            .route_deferred("GET", "/never", |_, responder| std::mem::forget(responder))
            .unwrap();
    });
    let mut peers: Vec<Peer> = Vec::new();
    for path in ["/forever", "/never"] {
        let mut peer = Peer::connect(&addr);
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        peers.push(peer);
    }
    eventually("the requests", || server.stats().in_flight == 2);
    let report = server.stop(Deadline::after(Duration::from_millis(50)));
    assert_eq!(report.canceled, 2);
    for peer in &mut peers {
        peer.rest();
    }
    eventually("all is counted home", || {
        server.stats().connections == 0 && server.stats().in_flight == 0
    });
}
