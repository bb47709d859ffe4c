//! The frames of the original library, in both roles.

use std::collections::HashMap;
use std::net::{Shutdown, TcpListener};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Client, ClientOptions, Compress, Protocol, ReplyOptions};
use fastrpc::rt::{self, Deadline};
use fastrpc::{Server, ServerOptions};

use super::old_peer::*;
use super::support::*;

fn old_client(addr: &str) -> Client {
    init();
    let mut options = ClientOptions::default();
    options.protocol = Protocol::Original;
    Client::new(addr, options).unwrap()
}

// ---- the recorded session ----

#[test]
fn our_server_replays_their_session() {
    init();
    let requests = frames_in(&session("request"));
    let responses = frames_in(&session("response"));
    // What the old server answered to each message. The last frame of either is of a client that
    // counts anew.
    let answers: HashMap<u32, Vec<u8>> = responses
        .iter()
        .filter(|frame| frame.field("cli_id").is_some())
        .map(|frame| (frame.id(), frame.body.clone()))
        .collect();
    let (last, calls) = requests.split_last().unwrap();
    let mut by_request: HashMap<Vec<u8>, Vec<u8>> = HashMap::new();
    for call in &calls[1..] {
        by_request.insert(call.body.clone(), answers[&call.id()].clone());
    }
    by_request.insert(last.body.clone(), answers[&1].clone());
    let first = responses[0].clone();
    by_request.insert(calls[0].body.clone(), first.body.clone());
    let pushed = responses.iter().find(|frame| frame.field("mes_name").is_some()).unwrap().clone();

    let server = Server::new(ServerOptions::default());
    let push = pushed.body.clone();
    server
        .add_method("echo.EchoService", "Echo", move |call| {
            let is_push = call.request() == b"\n\x07push me";
            let connection = call.connection();
            // Some are slow, so that answers come out of order.
            rt::sleep(Duration::from_millis(call.request().len() as u64 % 3)).unwrap();
            let body = by_request.get(call.request()).expect("a recorded request");
            call.reply(body);
            for _ in 0..if is_push { 5 } else { 0 } {
                connection.push("echo.EchoResponse", &push).unwrap();
            }
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let mut peer = OldPeer::connect(&addr);
    let recorded = session("request");
    peer.send(&recorded[..recorded.len() - last.bytes().len()]);
    let mut ours: Vec<Vec<u8>> = (0..252 + 5).map(|_| peer.receive().unwrap().bytes()).collect();
    peer.send(&last.bytes());
    ours.push(peer.receive().unwrap().bytes());
    let mut theirs: Vec<Vec<u8>> = responses.iter().map(OldFrame::bytes).collect();
    assert!(ours != theirs, "in another order");
    ours.sort();
    theirs.sort();
    assert!(ours == theirs, "the same frames, byte for byte");
}

#[test]
fn our_client_replays_their_session() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = old_client(&listener.local_addr().unwrap().to_string());
    let requests = frames_in(&session("request"));
    let responses = frames_in(&session("response"));
    let calls = &requests[..252];
    let (pushes_tx, pushes) = mpsc::channel();
    let pushes_tx = Mutex::new(pushes_tx);
    client.on_push(move |name, body| {
        pushes_tx.lock().unwrap().send((name.to_owned(), body.to_vec())).unwrap();
    });
    let (tx, rx) = mpsc::channel();
    for call in calls {
        let (tx, id) = (tx.clone(), call.id());
        let done = move |outcome: Result<fastrpc::rpc::Response, _>| {
            tx.send((id, outcome.unwrap().into_body())).unwrap();
        };
        let options = CallOptions::new().timeout(LONG);
        client.call_async("echo.EchoService", "Echo", &call.body, &options, done);
    }
    let mut server = OldPeer::accept(&listener);
    for theirs in calls {
        let ours = server.receive().unwrap();
        // An old server reads over what it does not know.
        let head = ours.head.replace("fastrpc_ver: 2\r\ntimeout_ms: 20000\r\n", "");
        assert_eq!((head, &ours.body), (theirs.head.clone(), &theirs.body));
    }
    let recorded = session("response");
    let last = responses.last().unwrap().bytes().len();
    for piece in recorded[..recorded.len() - last].chunks(777) {
        server.send(piece);
    }
    let mut answers: HashMap<u32, Vec<u8>> = HashMap::new();
    for _ in calls {
        let (id, body) = rx.recv_timeout(LONG).unwrap();
        assert!(answers.insert(id, body).is_none(), "{id} is answered twice");
    }
    let mut seen = Vec::new();
    for response in &responses[..responses.len() - 1] {
        match response.field("mes_name") {
            None => assert_eq!(answers[&response.id()], response.body),
            Some(name) => {
                assert_eq!(
                    pushes.recv_timeout(LONG).unwrap(),
                    (name.to_owned(), response.body.clone())
                );
                seen.push(name);
            }
        }
    }
    assert_eq!(seen, ["echo.EchoResponse"; 5]);
    let stats = client.stats();
    assert_eq!((stats.in_flight, stats.unmatched), (0, 0));
}

// ---- the server ----

#[test]
fn an_old_client_gets_the_old_answers_and_nothing_else() {
    let (server, addr) = server(ServerOptions::default());
    let mut peer = OldPeer::connect(&addr);
    peer.call(7, "Echo", b"hello");
    assert_eq!(peer.receive().unwrap().bytes(), old_response(7, "", b"hello"));
    // Errors have no form: no answer. Those that follow are not held up.
    for (id, method) in [(1, "Fail"), (2, "Panic"), (3, "Forget")] {
        peer.call(id, method, b"");
    }
    peer.call(0xffff_ffff, "Echo", b"");
    let frame = peer.receive().unwrap();
    assert_eq!(frame.bytes(), old_response(0xffff_ffff, "", b""));
    // An unknown method has: the old server's page.
    for op in ["echo.EchoService.Absent", "no.Such.Echo", "Echo", "."] {
        peer.send(&old_request(9, op, "", b""));
        let frame = peer.receive().unwrap();
        assert!(frame.head.starts_with("HTTP/1.1 200 OK\r\n"), "{}", frame.head);
        assert_eq!(frame.field("Content-Type"), Some("text/html;charset=utf-8"));
        assert_eq!(frame.field("cli_id"), None);
        assert_eq!(frame.body, b"404 page not found");
    }
    eventually("all are counted", || {
        let stats = server.stats();
        (stats.calls, stats.errors, stats.in_flight) == (9, 7, 0)
    });
}

#[test]
fn a_client_that_announces_it_gets_errors() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = OldPeer::connect(&addr);
    let announce = "fastrpc_ver: 2\r\n";
    peer.send(&old_request(1, "echo.EchoService.Fail", announce, b""));
    let expected = old_response(1, "status: 2042\r\nerr: refused by handler\r\n", b"");
    assert_eq!(peer.receive().unwrap().bytes(), expected);
    // Announced once, it holds for the connection.
    peer.call(2, "Panic", b"two\r\nlines");
    let frame = peer.receive().unwrap();
    assert_eq!((frame.id(), frame.field("status")), (2, Some("2001")));
    assert_eq!(frame.field("err"), Some("the handler panicked: two  lines"));
    for (op, status) in [("echo.EchoService.Absent", "1002"), ("no.Such.Echo", "1001")] {
        peer.send(&old_request(3, op, "", b""));
        let frame = peer.receive().unwrap();
        assert_eq!((frame.id(), frame.field("status")), (3, Some(status)));
    }
    // What went well looks as it always did.
    peer.call(4, "Echo", b"x");
    assert_eq!(peer.receive().unwrap().bytes(), old_response(4, "", b"x"));
}

