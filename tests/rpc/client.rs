//! What a client does when things go wrong.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Client, ClientOptions, Response};
use fastrpc::rt::{self, Deadline};
use fastrpc::{Server, ServerOptions};

use super::support::*;

/// An address that nobody listens on.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().to_string()
}

#[test]
fn nobody_listens() {
    init();
    let addr = nobody();
    let mut options = ClientOptions::default();
    // No second attempt within this test.
    options.backoff_min = Duration::from_secs(60);
    let client = Client::new(&addr, options).unwrap();
    let error = client.call("a.B", "C", b"", &CallOptions::default()).unwrap_err();
    assert!(error.is_connect() && error.code() == 1009, "{error:?}");
    assert!(error.text().contains(&addr) && error.text().contains("refused"), "{error:?}");
    // In the pause that follows calls fail at once, with the same reason.
    let start = Instant::now();
    let error = client.call("a.B", "C", b"", &CallOptions::default()).unwrap_err();
    assert!(error.is_connect() && error.text().contains("refused"), "{error:?}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(client.stats().failed_connects, 1);
    // Who asks for a connection does not wait for the pause to end.
    let error = client.connect(Deadline::after(LONG)).unwrap_err();
    assert!(error.is_connect(), "{error:?}");
    assert_eq!(client.stats().failed_connects, 2);
    assert!(!client.is_connected());
}

#[test]
fn the_pauses_grow_and_end() {
    init();
    let addr = nobody();
    let mut options = ClientOptions::default();
    options.backoff_min = Duration::from_millis(10);
    options.backoff_max = Duration::from_millis(40);
    let client = Client::new(&addr, options).unwrap();
    client.connect(Deadline::after(LONG)).unwrap_err();
    let start = Instant::now();
    eventually("it tries again by itself", || client.stats().failed_connects >= 6);
    // Five pauses of at least half of 10, 20, 40, 40, 40 ms.
    assert!(start.elapsed() >= Duration::from_millis(70), "{:?}", start.elapsed());
    let server = Server::new(ServerOptions::default());
    add_methods(&server);
    server.listen(&addr).unwrap();
    eventually("it finds the server by itself", || client.is_connected());
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
}

#[test]
fn a_broken_connection_ends_every_call_once() {
    init();
    in_time(Duration::from_millis(100), break_with_a_thousand_in_flight);
}

/// How long the slowest of the calls took to end.
fn break_with_a_thousand_in_flight() -> Duration {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let client = client(&addr);
    let (tx, rx) = mpsc::channel();
    for i in 0..1000 {
        let tx = tx.clone();
        let options = CallOptions::new().timeout(LONG);
        client.call_async("a.B", "C", b"x", &options, move |outcome| {
            tx.send((i, outcome.unwrap_err(), Instant::now())).unwrap();
        });
    }
    drop(tx);
    let mut peer = Peer::over(listener.accept().unwrap().0);
    for _ in 0..1000 {
        peer.receive().unwrap();
    }
    assert!(rx.try_recv().is_err(), "nothing has ended yet");
    let broken = Instant::now();
    drop(peer);
    let mut seen = HashSet::new();
    let mut slowest = Duration::ZERO;
    for _ in 0..1000 {
        let (i, error, at) = rx.recv_timeout(LONG).unwrap();
        assert!(seen.insert(i), "{i} ended twice");
        assert!(error.is_closed() && error.code() == 1009, "{error:?}");
        assert!(error.text().contains("closed the connection"), "{error:?}");
        slowest = slowest.max(at - broken);
    }
    assert!(rx.recv_timeout(LONG).is_err(), "a call ended twice");
    assert_eq!(client.stats().in_flight, 0);
    slowest
}

#[test]
fn the_same_client_after_a_restart() {
    let (first, addr) = server(ServerOptions::default());
    let client = client(&addr);
    assert_eq!(call(&client, "Echo", b"1"), Ok(b"1".to_vec()));
    first.stop(Deadline::after(LONG));
    eventually("the client notices", || !client.is_connected());
    let second = Server::new(ServerOptions::default());
    add_methods(&second);
    second.listen(&addr).unwrap();
    eventually("it works again", || call(&client, "Echo", b"2") == Ok(b"2".to_vec()));
    assert!(client.stats().connects >= 2);
}

#[test]
fn answers_nobody_waits_for() {
    init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::over(listener.accept().unwrap().0);
        let id = peer.receive().unwrap().id();
        for wrong in [0, 1, -1, i64::MAX, id + 1, id ^ (1 << 30)] {
            peer.send(&answer(wrong, b"wrong"));
        }
        // A request is no answer either.
        peer.send(&request(id, "Echo", b"wrong"));
        peer.send(&answer(id, b"right"));
        peer.send(&answer(id, b"twice"));
        peer.assert_closed();
    });
    let client = client(&addr);
    assert_eq!(call(&client, "Echo", b""), Ok(b"right".to_vec()));
    eventually("all are counted", || client.stats().unmatched == 8);
    drop(client);
    server.join().unwrap();
}

