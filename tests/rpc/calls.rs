//! Calls from end to end.

use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Client, ClientOptions, Compress, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

use super::support::*;

#[test]
fn attachments_and_compression_both_ways() {
    let (_server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    let body = b"hello ".repeat(1000);
    for compress in [Compress::None, Compress::Snappy, Compress::Gzip, Compress::Zlib] {
        let options = CallOptions::new().compress(compress).attachment(b"beside");
        let answer = client.call("echo.EchoService", "Echo", &body, &options).unwrap();
        assert_eq!(answer.body(), &body, "{compress:?}");
        assert_eq!(answer.attachment(), b"beside", "{compress:?}");
        assert_eq!(answer.peer().unwrap().to_string(), addr);
    }
}

#[test]
fn the_call_knows_its_context() {
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    server
        .add_method("a.B", "C", move |call| {
            assert!(rt::is_coroutine());
            let left = call.deadline().remaining();
            let said = (
                call.service().to_owned(),
                call.method().to_owned(),
                call.peer().to_string(),
                call.log_id(),
                call.request_id().map(str::to_owned),
                left,
                call.is_canceled(),
            );
            tx.lock().unwrap().send(said).unwrap();
            call.reply(b"");
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let client = client(&addr);
    let options =
        CallOptions::new().timeout(Duration::from_millis(5000)).log_id(77).request_id("r-1");
    client.call("a.B", "C", b"", &options).unwrap();
    let (service, method, peer, log_id, request_id, left, canceled) = rx.try_recv().unwrap();
    assert_eq!((&service[..], &method[..]), ("a.B", "C"));
    assert!(peer.starts_with("127.0.0.1:"), "{peer}");
    assert_eq!(log_id, 77);
    assert_eq!(request_id.as_deref(), Some("r-1"));
    let left = left.expect("the client said when it stops waiting");
    assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(5), "{left:?}");
    assert!(!canceled);
}

#[test]
fn errors_carry_code_and_text() {
    let (server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    assert_eq!(call(&client, "Fail", b""), Err((2042, "refused by handler".into())));
    let error = call(&client, "Panic", b"out of cheese").unwrap_err();
    assert_eq!(error.0, 2001);
    assert!(error.1.contains("out of cheese"), "{error:?}");
    let error = call(&client, "Forget", b"").unwrap_err();
    assert_eq!(error.0, 2001);
    assert!(error.1.contains("without an answer"), "{error:?}");
    let error = call(&client, "Absent", b"").unwrap_err();
    assert_eq!(error.0, 1002);
    assert!(error.1.contains("Absent"), "{error:?}");
    let error = client.call("no.Such", "Echo", b"", &CallOptions::default()).unwrap_err();
    assert_eq!(error.code(), 1001);
    assert!(error.is_remote() && error.text().contains("no.Such"), "{error:?}");
    assert!(!error.is_service_error(), "{error:?}");
    let error = client.call("echo.EchoService", "Fail", b"", &CallOptions::default()).unwrap_err();
    assert!(error.is_service_error(), "{error:?}");
    assert_serves(&addr);
    eventually("the errors are counted", || server.stats().errors == 6);
}

#[test]
fn answers_come_as_they_are_ready() {
    let (_server, addr) = server(ServerOptions::default());
    in_coroutine(move || {
        let client = Arc::new(Client::new(&addr, ClientOptions::default()).unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let handles: Vec<_> = [120, 60, 10]
            .map(|millis| {
                let (client, order) = (client.clone(), order.clone());
                let body = millis.to_string();
                rt::spawn(move || {
                    assert_eq!(call(&client, "Sleep", body.as_bytes()).unwrap(), body.as_bytes());
                    order.lock().unwrap().push(millis);
                })
                .unwrap()
            })
            .into();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(*order.lock().unwrap(), [10, 60, 120]);
    });
}

#[test]
fn many_coroutines_on_one_connection() {
    let (server, addr) = server(ServerOptions::default());
    in_coroutine(move || {
        let client = Arc::new(Client::new(&addr, ClientOptions::default()).unwrap());
        let handles: Vec<_> = (0..100)
            .map(|i| {
                let client = client.clone();
                let body = move |j| format!("{i}.{j}").into_bytes();
                // Callers of every worker: at home and from afar.
                let builder = rt::Builder::new().worker(i % rt::worker_count());
                let calls = move || {
                    for j in 0..100 {
                        assert_eq!(call(&client, "Echo", &body(j)), Ok(body(j)));
                    }
                };
                builder.spawn(calls).unwrap()
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
        assert_eq!(client.stats().in_flight, 0);
    });
    eventually("all calls are counted", || {
        let stats = server.stats();
        (stats.calls, stats.in_flight, stats.errors) == (10_000, 0, 0)
    });
    assert_eq!(server.stats().accepted, 1, "one connection for all");
}

#[test]
fn plain_threads_call() {
    let (_server, addr) = server(ServerOptions::default());
    let client = Arc::new(client(&addr));
    let threads: Vec<_> = (0..8)
        .map(|i| {
            let client = client.clone();
            std::thread::spawn(move || {
                for j in 0..200 {
                    let body = format!("{i}.{j}").into_bytes();
                    assert_eq!(call(&client, "Echo", &body), Ok(body));
                }
            })
        })
        .collect();
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn callbacks_run_in_coroutines() {
    let (_server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    let (tx, rx) = mpsc::channel();
    for i in 0..100u32 {
        let tx = tx.clone();
        let options = CallOptions::default();
        client.call_async("echo.EchoService", "Echo", &i.to_le_bytes(), &options, move |outcome| {
            tx.send((rt::is_coroutine(), outcome.unwrap().into_body())).unwrap();
        });
    }
    let mut seen = Vec::new();
    for _ in 0..100 {
        let (in_coroutine, body) = rx.recv_timeout(LONG).unwrap();
        assert!(in_coroutine);
        seen.push(u32::from_le_bytes(body.try_into().unwrap()));
    }
    seen.sort();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
}

#[test]
fn a_call_is_answered_later_from_a_thread() {
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel::<fastrpc::rpc::Call>();
    let tx = Mutex::new(tx);
    server.add_method("a.B", "Later", move |call| tx.lock().unwrap().send(call).unwrap()).unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let answering = std::thread::spawn(move || {
        // In the order opposite to that in which they came, and some not at all.
        let mut calls: Vec<_> = (0..100).map(|_| rx.recv_timeout(LONG).unwrap()).collect();
        while let Some(call) = calls.pop() {
            let body = call.request().to_vec();
            match body[0] % 3 {
                0 => call.reply(&body),
                1 => call.fail(7, "seven"),
                _ => drop(call),
            }
        }
    });
    let client = client(&addr);
    let (tx, rx) = mpsc::channel();
    for i in 0..100u8 {
        let tx = tx.clone();
        client.call_async("a.B", "Later", &[i], &CallOptions::default(), move |outcome| {
            let outcome = outcome.map(Response::into_body).map_err(|error| error.code().number());
            tx.send((i, outcome)).unwrap();
        });
    }
    for _ in 0..100 {
        let (i, outcome) = rx.recv_timeout(LONG).unwrap();
        let expected = match i % 3 {
            0 => Ok(vec![i]),
            1 => Err(7),
            _ => Err(2001),
        };
        assert_eq!(outcome, expected, "{i}");
    }
    answering.join().unwrap();
    eventually("nothing is in flight", || server.stats().in_flight == 0);
}

#[test]
fn a_call_that_times_out() {
    let (_server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    let timeout = Duration::from_millis(50);
    let options = CallOptions::new().timeout(timeout);
    // From a thread, by callback, and in a coroutine of the client's worker.
    let start = Instant::now();
    let error = client.call("echo.EchoService", "Sleep", b"200", &options).unwrap_err();
    assert!(error.is_timeout() && error.code() == 1008, "{error:?}");
    assert!(start.elapsed() >= timeout, "early: {:?}", start.elapsed());
    let (tx, rx) = mpsc::channel();
    let start = Instant::now();
    client.call_async("echo.EchoService", "Sleep", b"200", &options, move |outcome| {
        tx.send((outcome.unwrap_err(), start.elapsed())).unwrap();
    });
    let (error, took) = rx.recv_timeout(LONG).unwrap();
    assert!(error.is_timeout(), "{error:?}");
    assert!(took >= timeout, "early: {took:?}");
    let local = addr.clone();
    in_coroutine(move || {
        let client = Client::new(&local, ClientOptions::default()).unwrap();
        let options = CallOptions::new().timeout(timeout);
        let start = Instant::now();
        let error = client.call("echo.EchoService", "Sleep", b"200", &options).unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        assert!(start.elapsed() >= timeout, "early: {:?}", start.elapsed());
    });
    // The late answers are dropped and counted, and disturb nobody.
    eventually("late answers came", || client.stats().unmatched == 2);
    assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
    assert_eq!(client.stats().in_flight, 0);
}

#[test]
fn pipelined_calls_of_one_write() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = Peer::connect(&addr);
    let calls: Vec<u8> = (1..=10_000).flat_map(|id| request(id, "Echo", b"x")).collect();
    peer.send(&calls);
    let mut ids: Vec<i64> = (0..10_000).map(|_| peer.receive().unwrap().id()).collect();
    ids.sort();
    assert_eq!(ids, (1..=10_000).collect::<Vec<_>>());
}

#[test]
fn large_messages() {
    let (_server, addr) = server(ServerOptions::default());
    let client = client(&addr);
    for size in [0, 1, 4096, 262_000, 262_144, 1 << 20, 20 << 20] {
        let body: Vec<u8> = (0..size).map(|i| (i / 7) as u8).collect();
        assert_eq!(call(&client, "Echo", &body).unwrap(), body, "{size}");
    }
}

#[test]
fn a_unix_socket() {
    init();
    let server = Server::new(ServerOptions::default());
    add_methods(&server);
    let path = format!("unix:@fastrpc-test-{}", std::process::id());
    let addr = server.listen(&path).unwrap().to_string();
    assert_eq!(addr, path);
    assert_serves(&addr);
}
