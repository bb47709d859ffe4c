//! Messages that a server sends without being called, and the end of connections as both sides
//! are told of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use fastrpc::pool::ThreadPool;
use fastrpc::rpc::{CallOptions, Client, ClientOptions, Connection, Protocol};
use fastrpc::rt::{self, Deadline};
use fastrpc::{Server, ServerOptions};

use super::old_peer::*;
use super::support::*;

const BOTH: [Protocol; 2] = [Protocol::BaiduStd, Protocol::Original];

/// A server whose method `Join` hands out its connection.
struct Hub {
    server: Arc<Server>,
    addr: String,
    joined: mpsc::Receiver<Connection>,
}

fn hub(options: ServerOptions) -> Hub {
    let (server, addr) = server(options);
    let (tx, joined) = mpsc::channel();
    let tx = Mutex::new(tx);
    server
        .add_method("echo.EchoService", "Join", move |call| {
            tx.lock().unwrap().send(call.connection()).unwrap();
            call.reply(b"");
        })
        .unwrap();
    Hub { server: Arc::new(server), addr, joined }
}

impl Hub {
    fn join(&self, client: &Client) -> Connection {
        call(client, "Join", b"").unwrap();
        self.joined.recv_timeout(LONG).unwrap()
    }
}

fn client_of(addr: &str, protocol: Protocol) -> Client {
    let mut options = ClientOptions::default();
    options.protocol = protocol;
    Client::new(addr, options).unwrap()
}

fn long_call() -> CallOptions<'static> {
    CallOptions::new().timeout(LONG)
}

type Pushed = (String, Vec<u8>);

/// What `client` is pushed.
fn pushes(client: &Client) -> mpsc::Receiver<Pushed> {
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    client.on_push(move |name, body| {
        assert!(rt::is_coroutine());
        tx.lock().unwrap().send((name.to_owned(), body.to_vec())).unwrap();
    });
    rx
}

fn losses(client: &Client) -> mpsc::Receiver<String> {
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    client.on_close(move |error| {
        assert!(rt::is_coroutine());
        tx.lock().unwrap().send(error.text().to_owned()).unwrap();
    });
    rx
}

// ---- pushes ----

#[test]
fn pushes_come_in_order_from_anywhere() {
    for protocol in BOTH {
        let hub = hub(ServerOptions::default());
        let client = client_of(&hub.addr, protocol);
        let pushes = pushes(&client);
        let connection = hub.join(&client);
        assert!(connection.is_open());
        // From a plain thread.
        for i in 0..100u32 {
            connection.push("a.Thread", &i.to_le_bytes()).unwrap();
        }
        for i in 0..100u32 {
            let expected = ("a.Thread".to_owned(), i.to_le_bytes().to_vec());
            assert_eq!(pushes.recv_timeout(LONG), Ok(expected), "{protocol:?}");
        }
        // From coroutines of every worker.
        for worker in 0..rt::worker_count() {
            let connection = connection.clone();
            let push = move || {
                for i in 0..100u32 {
                    connection.push("a.Coroutine", &i.to_le_bytes()).unwrap();
                }
            };
            rt::Builder::new().worker(worker).spawn(push).unwrap().join().unwrap();
            for i in 0..100u32 {
                assert_eq!(pushes.recv_timeout(LONG).unwrap().1, i.to_le_bytes());
            }
        }
        // From a thread of a pool.
        let (pool, pushing) = (ThreadPool::new(1).unwrap(), connection.clone());
        pool.run(move || pushing.push("a.Pool", b"job").unwrap()).unwrap();
        assert_eq!(pushes.recv_timeout(LONG).unwrap().1, b"job");
        // From a timer, and by the connection's number.
        let (server, id) = (hub.server.clone(), connection.id());
        let timer = rt::Timer::after(Duration::from_millis(1), move || {
            server.push(id, "a.Timer", b"tick").unwrap();
        });
        let expected = ("a.Timer".to_owned(), b"tick".to_vec());
        assert_eq!(pushes.recv_timeout(LONG), Ok(expected));
        drop(timer);
    }
}