#[test]
fn an_answer_with_an_attachment_does_not_fit() {
    let (_server, addr) = server(ServerOptions::default());
    let server = Server::new(ServerOptions::default());
    server
        .add_method("echo.EchoService", "Attach", |call| {
            call.reply_with(b"", &ReplyOptions::new().attachment(b"beside"));
        })
        .unwrap();
    let other = server.listen("127.0.0.1:0").unwrap().to_string();
    let client = old_client(&other);
    let error = call(&client, "Attach", b"").unwrap_err();
    assert_eq!(error.0, 2001);
    assert!(error.1.contains("attachment"), "{error:?}");
    let options = CallOptions::new().attachment(b"beside");
    let error = old_client(&addr).call("echo.EchoService", "Echo", b"", &options).unwrap_err();
    assert_eq!(error.code(), 1003);
    assert!(!error.is_remote() && error.text().contains("attachment"), "{error:?}");
}

#[test]
fn heads_as_old_clients_may_write_them() {
    let (_server, addr) = server(ServerOptions::default());
    for head in [
        // LF alone; any case and place of the length; fields nobody knows; the first one counts.
        "POST / HTTP/1.1\nop: echo.EchoService.Echo\ncli_id: 5\nContent-Length: 3\n\n",
        "POST /x HTTP/1.0\r\nHost: a\r\ncli_id: 5\r\nop: echo.EchoService.Echo\r\ncontent-LENGTH:3\r\n\r\n",
        "POST / HTTP/1.1\r\nop: echo.EchoService.Echo\r\nop: no.Such\r\ncli_id: 5\r\ncli_id: 6\r\nContent-Length:  3\r\n\r\n",
        // After a line that is no field, only the length is looked for.
        "POST / HTTP/1.1\r\nop: echo.EchoService.Echo\r\ncli_id: 5\r\nnonsense\r\nop: x\r\nContent-Length: 3\r\n\r\n",
        // The body may look like a length.
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 3\r\nop: echo.EchoService.Echo\r\ncli_id: 5\r\n\r\n",
    ] {
        let mut peer = OldPeer::connect(&addr);
        peer.send(head.as_bytes());
        peer.send(b"abc");
        peer.call(6, "Echo", b"next");
        let mut frames = [peer.receive().unwrap().bytes(), peer.receive().unwrap().bytes()];
        frames.sort();
        assert_eq!(frames, [old_response(5, "", b"abc"), old_response(6, "", b"next")], "{head}");
    }
}