#[test]
fn a_server_that_answers_junk() {
    init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        for junk in [&b"HTTP/1.1 200 OK\r\n\r\n"[..], b"PRPC\xff\xff\xff\xff\0\0\0\0"] {
            let mut peer = Peer::over(listener.accept().unwrap().0);
            peer.receive().unwrap();
            peer.send(junk);
            peer.assert_closed();
        }
        // A body that cannot be unpacked is that call's matter alone.
        let mut peer = Peer::over(listener.accept().unwrap().0);
        let id = peer.receive().unwrap().id();
        let meta = Meta { correlation_id: Some(id), compress: Some(2), ..Meta::default() };
        peer.send(&frame(&meta, b"not gzip"));
        let id = peer.receive().unwrap().id();
        let meta = Meta { correlation_id: Some(id), attachment_size: Some(9), ..Meta::default() };
        peer.send(&frame(&meta, b"short"));
        let id = peer.receive().unwrap().id();
        peer.send(&answer(id, b"fine"));
    });
    let client = client(&addr);
    for _ in 0..2 {
        client.connect(Deadline::after(LONG)).unwrap();
        let error = client.call("a.B", "C", b"", &CallOptions::default()).unwrap_err();
        assert!(error.is_closed() && error.code() == 2002, "{error:?}");
    }
    client.connect(Deadline::after(LONG)).unwrap();
    for _ in 0..2 {
        let error = client.call("a.B", "C", b"", &CallOptions::default()).unwrap_err();
        assert!(!error.is_closed() && error.code() == 2002, "{error:?}");
    }
    assert_eq!(call(&client, "Echo", b""), Ok(b"fine".to_vec()));
    server.join().unwrap();
}

#[test]
fn a_half_closed_server_ends_the_calls() {
    init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let server = std::thread::spawn(move || {
        let mut peer = Peer::over(listener.accept().unwrap().0);
        let id = peer.receive().unwrap().id();
        peer.receive().unwrap();
        // The end comes right behind an answer.
        peer.send(&answer(id, b"first"));
        peer.0.shutdown(std::net::Shutdown::Write).unwrap();
        peer.assert_closed();
    });
    let client = client(&addr);
    let (tx, rx) = mpsc::channel();
    for _ in 0..2 {
        let tx = tx.clone();
        client.call_async("a.B", "C", b"", &CallOptions::default(), move |outcome| {
            tx.send(outcome.map(Response::into_body).map_err(|error| error.is_closed())).unwrap();
        });
    }
    assert_eq!(rx.recv_timeout(LONG), Ok(Ok(b"first".to_vec())));
    assert_eq!(rx.recv_timeout(LONG), Ok(Err(true)));
    server.join().unwrap();
}

#[test]
fn a_server_that_never_reads() {
    init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    let mut options = ClientOptions::default();
    options.write_stall = Duration::from_millis(200);
    let client = Client::new(&addr, options).unwrap();
    let options = CallOptions::new().timeout(LONG);
    let error = client.call("a.B", "C", &vec![0; 32 << 20], &options).unwrap_err();
    assert!(error.is_closed() && error.text().contains("takes no requests"), "{error:?}");
    drop(listener);
}

#[test]
fn callers_of_a_server_that_never_reads_time_out() {
    init();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap().to_string();
    in_coroutine(move || {
        let client = Arc::new(Client::new(&addr, ClientOptions::default()).unwrap());
        client.connect(Deadline::after(LONG)).unwrap();
        let callers: Vec<_> = (0..10)
            .map(|_| {
                let client = client.clone();
                let calls = move || {
                    // Larger than what goes out at once, when the peer takes none.
                    let body = vec![0; 1 << 20];
                    let timeout = Some(Duration::from_millis(100));
                    let options = CallOptions::new().timeout(timeout);
                    for _ in 0..3 {
                        let error = client.call("a.B", "C", &body, &options).unwrap_err();
                        assert!(error.is_timeout(), "{error:?}");
                    }
                };
                rt::spawn(calls).unwrap()
            })
            .collect();
        callers.into_iter().for_each(|caller| caller.join().unwrap());
        assert_eq!(client.stats().in_flight, 0);
    });
}

