//! Answers that are made after the handler has returned, by others.

use std::io::Read;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fastrpc::http::{Request, Responder, Response, StatusCode};
use fastrpc::rt;

use super::support::*;

#[test]
fn from_a_thread_and_from_a_coroutine() {
    let (_server, addr) = serve(|router| {
        router
            .route_deferred("POST", "/thread", |mut request: Request, responder: Responder| {
                thread::spawn(move || {
                    thread::sleep(Duration::from_millis(5));
                    responder.send(Response::text(request.bytes().unwrap().len().to_string()));
                });
            })
            .unwrap()
            .route_deferred("GET", "/coroutine", |_, responder| {
                rt::spawn(move || {
                    rt::sleep(Duration::from_millis(5)).unwrap();
                    responder.send("later");
                })
                .unwrap();
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for _ in 0..5 {
        // The thread reads the body, of which a part comes late.
        peer.send("POST /thread HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
        peer.send([b'x'; 100_000]);
        peer.send(
            "GET /coroutine HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n",
        );
        for text in ["100000", "later", "hello"] {
            assert_eq!(peer.response().text(), text);
        }
    }
}

#[test]
fn a_stream_from_a_thread() {
    let (_server, addr) = serve(|router| {
        router
            .route_deferred("POST", "/stream", |request, responder| {
                thread::spawn(move || {
                    let mut body = request.into_body();
                    let mut out = responder.stream(Response::new(StatusCode::CREATED), None);
                    let mut buffer = [0; 100];
                    loop {
                        match body.read(&mut buffer).unwrap() {
                            0 => return out.finish().unwrap(),
                            count => out.send(&buffer[..count]).unwrap(),
                        }
                    }
                });
            })
            .unwrap()
            .route_deferred("GET", "/closure", |_, responder| {
                thread::spawn(move || {
                    responder.send(Response::stream(|out| {
                        assert!(rt::is_coroutine());
                        out.send(b"closure")
                    }));
                });
            })
            .unwrap()
            .route_deferred("GET", "/dropped", |_, responder| {
                let mut out = responder.stream(Response::new(StatusCode::OK), None);
                out.send(b"part").unwrap();
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for _ in 0..3 {
        peer.send("POST /stream HTTP/1.1\r\nHost: a\r\nContent-Length: 6\r\n\r\nabc");
        let first = if peer.head().status == 201 { peer.chunk() } else { panic!("no 201") };
        assert_eq!(first, b"abc");
        peer.send("def");
        assert_eq!(peer.chunk(), b"def");
        assert_eq!(peer.chunk(), b"");
        peer.send("GET /closure HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.response().text(), "closure");
    }
    peer.send("GET /dropped HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().status, 200);
    assert_eq!(peer.chunk(), b"part");
    peer.assert_closed();
}

#[test]
fn no_answer_is_a_500() {
    let (_server, addr) = serve(|router| {
        router
            .route_deferred("GET", "/drop", |_, responder| drop(responder))
            .unwrap()
            .route_deferred("GET", "/panic", |_, _| panic!("on purpose"))
            .unwrap()
            .route_deferred("GET", "/elsewhere", |_, responder| {
                thread::spawn(move || drop(responder));
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for path in ["/drop", "/panic", "/elsewhere", "/drop"] {
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(peer.response().status, 500, "{path}");
    }
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
}

#[test]
fn after_the_connection_or_the_server_has_gone() {
    let kept: Arc<Mutex<Vec<Responder>>> = Arc::default();
    let keep = kept.clone();
    let (server, addr) = serve(move |router| {
        router
            .route_deferred("GET", "/keep", move |_, responder| {
                keep.lock().unwrap().push(responder)
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || kept.lock().unwrap().len() == 1);
    drop(peer);
    kept.lock().unwrap().pop().unwrap().send("nobody listens");
    eventually("the connection ends", || server.stats().connections == 0);

    let mut peer = Peer::connect(&addr);
    peer.send("GET /keep HTTP/1.1\r\nHost: a\r\n\r\n");
    eventually("the request", || kept.lock().unwrap().len() == 1);
    drop(server);
    peer.assert_closed();
    kept.lock().unwrap().pop().unwrap().send("nobody is there");
}

#[test]
fn raw_responses_are_sent_as_they_are_or_not_at_all() {
    let (_server, addr) = serve(|router| {
        router
            .fallback(|mut request, responder| {
                let raw = request.bytes().unwrap().to_vec();
                responder.send(Response::raw(raw));
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    let mut ask = |raw: &str| {
        peer.send(format!(
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n{raw}",
            raw.len()
        ));
        peer.response()
    };
    let raw = "HTTP/1.1 202 Fine\r\nx-Odd: 1\r\nContent-Length: 2\r\n\r\n";
    let answer = ask(&format!("{raw}ab"));
    assert_eq!((&answer.head[..], answer.text()), (raw, "ab"));
    let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n";
    assert_eq!(ask(chunked).text(), "ab");
    for bad in [format!("{raw}a"), format!("{raw}abc"), "".into(), "hello".into()] {
        assert_eq!(ask(&bad).status, 500, "{bad:?}");
    }
    assert_eq!(ask("HTTP/1.1 200 OK\r\n\r\nto the end").text(), "to the end");
}