#[test]
fn a_push_and_an_answer_keep_their_order() {
    for protocol in BOTH {
        let (server, addr) = server(ServerOptions::default());
        server
            .add_method("echo.EchoService", "PushFirst", |call| {
                call.connection().push("a.B", b"first").unwrap();
                call.reply(b"second");
            })
            .unwrap();
        let client = Arc::new(client_of(&addr, protocol));
        let pushes = pushes(&client);
        assert_eq!(call(&client, "PushFirst", b""), Ok(b"second".to_vec()));
        assert_eq!(pushes.recv_timeout(LONG).unwrap().1, b"first");
    }
}

#[test]
fn an_old_client_gets_the_old_frames() {
    let hub = hub(ServerOptions::default());
    let mut peer = OldPeer::connect(&hub.addr);
    peer.call(1, "Join", b"");
    assert_eq!(peer.receive().unwrap().bytes(), old_response(1, "", b""));
    let connection = hub.joined.recv_timeout(LONG).unwrap();
    connection.push("echo.EchoResponse", b"body").unwrap();
    let frame = peer.receive().unwrap();
    let expected =
        "POST / HTTP/1.1\r\nmes_name: echo.EchoResponse\r\nContent-Length: 4\r\n\r\nbody";
    assert_eq!(frame.bytes(), expected.as_bytes());
    connection.push_raw(b"POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nraw").unwrap();
    assert_eq!(peer.receive().unwrap().body, b"raw");
    hub.server.push_raw(connection.id(), b"Content-Length: 3\r\n\r\nraw").unwrap();
    assert_eq!(peer.receive().unwrap().body, b"raw");
    // Names that would make other frames.
    for name in ["", "a\r\nb", "a\nb", "\0", &"x".repeat(5000)] {
        let error = connection.push(name, b"").unwrap_err();
        assert_eq!(error.code(), 1003, "{name:?}");
    }
    peer.call(2, "Echo", b"x");
    assert_eq!(peer.receive().unwrap().bytes(), old_response(2, "", b"x"));
}

#[test]
fn who_did_not_say_that_it_takes_pushes_gets_none() {
    let hub = hub(ServerOptions::default());
    // As any client of brpc.
    let mut peer = Peer::connect(&hub.addr);
    peer.send(&request(1, "Join", b""));
    assert_eq!(peer.receive().unwrap().id(), 1);
    let connection = hub.joined.recv_timeout(LONG).unwrap();
    let error = connection.push("a.B", b"").unwrap_err();
    assert_eq!(error.code(), 1003, "{error:?}");
    peer.send(&request(2, "Echo", b"x"));
    assert_eq!(peer.receive().unwrap().id(), 2, "nothing came between");
    // Ours says it once there is a handler, and after a reconnect.
    let client = client_of(&hub.addr, Protocol::BaiduStd);
    let connection = hub.join(&client);
    assert_eq!(connection.push("a.B", b"").unwrap_err().code(), 1003);
    let pushes = pushes(&client);
    let connection = hub.join(&client);
    connection.push("a.B", b"one").unwrap();
    assert_eq!(pushes.recv_timeout(LONG).unwrap().1, b"one");
}

#[test]
fn pushes_go_on_after_a_reconnect() {
    for protocol in BOTH {
        let hub = hub(ServerOptions::default());
        let client = client_of(&hub.addr, protocol);
        let (pushes, losses) = (pushes(&client), losses(&client));
        let first = hub.join(&client);
        hub.server.stop(Deadline::after(LONG));
        losses.recv_timeout(LONG).expect("the client is told");
        assert!(!first.is_open());
        assert_eq!(first.push("a.B", b"").unwrap_err().code(), 1009);
        // Somebody else on the same port.
        let server = Server::new(ServerOptions::default());
        let (tx, joined) = mpsc::channel();
        let tx = Mutex::new(tx);
        server
            .add_method("echo.EchoService", "Join", move |call| {
                tx.lock().unwrap().send(call.connection()).unwrap();
                call.reply(b"");
            })
            .unwrap();
        server.listen(&hub.addr).unwrap();
        eventually("the client is back", || call(&client, "Join", b"").is_ok());
        joined.recv_timeout(LONG).unwrap().push("a.B", b"again").unwrap();
        assert_eq!(pushes.recv_timeout(LONG).unwrap().1, b"again");
    }
}