#[test]
fn close_ends_everything() {
    let (_server, addr) = server(ServerOptions::default());
    let client = Arc::new(client(&addr));
    let (tx, rx) = mpsc::channel();
    let from_thread = {
        let (client, tx) = (client.clone(), tx.clone());
        std::thread::spawn(move || tx.send(call(&client, "Sleep", b"5000")).unwrap())
    };
    let (from_coroutine, from_callback) = (tx.clone(), tx.clone());
    let other = client.clone();
    let waiting = rt::spawn(move || {
        from_coroutine.send(call(&other, "Sleep", b"5000")).unwrap();
    })
    .unwrap();
    client.call_async("echo.EchoService", "Sleep", b"5000", &CallOptions::default(), move |o| {
        let outcome = o.map(Response::into_body);
        from_callback.send(outcome.map_err(|e| (e.code().number(), e.text().to_owned()))).unwrap();
    });
    eventually("all three are in flight", || client.stats().in_flight == 3);
    client.close();
    for _ in 0..3 {
        let error = rx.recv_timeout(LONG).unwrap().unwrap_err();
        assert_eq!(error.0, 2005, "{error:?}");
    }
    waiting.join().unwrap();
    from_thread.join().unwrap();
    assert_eq!(call(&client, "Echo", b"").unwrap_err().0, 2005);
    assert!(client.connect(Deadline::after(LONG)).is_err());
    assert!(!client.is_connected());
}

#[test]
fn calls_are_canceled() {
    let (_server, addr) = server(ServerOptions::default());
    let client = Arc::new(client(&addr));
    let (tx, rx) = mpsc::channel();
    let options = CallOptions::default();
    let handle = client.call_async("echo.EchoService", "Sleep", b"300", &options, move |outcome| {
        tx.send(outcome.unwrap_err()).unwrap();
    });
    handle.cancel();
    let error = rx.recv_timeout(LONG).unwrap();
    assert!(error.is_canceled() && error.code() == libc::ECANCELED, "{error:?}");
    handle.cancel();
    // A coroutine that is canceled while it waits for an answer.
    let (tx, rx) = mpsc::channel();
    let local = addr.clone();
    let waiting = rt::spawn(move || {
        let client = Client::new(&local, ClientOptions::default()).unwrap();
        tx.send(()).unwrap();
        client.call("echo.EchoService", "Sleep", b"5000", &CallOptions::default()).unwrap_err()
    })
    .unwrap();
    rx.recv_timeout(LONG).unwrap();
    waiting.cancel();
    let error = waiting.join().unwrap();
    assert!(error.is_canceled(), "{error:?}");
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
}

#[test]
fn callbacks_of_calls_that_cannot_start_run_too() {
    init();
    let addr = nobody();
    let client = client(&addr);
    let outcomes = Arc::new(Mutex::new(Vec::new()));
    let make = || {
        let outcomes = outcomes.clone();
        client.call_async("a.B", "C", b"", &CallOptions::default(), move |outcome| {
            outcomes
                .lock()
                .unwrap()
                .push((outcome.unwrap_err().code().number(), rt::is_coroutine()));
        });
    };
    make();
    eventually("the attempt fails", || outcomes.lock().unwrap().len() == 1);
    make();
    client.close();
    make();
    eventually("all have run", || outcomes.lock().unwrap().len() == 3);
    let outcomes = outcomes.lock().unwrap();
    assert_eq!(outcomes[0], (1009, true));
    assert!([1009, 2005].contains(&outcomes[1].0), "{outcomes:?}");
    assert!(outcomes.contains(&(2005, true)));
}

#[test]
fn a_host_name_is_looked_up() {
    let (_server, addr) = server(ServerOptions::default());
    let port = addr.rsplit_once(':').unwrap().1;
    assert_serves(&format!("localhost:{port}"));
    let missing = client("no-such-host.invalid:1");
    let error = missing.call("a.B", "C", b"", &CallOptions::default()).unwrap_err();
    assert!(error.is_connect(), "{error:?}");
}

#[test]
fn the_last_clone_of_a_client_closes_it() {
    let (_server, addr) = server(ServerOptions::default());
    let first = client(&addr);
    let second = first.clone();
    assert_eq!(call(&first, "Echo", b"1"), Ok(b"1".to_vec()));
    drop(first);
    assert!(second.is_connected());
    assert_eq!(call(&second, "Echo", b"2"), Ok(b"2".to_vec()));
    assert_eq!(second.stats().connects, 1);
    let (tx, rx) = mpsc::channel();
    let done =
        move |outcome: Result<_, fastrpc::rpc::Error>| tx.send(outcome.unwrap_err()).unwrap();
    second.call_async("echo.EchoService", "Sleep", b"10000", &CallOptions::new(), done);
    drop(second);
    assert_eq!(rx.recv_timeout(LONG).unwrap().code(), fastrpc::rpc::Code::ECLOSE);
}

#[test]
fn a_host_and_a_port_name_a_server() {
    let (server, _) = server(ServerOptions::default());
    let port = server.local_addr().unwrap().port().unwrap();
    for client in [
        Client::new(("127.0.0.1", port), ClientOptions::new()),
        Client::new(std::net::SocketAddr::from(([127, 0, 0, 1], port)), ClientOptions::new()),
        Client::new(server.local_addr().unwrap(), ClientOptions::new()),
        Client::new(format!("127.0.0.1:{port}"), ClientOptions::new()),
    ] {
        assert_eq!(call(&client.unwrap(), "Echo", b"x"), Ok(b"x".to_vec()));
    }
}