#[test]
fn a_get_has_no_message() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = OldPeer::connect(&addr);
    peer.send(
        b"GET / HTTP/1.1\r\nop: echo.EchoService.Echo\r\ncli_id: 1\r\nContent-Length: 3\r\n\r\nabc",
    );
    assert_eq!(peer.receive().unwrap().bytes(), old_response(1, "", b""));
}

#[test]
fn frames_in_any_pieces_are_frames() {
    let (_server, addr) = server(ServerOptions::default());
    let mut bytes = Vec::new();
    for id in 1..=5 {
        bytes.extend(old_request(id, "echo.EchoService.Echo", "", &[id as u8; 50]));
    }
    for size in [1, 3, 60, 200] {
        let mut peer = OldPeer::connect(&addr);
        for piece in bytes.chunks(size) {
            peer.send(piece);
        }
        let mut ids: Vec<u32> = (0..5)
            .map(|_| {
                let frame = peer.receive().unwrap();
                assert_eq!(frame.body, vec![frame.id() as u8; 50]);
                frame.id()
            })
            .collect();
        ids.sort();
        assert_eq!(ids, [1, 2, 3, 4, 5]);
    }
}

#[test]
fn large_messages_both_ways() {
    let (_server, addr) = server(ServerOptions::default());
    let client = old_client(&addr);
    let body: Vec<u8> = (0..3_000_000u32).map(|i| i as u8).collect();
    assert_eq!(call(&client, "Echo", &body), Ok(body));
}