#[test]
fn a_push_to_a_connection_that_is_gone_is_an_error() {
    let hub = hub(ServerOptions::default());
    let client = client_of(&hub.addr, Protocol::Original);
    let connection = hub.join(&client);
    drop(client);
    eventually("the server sees it", || !connection.is_open());
    eventually("it is gone", || hub.server.stats().connections == 0);
    let here = connection.clone();
    let there = in_coroutine(move || here.push("a.B", b"").unwrap_err());
    for error in [
        there,
        connection.push("a.B", b"").unwrap_err(),
        connection.push_raw(b"x").unwrap_err(),
        hub.server.push(connection.id(), "a.B", b"").unwrap_err(),
        hub.server.push_raw(connection.id(), b"x").unwrap_err(),
        hub.server.push(0, "a.B", b"").unwrap_err(),
        hub.server.push(u64::MAX, "a.B", b"").unwrap_err(),
    ] {
        assert_eq!(error.code(), 1009, "{error:?}");
        assert!(error.is_closed());
    }
    // Its number is not used again.
    let client = client_of(&hub.addr, Protocol::Original);
    assert!(hub.join(&client).id() > connection.id());
}

#[test]
fn a_slow_client_is_sent_no_more_than_the_bound() {
    const BOUND: usize = 1 << 20;
    let mut options = ServerOptions::default();
    options.rpc.max_unsent = BOUND;
    let hub = hub(options);
    let message = vec![7; 10_000];
    for from_coroutine in [false, true] {
        let mut slow = OldPeer::connect(&hub.addr);
        slow.call(1, "Join", b"");
        let connection = hub.joined.recv_timeout(LONG).unwrap();
        let fill = {
            let (connection, message) = (connection.clone(), message.clone());
            move || {
                let mut sent = 0u64;
                // The kernel's buffers come on top of ours.
                for _ in 0..100_000 {
                    match connection.push("a.B", &message) {
                        Ok(()) => sent += 1,
                        Err(error) => {
                            assert_eq!(error.code(), 1011, "{error:?}");
                            return sent;
                        }
                    }
                    if sent.is_multiple_of(50) {
                        rt::yield_now();
                    }
                }
                panic!("there is no bound");
            }
        };
        let sent = if from_coroutine { in_coroutine(fill) } else { fill() };
        assert!(sent as usize * message.len() >= BOUND / 2, "only {sent} were sent");
        // Others are served meanwhile, and this one once it reads.
        assert_serves(&hub.addr);
        assert_eq!(slow.receive().unwrap().id(), 1);
        for _ in 0..sent {
            assert_eq!(slow.receive().unwrap().body, message);
        }
        eventually("there is room again", || connection.push("a.B", b"again").is_ok());
        assert_eq!(slow.receive().unwrap().body, b"again");
    }
}

#[test]
fn a_client_keeps_no_more_pushes_than_its_bound() {
    let hub = hub(ServerOptions::default());
    let mut options = ClientOptions::default();
    options.protocol = Protocol::Original;
    options.max_pushes = 10;
    options.max_push_bytes = 1000;
    let client = Arc::new(Client::new(&hub.addr, options).unwrap());
    let gate = Gate::default();
    let (tx, seen) = mpsc::channel();
    let (tx, passing) = (Mutex::new(tx), gate.clone());
    client.on_push(move |_, body| {
        passing.pass();
        tx.lock().unwrap().send(body.to_vec()).unwrap();
    });
    let connection = hub.join(&client);
    let dropped = |count| {
        eventually("they are dropped", || client.stats().dropped_pushes == count);
        // The connection goes on.
        assert_eq!(call(&client, "Echo", b"x"), Ok(b"x".to_vec()));
    };
    // The first is in its handler's hands, and maybe not yet.
    for i in 0..20u8 {
        connection.push("a.B", &[i]).unwrap();
        call(&client, "Echo", b"").unwrap();
    }
    dropped(9);
    gate.open();
    let kept: Vec<u8> = (0..11).map(|_| seen.recv_timeout(LONG).unwrap()[0]).collect();
    assert_eq!(kept, (0..11).collect::<Vec<u8>>());
    connection.push("a.B", &[0; 1001]).unwrap();
    dropped(10);
    connection.push("a.B", b"last").unwrap();
    assert_eq!(seen.recv_timeout(LONG).unwrap(), b"last");
}

