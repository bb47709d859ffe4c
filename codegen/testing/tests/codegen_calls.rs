//! Generated servers and clients over real sockets.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use fastrpc::rpc::{Call, CallOptions, Client, ClientOptions, Code, Compress, Error, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};
use fastrpc_build_testing::support::{self, Implementation, LONG, text};
use fastrpc_build_testing::testing::calls::{
    CallsClient, CallsServer, Count, Other, OtherClient, OtherServer, Text, Tree,
};

fn plain() -> CallOptions<'static> {
    CallOptions::new().timeout(LONG)
}

#[test]
fn a_call_from_a_thread_and_from_a_coroutine() {
    let (_server, calls) = support::server();
    assert_eq!(calls.echo(&text("a thread"), &plain()).unwrap().into_body(), text("a thread"));
    assert_eq!(calls.count(&text("seven"), &plain()).unwrap().into_body().count, 5);
    let outcome = rt::spawn(move || calls.echo(&text("a coroutine"), &plain())).unwrap().join();
    assert_eq!(outcome.unwrap().unwrap().into_body(), text("a coroutine"));
}

#[test]
fn attachments_go_both_ways() {
    let (_server, calls) = support::server();
    for compress in [Compress::None, Compress::Gzip] {
        let attachment = b"\0beside\xff";
        let options = plain().attachment(attachment).compress(compress);
        let response = calls.echo(&text("x".repeat(5000)), &options).unwrap();
        assert_eq!(response.attachment(), attachment);
        assert_eq!(response.body().text.len(), 5000);
    }
    assert_eq!(calls.echo(&text(""), &plain()).unwrap().attachment(), b"");
}

