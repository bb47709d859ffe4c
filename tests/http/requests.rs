//! What a request says, what is answered, and what becomes of the connection.

use std::io::Write;
use std::net::Shutdown;
use std::time::Duration;

use fastrpc::http::{Response, StatusCode};
use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt;

use super::support::*;

#[test]
fn a_request_and_its_answer() {
    let (_server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    for _ in 0..3 {
        peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        let answer = peer.response();
        assert_eq!((answer.status, answer.text()), (200, "hello"));
        assert_eq!(answer.field("Content-Type"), Some("text/plain; charset=utf-8"));
        assert!(answer.field("Date").is_some_and(|date| date.ends_with(" GMT")), "{}", answer.head);
        assert_eq!(answer.field("Connection"), None);
    }
}

#[test]
fn what_a_handler_sees() {
    let (_server, addr) = serve(|router| {
        router
            .route("POST", "/see/:id/*rest", |mut request| {
                let form = request.form().unwrap();
                let text = format!(
                    "{} {} {:?} {:?} {:?} {:?} {:?} {:?} {:?} {form:?} {}",
                    request.method(),
                    request.uri(),
                    request.param("id"),
                    request.param("rest"),
                    request.query("q").as_deref(),
                    request.query("none").as_deref(),
                    request.cookie("b"),
                    request.header("x-one"),
                    request.header("x-none"),
                    request.peer().to_string().starts_with("127.0.0.1:"),
                );
                Response::text(text)
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send(
        "POST /see/a%20b/c/d?p=1&q=x+y%26 HTTP/1.1\r\nHost: a\r\nX-One: 1\r\n\
         Cookie: a=1; b=2\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n\
         Content-Length: 9\r\n\r\nk=v%21&w=",
    );
    assert_eq!(
        peer.response().text(),
        "POST /see/a%20b/c/d?p=1&q=x+y%26 Some(\"a b\") Some(\"c/d\") Some(\"x y&\") None \
         Some(\"2\") Some(\"1\") None [(\"k\", \"v!\"), (\"w\", \"\")] true"
    );
}

#[test]
fn what_has_no_route() {
    let (_server, addr) = serve(|router| {
        router.route("PUT", "/hello", |_| StatusCode::NO_CONTENT).unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().status, 404);
    peer.send("DELETE /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    let answer = peer.response();
    assert_eq!((answer.status, answer.field("Allow")), (405, Some("GET, PUT")));
    peer.send("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().status, 404);
    peer.send("PUT /hello HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc");
    let answer = peer.response();
    assert_eq!((answer.status, answer.field("Content-Length")), (204, None));
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
}

#[test]
fn head_is_get_without_the_body() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/stream", |_| Response::stream(|_| panic!("HEAD has no body")))
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send("HEAD /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().field("Content-Length"), Some("5"));
    peer.send("HEAD /stream HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.head().field("Transfer-Encoding"), Some("chunked"));
    peer.send("HEAD /nothing HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(peer.head().status, 404);
    peer.assert_closed();
}

#[test]
fn when_the_connection_ends() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/bye", |_| Response::text("bye").header("Connection", "close"))
            .unwrap();
    });
    for (request, connection) in [
        ("GET /hello HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", Some("close")),
        ("GET /hello HTTP/1.0\r\n\r\n", Some("close")),
        ("GET /bye HTTP/1.1\r\nHost: a\r\n\r\n", Some("close")),
    ] {
        let mut peer = Peer::connect(&addr);
        peer.send(request);
        let answer = peer.response();
        assert_eq!((answer.status, answer.field("Connection")), (200, connection), "{request:?}");
        peer.assert_closed();
    }
    let mut peer = Peer::connect(&addr);
    for _ in 0..2 {
        peer.send("GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        assert_eq!(peer.response().field("Connection"), Some("keep-alive"));
    }
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/n/:n", |request| {
                let n = request.param("n").unwrap().to_owned();
                // The later, the faster.
                let millis = 10u64.saturating_sub(n.parse().unwrap());
                rt::sleep(Duration::from_millis(millis)).unwrap();
                Response::text(n)
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    let requests: String =
        (0..500).map(|n| format!("\r\nGET /n/{n} HTTP/1.1\r\nHost: a\r\n\r\n")).collect();
    let mut writer = peer.stream.try_clone().unwrap();
    let writing = std::thread::spawn(move || writer.write_all(requests.as_bytes()).unwrap());
    for n in 0..500 {
        assert_eq!(peer.response().text(), n.to_string());
    }
    writing.join().unwrap();
}

#[test]
fn an_answer_does_not_wait_for_the_next_handler() {
    let (_server, addr) = serve(|router| {
        router
            .route("GET", "/slow", |_| {
                rt::sleep(LONG * 10).unwrap();
                "slow"
            })
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    peer.send(
        "GET /hello HTTP/1.1\r\nHost: a\r\n\r\nGET /hello HTTP/1.1\r\nHost: a\r\n\r\n\
         GET /slow HTTP/1.1\r\nHost: a\r\n\r\n",
    );
    assert_eq!(peer.response().text(), "hello");
    assert_eq!(peer.response().text(), "hello");
}

#[test]
fn a_request_byte_by_byte() {
    let (_server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    for _ in 0..2 {
        for byte in b"POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello" {
            peer.send([*byte]);
        }
        assert_eq!(peer.response().text(), "hello");
    }
}

#[test]
fn a_client_may_close_its_side_first() {
    let (_server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    let request = "GET /hello HTTP/1.1\r\nHost: a\r\n\r\n";
    peer.send(request.repeat(2));
    peer.stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(peer.response().text(), "hello");
    assert_eq!(peer.response().text(), "hello");
    peer.assert_closed();
}

#[test]
fn a_handler_that_panics_is_a_500() {
    let (server, addr) = serve(|router| {
        router
            .route("GET", "/panic", |_| -> Response { panic!("on purpose") })
            .unwrap()
            .route("GET", "/split", |_| Response::text("x").header("X", "a\r\nSet-Cookie: b"))
            .unwrap()
            .route("GET", "/early", |_| Response::text("x").with_status(StatusCode::CONTINUE))
            .unwrap();
    });
    let mut peer = Peer::connect(&addr);
    for path in ["/panic", "/split", "/early"] {
        peer.send(format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let answer = peer.response();
        assert_eq!((answer.status, answer.text()), (500, "500 Internal Server Error\n"), "{path}");
        assert_eq!(answer.field("Set-Cookie"), None);
    }
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
    let counted =
        |stats: fastrpc::server::ServerStats| (stats.in_flight, stats.calls, stats.errors);
    eventually("the counters", || counted(server.stats()) == (0, 4, 3));
}

#[test]
fn an_upgrade_is_passed_over() {
    let (_server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    peer.send(
        "GET /hello HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: AAMAAABkAAQCAAAAAAIAAAAA\r\n\r\n",
    );
    let answer = peer.response();
    assert_eq!((answer.status, answer.text()), (200, "hello"));
    peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(peer.response().text(), "hello");
}

#[test]
fn one_port_for_http_and_rpc() {
    let (server, addr) = serve(|_| {});
    server
        .add_method("a.B", "C", |call| {
            let body = call.request().to_vec();
            call.reply(&body);
        })
        .unwrap();
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    let mut peer = Peer::connect(&addr);
    for _ in 0..3 {
        let answer = client.call("a.B", "C", b"rpc", &CallOptions::default()).unwrap();
        assert_eq!(answer.body(), b"rpc");
        peer.send("GET /hello HTTP/1.1\r\nHost: a\r\n\r\n");
        assert_eq!(peer.response().text(), "hello");
        peer.send("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n");
        assert_eq!(peer.response().status, 404);
    }
    eventually("the counters", || server.stats().calls == 9);
}

#[test]
fn bytes_are_counted() {
    let (server, addr) = serve(|_| {});
    let mut peer = Peer::connect(&addr);
    let request = "POST /echo HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc";
    peer.send(request);
    let answer = peer.response();
    let sent = (answer.head.len() + answer.body.len()) as u64;
    eventually("the counters", || server.stats().bytes_out == sent);
    drop(peer);
    eventually("the end", || server.stats().connections == 0);
    assert_eq!(server.stats().bytes_in, request.len() as u64);
}