#[test]
fn a_handler_of_pushes_calls_and_panics() {
    for protocol in BOTH {
        let hub = hub(ServerOptions::default());
        let client = Arc::new(client_of(&hub.addr, protocol));
        let (tx, seen) = mpsc::channel();
        let (tx, caller) = (Mutex::new(tx), Arc::downgrade(&client));
        client.on_push(move |_, body| {
            assert!(body != b"bad", "a push that nobody likes");
            let client = caller.upgrade().unwrap();
            // The answer comes over the connection that the push came over.
            let echoed = call(&client, "Echo", body).unwrap();
            tx.lock().unwrap().send(echoed).unwrap();
        });
        let connection = hub.join(&client);
        connection.push("a.B", b"bad").unwrap();
        connection.push("a.B", b"good").unwrap();
        assert_eq!(seen.recv_timeout(LONG).unwrap(), b"good");
    }
}

#[test]
fn without_a_handler_pushes_are_counted_and_dropped() {
    let hub = hub(ServerOptions::default());
    let client = client_of(&hub.addr, Protocol::Original);
    let connection = hub.join(&client);
    connection.push("a.B", b"nobody listens").unwrap();
    eventually("it is counted", || client.stats().unmatched == 1);
    let pushes = pushes(&client);
    connection.push("a.B", b"now").unwrap();
    assert_eq!(pushes.recv_timeout(LONG).unwrap().1, b"now");
}

// ---- the end of connections ----

/// How often each connection was told to have ended.
fn closings(server: &Server) -> mpsc::Receiver<u64> {
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    server.on_close(move |id| {
        assert!(rt::is_coroutine());
        tx.lock().unwrap().send(id).unwrap();
    });
    rx
}

#[test]
fn each_end_of_a_connection_is_told_once() {
    let mut options = ServerOptions::default();
    options.rpc.idle_timeout = Some(Duration::from_millis(500));
    let hub = hub(options);
    let closed = closings(&hub.server);
    // Dropped, half-closed, broken off for bad frames, timed out.
    let mut ids = Vec::new();
    for way in 0..4 {
        let mut peer = OldPeer::connect(&hub.addr);
        peer.call(1, "Join", b"");
        peer.receive().unwrap();
        let id = hub.joined.recv_timeout(LONG).unwrap().id();
        match way {
            0 => drop(peer),
            1 => {
                peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
                peer.assert_closed();
            }
            2 => {
                peer.send(b"junk");
                peer.assert_closed();
            }
            _ => peer.assert_closed(),
        }
        assert_eq!(closed.recv_timeout(LONG), Ok(id), "{way}");
        ids.push(id);
    }
    // One that never said anything has ended too.
    drop(OldPeer::connect(&hub.addr));
    let id = closed.recv_timeout(LONG).unwrap();
    assert!(!ids.contains(&id));
    // And by a stop.
    let mut peer = OldPeer::connect(&hub.addr);
    peer.call(1, "Join", b"");
    let id = hub.joined.recv_timeout(LONG).unwrap().id();
    hub.server.stop(Deadline::after(LONG));
    assert_eq!(closed.try_recv(), Ok(id), "a stop waits for the handler");
    assert!(closed.recv_timeout(Duration::from_millis(50)).is_err(), "told twice");
}