#[test]
fn bad_frames_close() {
    let mut options = ServerOptions::default();
    options.rpc.max_frame = 1000;
    let (server, addr) = server(options);
    let good = old_request(1, "echo.EchoService.Echo", "", b"x");
    let with_length = |length: &str| {
        format!(
            "POST / HTTP/1.1\r\nop: echo.EchoService.Echo\r\ncli_id: 1\r\nContent-Length: {length}\r\n\r\n"
        )
        .into_bytes()
    };
    let endless = [b"POST / HTTP/1.1\r\n".to_vec(), vec![b'a'; 9000]].concat();
    let bad = [
        with_length("1001"),
        with_length("-1"),
        with_length("99999999999999999999999999"),
        with_length("12abc"),
        with_length("1\r\nContent-Length: 2"),
        b"PRPC\0\0\0\0\0\0\0\0".to_vec(),
        endless,
    ];
    for bytes in &bad {
        // As the first frame and as a later one.
        let mut peer = OldPeer::connect(&addr);
        peer.send(&good);
        assert_eq!(peer.receive().unwrap().bytes(), old_response(1, "", b"x"));
        peer.send(bytes);
        peer.assert_closed();
        if !bytes.starts_with(b"PRPC") {
            let mut peer = OldPeer::connect(&addr);
            peer.send(bytes);
            peer.assert_closed();
        }
    }
    eventually("they are counted", || server.stats().bad_peers == 2 * bad.len() as u64 - 1);
    assert_serves(&addr);
}

#[test]
fn a_frame_without_a_number_is_nobodys() {
    let (_server, addr) = server(ServerOptions::default());
    let mut peer = OldPeer::connect(&addr);
    peer.call(1, "Echo", b"a");
    assert_eq!(peer.receive().unwrap().id(), 1);
    for id in ["", "x", "-1", "4294967296"] {
        let head = format!("POST / HTTP/1.1\r\nop: echo.EchoService.Echo\r\ncli_id: {id}\r\n\r\n");
        peer.send(head.as_bytes());
    }
    peer.call(2, "Echo", b"b");
    assert_eq!(peer.receive().unwrap().bytes(), old_response(2, "", b"b"));
}

#[test]
fn an_unfinished_frame_times_out() {
    let mut options = ServerOptions::default();
    options.rpc.frame_timeout = Some(Duration::from_millis(50));
    options.detect_timeout = options.rpc.frame_timeout;
    let (_server, addr) = server(options);
    let whole = old_request(1, "echo.EchoService.Echo", "", b"body");
    for cut in [1, 20, whole.len() - 1] {
        let mut peer = OldPeer::connect(&addr);
        peer.send(&whole[..cut]);
        peer.assert_closed();
        // And after a good one.
        let mut peer = OldPeer::connect(&addr);
        peer.send(&whole);
        assert_eq!(peer.receive().unwrap().body, b"body");
        peer.send(&whole[..cut]);
        peer.assert_closed();
    }
}

#[test]
fn back_pressure_and_half_closing_hold_for_old_clients() {
    let mut options = ServerOptions::default();
    options.rpc.max_in_flight = 4;
    let (server, addr) = server(options);
    let mut peer = OldPeer::connect(&addr);
    let mut bytes = Vec::new();
    for id in 1..=40 {
        // Some are never answered: they must make room all the same.
        let method = if id % 2 == 0 { "Fail" } else { "Sleep" };
        bytes.extend(old_request(id, &format!("echo.EchoService.{method}"), "", b"5"));
    }
    peer.send(&bytes);
    peer.stream.shutdown(Shutdown::Write).unwrap();
    let mut ids: Vec<u32> = (0..20).map(|_| peer.receive().unwrap().id()).collect();
    ids.sort();
    assert_eq!(ids, (1..=40).step_by(2).collect::<Vec<u32>>());
    peer.assert_closed();
    eventually("it is gone", || server.stats().connections == 0);
}

#[test]
fn a_stop_waits_for_calls_that_get_no_answer() {
    let (server, addr) = server(ServerOptions::default());
    server
        .add_method("echo.EchoService", "SleepAndFail", |call| {
            rt::sleep(Duration::from_millis(100)).unwrap();
            call.fail(5, "");
        })
        .unwrap();
    let mut peer = OldPeer::connect(&addr);
    peer.call(1, "SleepAndFail", b"");
    eventually("the call has come", || server.stats().in_flight == 1);
    let report = server.stop(Deadline::after(LONG));
    assert_eq!((report.finished, report.canceled, report.refused), (1, 0, 0));
    peer.assert_closed();
}

