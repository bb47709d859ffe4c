//! Bodies that are read and written while the request is served.

use std::io::{Read, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use fastrpc::http::{Request, Response, StatusCode};
use fastrpc::rt;

use super::support::*;

const EXPECTING: &str = "POST /echo HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n";

#[test]
fn chunks_both_ways() {
    let (_server, addr) = serve(|router| {
        router
            .route("POST", "/stream", |request| {
                let mut body = request.into_body();
                Response::stream(move |out| {
                    let mut buffer = [0; 1000];
                    loop {
                        match body.read(&mut buffer)? {
                            0 => break,
                            count => out.send(&buffer[..count])?,
                        }
                    }
                    out.send(format!("{:?}", body.trailers().get("x-sum")).as_bytes())
                })
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for _ in 0..2 {
        peer.send("POST /stream HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
        assert_eq!(peer.head().field("Transfer-Encoding"), Some("chunked"));
        for part in ["one", "two"] {
            // Each is back before the next is sent.
            peer.send(format!("3;x=y\r\n{part}\r\n"));
            assert_eq!(peer.chunk(), part.as_bytes());
        }
        peer.send("0\r\nX-Sum: 6\r\n\r\n");
        assert_eq!(peer.chunk(), b"Some(\"6\")");
        assert_eq!(peer.chunk(), b"");
    }
}

#[test]
fn a_large_body_back_and_forth() {
    let (_server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    let body: Vec<u8> = (0..3_000_000u32).map(|i| (i * 7) as u8).collect();
    let mut writer = peer.stream.try_clone().unwrap();
    let sent = body.clone();
    let writing = std::thread::spawn(move || {
        for _ in 0..2 {
            let head =
                format!("POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len());
            writer.write_all(head.as_bytes()).unwrap();
            writer.write_all(&sent).unwrap();
        }
    });
    for _ in 0..2 {
        assert!(peer.response().body == body);
    }
    writing.join().unwrap();
}

#[test]
fn a_body_that_is_not_read_holds_the_client_up() {
    let gate = Arc::new(Mutex::new(false));
    let open = gate.clone();
    let (_server, addr) = serve(move |router| {
        router
            .route("POST", "/later", move |mut request| {
                while !*open.lock().unwrap() {
                    rt::sleep(std::time::Duration::from_millis(1)).unwrap();
                }
                Response::text(request.bytes().unwrap().len().to_string())
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    let size = 40 << 20;
    let taken = Arc::new(AtomicUsize::new(0));
    let (mut writer, count) = (peer.stream.try_clone().unwrap(), taken.clone());
    let writing = std::thread::spawn(move || {
        let head = format!("POST /later HTTP/1.1\r\nHost: a\r\nContent-Length: {size}\r\n\r\n");
        writer.write_all(head.as_bytes()).unwrap();
        for _ in 0..size >> 16 {
            writer.write_all(&[7; 1 << 16]).unwrap();
            count.fetch_add(1 << 16, Ordering::Relaxed);
        }
    });
    let mut before = usize::MAX;
    eventually("the client is held up", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = taken.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    assert!(before < size, "all of it was taken");
    *gate.lock().unwrap() = true;
    assert_eq!(peer.response().text(), size.to_string());
    writing.join().unwrap();
}

#[test]
fn a_client_that_takes_nothing_holds_the_handler_up() {
    let written = Arc::new(AtomicUsize::new(0));
    let count = written.clone();
    let (_server, addr) = serve(move |router| {
        router
            .route("GET", "/much", move |_| {
                let count = count.clone();
                Response::stream(move |out| {
                    for _ in 0..1000 {
                        out.send(&[b'x'; 1 << 16])?;
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /much HTTP/1.1\r\nHost: a\r\n\r\n");
    let mut before = usize::MAX;
    eventually("the handler is held up", || {
        std::thread::sleep(std::time::Duration::from_millis(200));
        let now = written.load(Ordering::Relaxed);
        std::mem::replace(&mut before, now) == now && now > 0
    });
    assert!(before < 1000, "all of it was taken");
    assert_eq!(peer.response().body.len(), 1000 << 16);
}

#[test]
fn continue_is_said_when_the_body_is_wanted() {
    let (_server, addr) = serve(|router| {
        router
            .route("POST", "/no", |_| Response::text("no").with_status(StatusCode::FORBIDDEN))
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for _ in 0..2 {
        peer.send(format!("{EXPECTING}Content-Length: 5\r\n\r\n"));
        assert_eq!(peer.head().status, 100);
        peer.send("hello");
        assert_eq!(peer.response().text(), "hello");
    }
    // It is here already.
    peer.send(format!("{EXPECTING}Content-Length: 5\r\n\r\nhello"));
    assert_eq!(peer.response().text(), "hello");
    // In HTTP/1.0 it means nothing.
    peer.send("POST /echo HTTP/1.0\r\nConnection: keep-alive\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n");
    std::thread::sleep(std::time::Duration::from_millis(20));
    peer.send("ab");
    assert_eq!(peer.response().text(), "ab");
    // Unwanted: whether the body will follow is not known.
    peer.send(format!("{}Content-Length: 5\r\n\r\n", EXPECTING.replace("/echo", "/no")));
    let answer = peer.response();
    assert_eq!((answer.status, answer.field("Connection")), (403, Some("close")));
    peer.assert_closed();
}

#[test]
fn a_body_that_nobody_reads_is_passed_over_or_ends_the_connection() {
    let (_server, addr) = serve(|router| {
        router.route("POST", "/ignore", |_| "ignored").unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for framing in ["Content-Length: 100000", "Transfer-Encoding: chunked"] {
        peer.send(format!("POST /ignore HTTP/1.1\r\nHost: a\r\n{framing}\r\n\r\n"));
        assert_eq!(peer.response().text(), "ignored", "the answer comes before the body");
        match framing {
            "Content-Length: 100000" => peer.send([b'x'; 100_000]),
            _ => peer.send("5\r\nhello\r\n0\r\n\r\n"),
        }
    }
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
    peer.send("POST /ignore HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n");
    assert_eq!(peer.response().field("Connection"), Some("close"));
    peer.assert_closed();
}

#[test]
fn a_stream_for_http_1_0_ends_with_the_connection() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/stream", |_| Response::stream(|out| out.write_all(b"stream")))
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /stream HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    let answer = peer.response();
    assert_eq!(answer.text(), "stream");
    assert_eq!(
        (answer.field("Connection"), answer.field("Transfer-Encoding")),
        (Some("close"), None)
    );
}

#[test]
fn a_stream_of_known_length() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/fits", |_| {
                Response::stream_sized(6, |out| {
                    out.send(b"abc")?;
                    out.send(b"def")?;
                    assert!(out.send(b"g").is_err(), "one too many");
                    Ok(())
                })
            })
            .unwrap()
            .route("GET", "/short", |_| Response::stream_sized(6, |out| out.send(b"abc")))
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /fits HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "abcdef");
    peer.send("GET /short HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().field("Content-Length"), Some("6"));
    assert_eq!(peer.rest(), b"abc");
}

#[test]
fn a_stream_that_breaks_off_ends_the_connection() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/fail", |_| {
                Response::stream(|out| {
                    out.send(b"some")?;
                    Err(std::io::Error::other("no more"))
                })
            })
            .unwrap()
            .route("GET", "/panic", |_| {
                Response::stream(|out| {
                    out.send(b"some")?;
                    panic!("on purpose")
                })
            })
            .unwrap();
    });
    for path in ["/fail", "/panic"] {
        let mut peer = Peer::connect(&addr);
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        assert_eq!(peer.head().status, 200);
        assert_eq!(peer.chunk(), b"some");
        peer.assert_closed();
    }
    assert_serves(&addr);
}

#[test]
fn a_request_that_is_over_reads_no_one_elses_bytes() {
    let kept: Arc<Mutex<Option<Request>>> = Arc::default();
    let keep = kept.clone();
    let (_server, addr) = serve(move |router| {
        router
            .route("POST", "/keep", move |request| {
                *keep.lock().unwrap() = Some(request);
                "kept"
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("POST /keep HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n");
    assert_eq!(peer.response().text(), "kept");
    peer.send("hello");
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
    let mut request = kept.lock().unwrap().take().unwrap();
    assert!(request.bytes().is_err());
}