#[test]
fn the_end_is_told_while_calls_are_in_flight() {
    let hub = hub(ServerOptions::default());
    let closed = closings(&hub.server);
    let (tx, kept) = mpsc::channel();
    let tx = Mutex::new(tx);
    hub.server
        .add_method("echo.EchoService", "Keep", move |call| tx.lock().unwrap().send(call).unwrap())
        .unwrap();
    let mut peer = OldPeer::connect(&hub.addr);
    peer.call(1, "Keep", b"");
    let call = kept.recv_timeout(LONG).unwrap();
    peer.stream.shutdown(std::net::Shutdown::Write).unwrap();
    assert_eq!(closed.recv_timeout(LONG), Ok(call.connection().id()));
    assert!(call.is_canceled());
    // Half-closed, it still gets its answer.
    call.reply(b"late");
    assert_eq!(peer.receive().unwrap().body, b"late");
    peer.assert_closed();
    eventually("it is gone", || hub.server.stats().connections == 0);
    assert!(closed.recv_timeout(Duration::from_millis(50)).is_err(), "told twice");
}

#[test]
fn a_server_closes_a_connection_after_what_it_sent() {
    for protocol in BOTH {
        for from in ["a thread", "a coroutine", "its own handler"] {
            let hub = hub(ServerOptions::default());
            let closed = closings(&hub.server);
            let (tx, kept) = mpsc::channel();
            let tx = Mutex::new(tx);
            let keep = move |call| tx.lock().unwrap().send(call).unwrap();
            hub.server.add_method("echo.EchoService", "Keep", keep).unwrap();
            let say_goodbye = |connection: &Connection| {
                for i in 0..100u32 {
                    let body = [&i.to_le_bytes()[..], &[7; 10_000]].concat();
                    connection.push("a.Goodbye", &body).unwrap();
                }
                connection.close().unwrap();
                assert!(!connection.is_open());
                assert!(connection.push("a.B", b"").unwrap_err().is_closed());
                connection.close().unwrap();
            };
            let leave = move |call: fastrpc::rpc::Call| {
                say_goodbye(&call.connection());
                call.reply(b"just in time, or not");
            };
            hub.server.add_method("echo.EchoService", "Leave", leave).unwrap();

            let client = Arc::new(client_of(&hub.addr, protocol));
            let (pushes, losses) = (pushes(&client), losses(&client));
            let connection = hub.join(&client);
            let (tx, ended) = mpsc::channel();
            client.call_async("echo.EchoService", "Keep", b"", &long_call(), move |outcome| {
                tx.send(outcome.unwrap_err()).unwrap();
            });
            let call = kept.recv_timeout(LONG).unwrap();
            let id = connection.id();
            match from {
                "a thread" => say_goodbye(&connection),
                "a coroutine" => in_coroutine(move || say_goodbye(&connection)),
                _ => {
                    let left = client.call("echo.EchoService", "Leave", b"", &long_call());
                    assert!(left.is_ok() || left.is_err_and(|error| error.is_closed()));
                }
            }
            for i in 0..100u32 {
                let (name, body) = pushes.recv_timeout(LONG).unwrap();
                assert_eq!((&name[..], &body[..4]), ("a.Goodbye", &i.to_le_bytes()[..]), "{from}");
            }
            assert!(losses.recv_timeout(LONG).unwrap().contains("closed the connection"));
            assert!(ended.recv_timeout(LONG).unwrap().is_closed());
            assert_eq!(closed.recv_timeout(LONG), Ok(id));
            assert!(call.is_canceled());
            call.reply(b"late");
            eventually("it is gone", || {
                let stats = hub.server.stats();
                stats.in_flight == 0 && hub.server.close_connection(id).is_err()
            });
            // The client comes back, as somebody else.
            assert!(hub.join(&client).id() > id);
            assert!(closed.recv_timeout(Duration::from_millis(20)).is_err(), "told twice");
        }
    }
}