// ---- the client ----

#[test]
fn our_client_and_our_server() {
    let (server, addr) = server(ServerOptions::default());
    let client = old_client(&addr);
    assert_eq!(call(&client, "Echo", b"hello"), Ok(b"hello".to_vec()));
    assert_eq!(call(&client, "Fail", b""), Err((2042, "refused by handler".into())));
    let error = call(&client, "Absent", b"").unwrap_err();
    assert_eq!(error.0, 1002);
    assert!(error.1.contains("Absent"), "{error:?}");
    // Compression is a wish that these frames cannot grant.
    let options = CallOptions::new().compress(Compress::Gzip);
    let answer = client.call("echo.EchoService", "Echo", b"plain", &options).unwrap();
    assert_eq!(answer.body(), b"plain");
    let error = client.call("a\r\nb", "Echo", b"", &CallOptions::default()).unwrap_err();
    assert_eq!(error.code(), 1003, "{error:?}");
    assert_eq!(client.stats().in_flight, 0);
    assert_eq!(server.stats().accepted, 1, "one connection for all");
}

#[test]
fn the_server_learns_of_the_deadline_and_the_name() {
    init();
    let server = Server::new(ServerOptions::default());
    let (tx, rx) = mpsc::channel();
    let tx = Mutex::new(tx);
    server
        .add_method("a.B", "C", move |call| {
            let said = (call.deadline().remaining(), call.request_id().map(str::to_owned));
            tx.lock().unwrap().send(said).unwrap();
            call.reply(b"");
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    let timeout = Some(Duration::from_secs(5));
    let options = CallOptions::new().timeout(timeout).request_id("r-1");
    old_client(&addr).call("a.B", "C", b"", &options).unwrap();
    let (left, name) = rx.try_recv().unwrap();
    assert_eq!(name.as_deref(), Some("r-1"));
    let left = left.expect("the client said when it stops waiting");
    assert!(left > Duration::from_secs(1) && left <= Duration::from_secs(5), "{left:?}");
}

#[test]
fn many_calls_in_flight_from_everywhere() {
    let (_server, addr) = server(ServerOptions::default());
    let client = Arc::new(old_client(&addr));
    let threads: Vec<_> = (0..4u32)
        .map(|i| {
            let client = client.clone();
            std::thread::spawn(move || {
                for j in 0..100u32 {
                    let body = (i * 1000 + j).to_string().into_bytes();
                    assert_eq!(call(&client, "Echo", &body), Ok(body));
                }
            })
        })
        .collect();
    let calls = client.clone();
    in_coroutine(move || {
        let handles: Vec<_> = (0..50u32)
            .map(|i| {
                let client = calls.clone();
                rt::spawn(move || {
                    for j in 0..20u32 {
                        let body = (i * 77 + j).to_string().into_bytes();
                        assert_eq!(call(&client, "Echo", &body), Ok(body));
                    }
                })
                .unwrap()
            })
            .collect();
        handles.into_iter().for_each(|handle| handle.join().unwrap());
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((client.stats().in_flight, client.stats().unmatched), (0, 0));
}

#[test]
fn a_silent_server_is_a_timeout_and_a_late_answer_is_dropped() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = old_client(&listener.local_addr().unwrap().to_string());
    let options = CallOptions::new().timeout(Duration::from_millis(50));
    let error = client.call("echo.EchoService", "Echo", b"", &options).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    let mut server = OldPeer::accept(&listener);
    assert_eq!(server.receive().unwrap().id(), 1);
    // Late; of no call; the old server's page for what it does not know.
    server.send(&old_response(1, "", b"late"));
    server.send(&old_response(99, "", b"whose?"));
    server.send(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Type: text/html\r\n\r\n404");
    let next = std::thread::spawn(move || {
        let request = server.receive().unwrap();
        server.send(&old_response(request.id(), "status: 0\r\n", b"good"));
        (request.id(), server)
    });
    assert_eq!(call(&client, "Echo", b""), Ok(b"good".to_vec()));
    let (id, _server) = next.join().unwrap();
    assert_eq!((id, client.stats().unmatched), (2, 3));
}

#[test]
fn a_broken_connection_fails_calls_at_once_and_is_made_again() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Arc::new(old_client(&listener.local_addr().unwrap().to_string()));
    let caller = client.clone();
    let start = Instant::now();
    let waiting = std::thread::spawn(move || call(&caller, "Echo", b""));
    let mut server = OldPeer::accept(&listener);
    server.receive().unwrap();
    drop(server);
    let error = waiting.join().unwrap().unwrap_err();
    assert_eq!(error.0, 1009, "{error:?}");
    assert!(start.elapsed() < LONG / 2);
    let answering = std::thread::spawn(move || {
        let mut server = OldPeer::accept(&listener);
        let request = server.receive().unwrap();
        server.send(&old_response(request.id(), "", b"again"));
        server
    });
    let connected = client.connect(Deadline::after(LONG));
    assert!(connected.is_ok(), "{connected:?}");
    assert_eq!(call(&client, "Echo", b""), Ok(b"again".to_vec()));
    drop(answering.join().unwrap());
}

#[test]
fn an_answer_that_is_none_breaks_the_connection() {
    for answer in [&b"PRPC\0\0\0\0\0\0\0\0"[..], b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n"] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = Arc::new(old_client(&listener.local_addr().unwrap().to_string()));
        let caller = client.clone();
        let waiting = std::thread::spawn(move || call(&caller, "Echo", b""));
        let mut server = OldPeer::accept(&listener);
        server.receive().unwrap();
        server.send(answer);
        assert_eq!(waiting.join().unwrap().unwrap_err().0, 2002);
    }
    // A status that is no number costs the call alone.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let client = Arc::new(old_client(&listener.local_addr().unwrap().to_string()));
    let caller = client.clone();
    let waiting = std::thread::spawn(move || call(&caller, "Echo", b""));
    let mut server = OldPeer::accept(&listener);
    let id = server.receive().unwrap().id();
    server.send(&old_response(id, "status: bad\r\n", b""));
    assert_eq!(waiting.join().unwrap().unwrap_err().0, 2002);
    assert!(client.is_connected());
}

// ---- one port ----

#[test]
fn all_protocols_on_one_port_at_once() {
    let (server, addr) = server(ServerOptions::default());
    let (tx, web) = mpsc::channel();
    let tx = Mutex::new(tx);
    server
        .http()
        .route("POST", "/hello", move |request| {
            tx.lock().unwrap().send(request.connection_id()).unwrap();
            "hello"
        })
        .unwrap();
    let threads: Vec<_> = (0..4u32)
        .map(|i| {
            let client = if i % 2 == 0 { old_client(&addr) } else { client(&addr) };
            std::thread::spawn(move || {
                for j in 0..100u32 {
                    let body = (i * 1000 + j).to_string().into_bytes();
                    assert_eq!(call(&client, "Echo", &body), Ok(body));
                    assert_eq!(call(&client, "Fail", b"").unwrap_err().0, 2042);
                }
            })
        })
        .collect();
    let mut old = OldPeer::connect(&addr);
    let mut new = Peer::connect(&addr);
    let mut browser = OldPeer::connect(&addr);
    for id in 1..=100 {
        old.call(id, "Echo", b"old");
        new.send(&request(id.into(), "Echo", b"new"));
        assert_eq!(old.receive().unwrap().bytes(), old_response(id, "", b"old"));
        assert_eq!(new.receive().unwrap().body, b"new");
        browser.send(b"POST /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(browser.receive().unwrap().body, b"hello");
    }
    // Pushes have no place between HTTP's answers.
    let id = web.recv_timeout(LONG).unwrap();
    for pushed in [server.push(id, "a.B", b""), server.push_raw(id, b"x")] {
        assert_eq!(pushed.unwrap_err().code(), 1003);
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!(server.stats().accepted, 7);
}
