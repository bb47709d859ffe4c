//! What a server promises beside answering.

use std::sync::mpsc;
use std::sync::{Arc, Mutex};

use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

use super::support::*;

#[test]
fn names_are_registered_once() {
    let server = Server::new(ServerOptions::default());
    server.add_method("a.B", "C", |call| call.reply(b"")).unwrap();
    assert!(server.add_method("a.B", "C", |call| call.reply(b"")).is_err());
    assert!(server.add_method("", "C", |call| call.reply(b"")).is_err());
    assert!(server.add_method("a.B", "", |call| call.reply(b"")).is_err());
    server.add_method("a.B", "D", |call| call.reply(b"")).unwrap();
}

#[test]
fn several_addresses_and_late_methods() {
    let (server, first) = server(ServerOptions::default());
    let second = server.listen("127.0.0.1:0").unwrap().to_string();
    assert_ne!(first, second);
    assert_eq!(server.local_addr().unwrap().to_string(), first);
    assert_serves(&first);
    assert_serves(&second);
    let client = client(&second);
    let options = CallOptions::default();
    assert_eq!(client.call("new.Service", "M", b"", &options).unwrap_err().code(), 1001);
    server.add_method("new.Service", "M", |call| call.reply(b"here")).unwrap();
    assert_eq!(client.call("new.Service", "M", b"", &options).unwrap().into_body(), b"here");
    assert!(server.listen(&first).is_err(), "the address is taken");
    assert!(server.listen("nonsense").is_err());
}

#[test]
fn a_call_learns_that_its_peer_is_gone() {
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    server
        .add_method("echo.EchoService", "Watch", move |call| {
            tx.lock().unwrap().send("started").unwrap();
            while !call.is_canceled() {
                rt::sleep(std::time::Duration::from_millis(1)).unwrap();
            }
            tx.lock().unwrap().send("canceled").unwrap();
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = Peer::connect(&addr);
    peer.send(&request(1, "Watch", b""));
    assert_eq!(rx.recv_timeout(LONG), Ok("started"));
    drop(peer);
    assert_eq!(rx.recv_timeout(LONG), Ok("canceled"));
    eventually("the connection is gone", || server.stats().connections == 0);
}

#[test]
fn a_handler_calls_another_server() {
    let (_back, back_addr) = server(ServerOptions::default());
    let front = Server::new(ServerOptions::default());
    let client = Arc::new(Client::new(&back_addr, ClientOptions::default()).unwrap());
    front
        .add_method("echo.EchoService", "Relay", move |request| {
            match call(&client, "Echo", request.request()) {
                Ok(body) => request.reply(&body),
                Err((code, text)) => request.fail(code, &text),
            }
        })
        .unwrap();
    let addr = front.listen("127.0.0.1:0").unwrap().to_string();
    let client = super::support::client(&addr);
    for i in 0..100u32 {
        let body = i.to_le_bytes();
        assert_eq!(call(&client, "Relay", &body), Ok(body.to_vec()));
    }
}