#[test]
fn a_closed_connection_takes_no_more_calls() {
    let hub = hub(ServerOptions::default());
    let closed = closings(&hub.server);
    let mut peer = OldPeer::connect(&hub.addr);
    peer.call(1, "Join", b"");
    peer.receive().unwrap();
    let connection = hub.joined.recv_timeout(LONG).unwrap();
    hub.server.close_connection(connection.id()).unwrap();
    peer.assert_closed();
    // Ours is still open: what comes by it is read and left.
    peer.call(2, "Join", b"");
    assert!(hub.joined.recv_timeout(Duration::from_millis(50)).is_err());
    // And if it stays open, that is not for ever.
    assert_eq!(closed.recv_timeout(LONG), Ok(connection.id()));
    eventually("it is gone", || hub.server.stats().connections == 0);
    let gone = hub.server.close_connection(connection.id()).unwrap_err();
    assert!(gone.is_closed() && gone.code() == 1009, "{gone:?}");
    assert!(hub.server.close_connection(0).is_err());
    assert!(connection.close().is_err());
}

#[test]
fn a_handler_of_ends_calls_pushes_and_panics() {
    let (_back, back) = server(ServerOptions::default());
    let hub = hub(ServerOptions::default());
    let (tx, told) = mpsc::channel();
    let tx = Mutex::new(tx);
    let back = client(&back);
    let server = Arc::downgrade(&hub.server);
    let panics = AtomicU64::new(0);
    hub.server.on_close(move |id| {
        assert_ne!(panics.fetch_add(1, Ordering::Relaxed), 0, "the first time");
        let answer = call(&back, "Echo", b"another server").unwrap();
        let error = server.upgrade().unwrap().push(id, "a.B", b"too late").unwrap_err();
        tx.lock().unwrap().send((answer, error.code().number())).unwrap();
    });
    for _ in 0..2 {
        drop(OldPeer::connect(&hub.addr));
    }
    assert_eq!(told.recv_timeout(LONG), Ok((b"another server".to_vec(), 1009)));
    assert_serves(&hub.addr);
}

#[test]
fn a_client_is_told_of_each_loss() {
    for protocol in BOTH {
        let hub = hub(ServerOptions::default());
        let client = Arc::new(client_of(&hub.addr, protocol));
        let (pushes, losses) = (pushes(&client), losses(&client));
        let connection = hub.join(&client);
        connection.push("a.B", b"before").unwrap();
        hub.server.stop(Deadline::after(LONG));
        let text = losses.recv_timeout(LONG).unwrap();
        assert!(text.contains("closed"), "{text}");
        assert_eq!(pushes.try_recv().unwrap().1, b"before", "what came before is told before");
        // Attempts that fail are no losses.
        assert!(client.connect(Deadline::after(LONG)).is_err());
        assert!(losses.recv_timeout(Duration::from_millis(50)).is_err());
        // The next one is.
        let again = Server::new(ServerOptions::default());
        add_methods(&again);
        again.listen(&hub.addr).unwrap();
        eventually("the client is back", || call(&client, "Echo", b"").is_ok());
        again.stop(Deadline::after(LONG));
        losses.recv_timeout(LONG).unwrap();
        // To close it is none, and the handlers go.
        drop(client);
        assert!(matches!(losses.recv_timeout(LONG), Err(mpsc::RecvTimeoutError::Disconnected)));
    }
}

#[test]
fn a_handler_of_losses_may_call_again() {
    let hub = hub(ServerOptions::default());
    let client = Arc::new(client_of(&hub.addr, Protocol::BaiduStd));
    let (tx, told) = mpsc::channel();
    let (tx, caller) = (Mutex::new(tx), Arc::downgrade(&client));
    client.on_close(move |_| {
        let client = caller.upgrade().unwrap();
        tx.lock().unwrap().send(call(&client, "Echo", b"").is_ok()).unwrap();
        panic!("that too");
    });
    hub.join(&client);
    hub.server.stop(Deadline::after(LONG));
    assert!(!told.recv_timeout(LONG).unwrap(), "nobody is there");
    // A panic has not kept the next loss from being told.
    let again = Server::new(ServerOptions::default());
    add_methods(&again);
    again.listen(&hub.addr).unwrap();
    eventually("the client is back", || call(&client, "Echo", b"").is_ok());
    again.stop(Deadline::after(LONG));
    assert!(!told.recv_timeout(LONG).unwrap(), "nobody is there");
}