#[test]
fn a_handler_sees_the_call() {
    let (_server, calls) = support::server();
    let options = plain().log_id(42).request_id("abc");
    let said = calls.describe(&text("hi"), &options).unwrap().into_body().text;
    assert_eq!(said, r#"hi testing.calls.Calls Describe log 42 id "abc" timed true"#);
}

#[test]
fn an_error_keeps_its_number_and_text() {
    let (_server, calls) = support::server();
    let error = calls.fail(&text("luck"), &plain()).unwrap_err();
    assert!(error.is_remote());
    assert_eq!((error.code(), error.text()), (Code::new(2042), "no luck"));
}

#[test]
fn a_panic_is_an_error_with_its_text() {
    let (_server, calls) = support::server();
    let error = calls.panic(&text("luck"), &plain()).unwrap_err();
    assert!(error.is_remote());
    assert_eq!(error.code(), Code::EINTERNAL);
    assert_eq!(error.text(), "the handler panicked: no luck");
    assert_eq!(
        calls.echo(&text("still there"), &plain()).unwrap().into_body(),
        text("still there")
    );
}

#[test]
fn a_timeout() {
    let (_server, calls) = support::server();
    let options = plain().timeout(Duration::from_millis(20));
    let error = calls.sleep(&Count { count: 2000 }, &options).unwrap_err();
    assert!(error.is_timeout(), "{error:?}");
    assert_eq!(calls.sleep(&Count { count: 1 }, &plain()).unwrap().into_body(), text("slept"));
}

#[test]
fn a_callback_gets_the_outcome() {
    let (_server, calls) = support::server();
    let (tx, rx) = mpsc::channel();
    for message in [text("good"), text("luck")] {
        let (one, other) = (tx.clone(), tx.clone());
        calls.echo_async(&message, &plain(), move |outcome| {
            one.send(outcome.map(|response| response.into_body().text)).unwrap();
        });
        calls.fail_async(&message, &plain(), move |outcome| {
            other.send(outcome.map(|response| response.into_body().text)).unwrap();
        });
    }
    let mut said: Vec<String> = (0..4)
        .map(|_| match rx.recv_timeout(LONG).unwrap() {
            Ok(text) => text,
            Err(error) => error.to_string(),
        })
        .collect();
    said.sort();
    assert_eq!(said, ["2042: no good", "2042: no luck", "good", "luck"]);
}

#[test]
fn an_asynchronous_call_is_canceled() {
    let (_server, calls) = support::server();
    let (tx, rx) = mpsc::channel();
    let handle = calls.sleep_async(&Count { count: 5000 }, &plain(), move |outcome| {
        tx.send(outcome).unwrap();
    });
    handle.cancel();
    assert!(rx.recv_timeout(LONG).unwrap().unwrap_err().is_canceled());
}

#[test]
fn a_response_is_deferred() {
    let (_server, calls) = support::server();
    let response = calls.later(&text("beside"), &plain()).unwrap();
    assert_eq!((response.body(), response.attachment()), (&text("Later"), &b"beside"[..]));
    let error = calls.later(&text("fail whale"), &plain()).unwrap_err();
    assert_eq!((error.code(), error.text()), (Code::new(7), "whale"));
}

#[test]
fn a_response_that_is_never_sent_is_an_error() {
    let (_server, calls) = support::server();
    let error = calls.forget(&text(""), &plain()).unwrap_err();
    assert!(error.is_remote());
    assert_eq!(error.code(), Code::EINTERNAL);
}

#[test]
fn bodies_that_do_not_decode() {
    let (server, calls) = support::server();
    let client = support::client(&server);
    let service = "testing.calls.Calls";
    let error = client.call(service, "Echo", b"\xff\xff", &plain()).unwrap_err();
    assert!(error.is_remote());
    assert_eq!(error.code(), Code::EREQUEST);
    assert!(error.text().starts_with("the body is not a testing.calls.Text: "), "{error}");

    // A server whose responses do not decode.
    let odd = Server::new(ServerOptions::default());
    odd.add_method(service, "Count", |call| call.reply(b"\x0a\x7fshort")).unwrap();
    let odd_calls = CallsClient::new(support::client(&odd));
    let error = odd_calls.count(&text("hi"), &plain()).unwrap_err();
    assert!(!error.is_remote());
    assert_eq!(error.code(), Code::ERESPONSE);
    assert!(error.text().starts_with("the response is not a testing.calls.Count: "), "{error}");

    let (tx, rx) = mpsc::channel();
    odd_calls.count_async(&text("hi"), &plain(), move |outcome| tx.send(outcome).unwrap());
    assert_eq!(rx.recv_timeout(LONG).unwrap().unwrap_err().code(), Code::ERESPONSE);
    assert_eq!(calls.count(&text("hi"), &plain()).unwrap().into_body().count, 2);
}

/// Decoding recurses, and a coroutine's stack is small.
#[test]
fn a_deep_request_does_not_overflow_the_stack() {
    let (_server, calls) = support::server();
    let nested = |depth: usize| {
        let mut tree = Tree::default();
        for _ in 0..depth {
            tree = Tree { child: Some(Box::new(tree)) };
        }
        tree
    };
    assert_eq!(calls.depth(&nested(99), &plain()).unwrap().into_body().count, 99);
    let error = calls.depth(&nested(1000), &plain()).unwrap_err();
    assert_eq!(error.code(), Code::EREQUEST, "{error}");
}

#[test]
fn unknown_services_and_methods() {
    let (_server, calls) = support::server();
    let empty = Server::new(ServerOptions::default());
    let nobody = CallsClient::new(support::client(&empty));
    assert_eq!(nobody.echo(&text(""), &plain()).unwrap_err().code(), Code::ENOSERVICE);
    empty.add_method("testing.calls.Calls", "Other", |call| call.reply(b"")).unwrap();
    assert_eq!(nobody.echo(&text(""), &plain()).unwrap_err().code(), Code::ENOMETHOD);
    assert_eq!(calls.echo(&text(""), &plain()).unwrap().into_body(), text(""));
}

struct Doubles;

impl Other for Doubles {
    fn echo(&self, request: Count, _call: &Call) -> Result<Response<Count>, Error> {
        Ok(Count { count: 2 * request.count }.into())
    }
}

#[test]
fn two_services_on_one_server_and_none_twice() {
    let server = Server::new(ServerOptions::default());
    server.add_service(CallsServer::new(Implementation)).unwrap();
    let shared = Arc::new(Doubles);
    server.add_service(OtherServer::from_arc(shared.clone())).unwrap();
    assert!(server.add_service(OtherServer::from_arc(shared)).is_err());
    let client = support::client(&server);
    let other = OtherClient::new(&*client);
    assert_eq!(other.echo(&Count { count: 21 }, &plain()).unwrap().into_body().count, 42);
    let calls = CallsClient::new(client.clone());
    assert_eq!(calls.clone().echo(&text("t"), &plain()).unwrap().into_body(), text("t"));
}

#[test]
fn a_client_may_be_owned() {
    let (server, _calls) = support::server();
    let addr = server.local_addr().unwrap().to_string();
    let calls = CallsClient::new(Client::new(&addr, ClientOptions::default()).unwrap());
    assert_eq!(calls.echo(&text("mine"), &plain()).unwrap().into_body(), text("mine"));
}

struct Relay(CallsClient<Arc<Client>>);

impl Other for Relay {
    fn echo(&self, request: Count, _call: &Call) -> Result<Response<Count>, Error> {
        match request.count {
            0 => Err(std::io::Error::other("the disk is full"))?,
            1 => Err(std::io::Error::from(Error::new(5, "five")))?,
            2 => Err(std::io::Error::from_raw_os_error(125))?,
            3 => Err(Error::new(0, "zero")),
            _ => Ok(Count { count: self.0.fail(&text("way"), &plain())?.body().text.len() as i64 }
                .into()),
        }
    }
}

#[test]
fn the_question_mark_converts_errors() {
    let (_back, calls) = support::server();
    let front = Server::new(ServerOptions::default());
    front.add_service(OtherServer::new(Relay(calls))).unwrap();
    let relay = OtherClient::new(support::client(&front));
    let outcome = |count| {
        let error = relay.echo(&Count { count }, &plain()).unwrap_err();
        assert!(error.is_remote(), "{error}");
        (error.code(), error.text().to_owned())
    };
    assert_eq!(outcome(0), (Code::EINTERNAL, "the disk is full".to_owned()));
    assert_eq!(outcome(1), (Code::new(5), "five".to_owned()));
    assert_eq!(outcome(2).0, Code::ECANCELED);
    assert_eq!(outcome(3), (Code::EINTERNAL, "zero".to_owned()));
    assert_eq!(outcome(4), (Code::new(2042), "no way".to_owned()));
}

#[test]
fn many_at_once() {
    let (_server, calls) = support::server();
    let running: Vec<_> = (0..200)
        .map(|i| {
            let calls = calls.clone();
            rt::spawn(move || {
                let sent = Text { text: i.to_string() };
                calls.sleep(&Count { count: i % 7 }, &plain()).unwrap();
                calls.echo(&sent, &plain()).unwrap().into_body() == sent
            })
            .unwrap()
        })
        .collect();
    assert!(running.into_iter().all(|call| call.join().unwrap()));
}
