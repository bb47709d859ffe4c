//! What one peer, or many, can make the server keep.

use std::io::Write;
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::{Server, ServerOptions};

use super::support::*;

#[test]
fn connections_beyond_the_limit_are_closed_at_once() {
    let mut options = ServerOptions::default();
    options.max_connections = 3;
    let (server, addr) = server(options);
    let mut peers: Vec<Peer> = Vec::new();
    for id in 0..3 {
        let mut peer = Peer::connect(&addr);
        peer.send(&request(id, "Echo", b"x"));
        assert_eq!(peer.receive().unwrap().body, b"x");
        peers.push(peer);
    }
    Peer::connect(&addr).assert_closed();
    Peer::connect(&addr).assert_closed();
    assert_eq!((server.stats().connections, server.stats().rejected), (3, 2));
    peers.pop();
    eventually("a place is free", || server.stats().connections == 2);
    assert_serves(&addr);
}

#[test]
fn calls_in_flight_are_limited_by_not_reading() {
    let mut options = ServerOptions::default();
    options.rpc.max_in_flight = 10;
    init();
    let server = Server::new(options);
    let gate = Gate::default();
    let handler = gate.clone();
    let most = std::sync::Arc::new(std::sync::Mutex::new((0, 0)));
    let seen = most.clone();
    server
        .add_method("echo.EchoService", "Wait", move |call| {
            {
                let mut seen = seen.lock().unwrap();
                seen.0 += 1;
                seen.1 = seen.1.max(seen.0);
            }
            handler.pass();
            seen.lock().unwrap().0 -= 1;
            let body = call.request().to_vec();
            call.reply(&body);
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = Peer::connect(&addr);
    let calls: Vec<u8> = (1..=200).flat_map(|id| request(id, "Wait", b"x")).collect();
    peer.send(&calls);
    eventually("ten calls run", || most.lock().unwrap().0 == 10);
    gate.open();
    let mut ids: Vec<i64> = (0..200).map(|_| peer.receive().unwrap().id()).collect();
    ids.sort();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    assert_eq!(most.lock().unwrap().1, 10, "never more than the limit");
}

#[test]
fn a_peer_that_never_reads_is_closed_and_its_answers_dropped() {
    let mut options = ServerOptions::default();
    options.rpc.max_unsent = 1 << 20;
    options.rpc.write_stall = Duration::from_millis(300);
    let (server, addr) = server(options);
    let mut peer = Peer::connect(&addr);
    let call = request(1, "Echo", &vec![7; 100_000]);
    // Far more than the socket buffers and the limit hold: at some point the server reads no more
    // and our own write stalls, then breaks.
    peer.0.set_write_timeout(Some(LONG)).unwrap();
    let start = Instant::now();
    let mut sent = 0;
    while peer.0.write_all(&call).is_ok() {
        sent += call.len();
        assert!(start.elapsed() < LONG, "{sent} bytes were taken without end");
    }
    eventually("it is gone", || server.stats().connections == 0);
    let stats = server.stats();
    assert_eq!(stats.bad_peers, 1);
    assert_eq!(stats.in_flight, 0);
    assert!(stats.bytes_in < 64 << 20, "{stats:?}");
    assert_serves(&addr);
}

#[test]
fn a_slow_reader_gets_everything() {
    let mut options = ServerOptions::default();
    options.rpc.max_unsent = 1 << 20;
    let (_server, addr) = server(options);
    let mut peer = Peer::connect(&addr);
    let mut writer = Peer::over(peer.0.try_clone().unwrap());
    let writing = std::thread::spawn(move || {
        for id in 1..=300 {
            writer.send(&request(id, "Echo", &vec![id as u8; 100_000]));
        }
    });
    let mut ids: Vec<i64> = Vec::new();
    for _ in 0..300 {
        let frame = peer.receive().unwrap();
        assert_eq!(frame.body, vec![frame.id() as u8; 100_000]);
        ids.push(frame.id());
    }
    writing.join().unwrap();
    ids.sort();
    assert_eq!(ids, (1..=300).collect::<Vec<_>>());
}

#[test]
fn a_client_has_limits_too() {
    let (_server, addr) = server(ServerOptions::default());
    in_coroutine(move || {
        // Made here, the clients live on this worker, and nothing leaves before this suspends.
        let mut options = ClientOptions::default();
        options.max_in_flight = 5;
        let many = Client::new(&addr, options).unwrap();
        let mut options = ClientOptions::default();
        options.max_unsent = 1000;
        let large = Client::new(&addr, options).unwrap();
        let (tx, rx) = std::sync::mpsc::channel();
        let sleep = |client: &Client, body: &[u8]| {
            let tx = tx.clone();
            let options = CallOptions::default();
            client.call_async("echo.EchoService", "Sleep", body, &options, move |outcome| {
                tx.send(outcome.map(drop)).unwrap();
            });
        };
        for _ in 0..8 {
            sleep(&many, b"100");
        }
        for _ in 0..3 {
            sleep(&large, "0".repeat(999).as_bytes());
        }
        drop(tx);
        let mut refused = 0;
        for _ in 0..11 {
            let outcome = loop {
                match rx.try_recv() {
                    Ok(outcome) => break outcome,
                    Err(_) => fastrpc::rt::sleep(Duration::from_millis(1)).unwrap(),
                }
            };
            if let Err(error) = outcome {
                assert!(error.is_overcrowded() && error.code() == 1011, "{error:?}");
                refused += 1;
            }
        }
        assert_eq!(refused, 3 + 2);
    });
}
