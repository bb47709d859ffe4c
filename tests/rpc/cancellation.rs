//! Ending calls from elsewhere: from coroutines of the client's worker, of others, from threads.

use std::net::TcpListener;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use fastrpc::rpc::{CallOptions, Cancellation, Client, ClientOptions, Error, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

use super::support::*;

const CALL: (&str, &str) = ("echo.EchoService", "Gate");

/// What a call is made from.
#[derive(Clone, Copy, Debug, PartialEq)]
enum From {
    Thread,
    /// A coroutine of this worker; the client's is 0.
    Worker(usize),
}

const CALLERS: [From; 3] = [From::Thread, From::Worker(0), From::Worker(crate::WORKERS - 1)];

fn run<T: Send + 'static>(from: From, f: impl FnOnce() -> T + Send + 'static) -> mpsc::Receiver<T> {
    let (tx, rx) = mpsc::channel();
    let body = move || tx.send(f()).unwrap();
    match from {
        From::Thread => drop(thread::spawn(body)),
        From::Worker(worker) => drop(rt::Builder::new().worker(worker).spawn(body).unwrap()),
    }
    rx
}

/// A server whose method `Gate` answers when the gate is open, and a client that lives on worker 0.
struct Fixture {
    server: Server,
    client: Arc<Client>,
    gate: Gate,
}

fn fixture() -> Fixture {
    let (server, addr) = server(ServerOptions::default());
    let gate = Gate::default();
    let passed = gate.clone();
    let wait = move |call: fastrpc::rpc::Call| {
        passed.pass();
        call.reply(b"late");
    };
    server.add_method(CALL.0, CALL.1, wait).unwrap();
    Fixture { server, client: client_of(&addr), gate }
}

fn client_of(addr: &str) -> Arc<Client> {
    init();
    let mut options = ClientOptions::default();
    options.worker = Some(0);
    options.connect_timeout = LONG;
    Arc::new(Client::new(addr, options).unwrap())
}

fn options(cancellation: &Cancellation) -> CallOptions<'_> {
    let cancellation = Some(cancellation);
    CallOptions::new().timeout(LONG).cancellation(cancellation)
}

fn begin(
    from: From,
    client: &Arc<Client>,
    cancellation: &Arc<Cancellation>,
    method: &'static str,
) -> mpsc::Receiver<Result<Response, Error>> {
    let (client, cancellation) = (client.clone(), cancellation.clone());
    run(from, move || client.call(CALL.0, method, b"x", &options(&cancellation)))
}

#[track_caller]
fn assert_canceled(ended: &mpsc::Receiver<Result<Response, Error>>) {
    let error = ended.recv_timeout(LONG).unwrap().unwrap_err();
    assert!(error.is_canceled() && error.code() == libc::ECANCELED, "{error:?}");
}

#[test]
fn a_call_that_waits_is_cancelled_from_anywhere() {
    let f = fixture();
    let mut calls = 0;
    for caller in CALLERS {
        for canceler in CALLERS {
            let cancellation = Arc::new(Cancellation::new());
            let ended = begin(caller, &f.client, &cancellation, "Gate");
            calls += 1;
            eventually("the server has it", || f.server.stats().calls == calls);
            assert!(!cancellation.is_canceled());
            let copy = cancellation.clone();
            run(canceler, move || copy.cancel()).recv_timeout(LONG).unwrap();
            assert_canceled(&ended);
            assert!(cancellation.is_canceled());
            cancellation.cancel();
        }
    }
    eventually("none is left", || f.client.stats().in_flight == 0);
    assert_eq!(f.client.stats().unmatched, 0);
    f.gate.open();
    eventually("late answers are counted", || f.client.stats().unmatched == calls);
    assert_eq!(call(&f.client, "Echo", b"y"), Ok(b"y".to_vec()));
}

#[test]
fn a_call_that_comes_later_fails_at_once_until_the_reset() {
    let f = fixture();
    for caller in CALLERS {
        let cancellation = Arc::new(Cancellation::new());
        cancellation.cancel();
        assert_canceled(&begin(caller, &f.client, &cancellation, "Echo"));
        assert_canceled(&begin(caller, &f.client, &cancellation, "Echo"));
        cancellation.reset();
        assert!(!cancellation.is_canceled());
        let ended = begin(caller, &f.client, &cancellation, "Echo");
        assert_eq!(ended.recv_timeout(LONG).unwrap().unwrap().into_body(), b"x");
        // Too late.
        cancellation.cancel();
        assert_canceled(&begin(caller, &f.client, &cancellation, "Echo"));
    }
    assert_eq!(f.server.stats().calls, CALLERS.len() as u64);
}

#[test]
fn a_call_is_cancelled_while_it_connects() {
    // Nobody accepts, and the queue is full: further connections are not made.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = listener.local_addr().unwrap();
    // SAFETY: the listener is open.
    assert_eq!(unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) }, 0);
    let short = Duration::from_millis(200);
    let full: Vec<_> =
        (0..4).map_while(|_| std::net::TcpStream::connect_timeout(&addr, short).ok()).collect();
    assert!(full.len() < 4, "the queue has no end");
    let client = client_of(&addr.to_string());
    for caller in CALLERS {
        let cancellation = Arc::new(Cancellation::new());
        let ended = begin(caller, &client, &cancellation, "Echo");
        eventually("it waits", || client.stats().in_flight == 1);
        cancellation.cancel();
        assert_canceled(&ended);
        eventually("it is gone", || client.stats().in_flight == 0);
    }
    assert!(!client.is_connected());
}

#[test]
fn an_answer_and_a_cancellation_may_race() {
    let f = fixture();
    for caller in CALLERS {
        let cancellation = Arc::new(Cancellation::new());
        let (next, told) = mpsc::channel::<u64>();
        let copy = cancellation.clone();
        let canceler = thread::spawn(move || {
            for spins in told {
                (0..spins).for_each(|_| std::hint::spin_loop());
                copy.cancel();
            }
        });
        let client = f.client.clone();
        let rounds = run(caller, move || {
            for i in 0..1000 {
                next.send(i % 50 * 40).unwrap();
                match client.call(CALL.0, "Echo", b"x", &options(&cancellation)) {
                    Ok(response) => assert_eq!(response.body(), b"x"),
                    Err(error) => assert!(error.is_canceled(), "{error:?}"),
                }
                while !cancellation.is_canceled() {
                    rt::yield_now();
                    thread::yield_now();
                }
                cancellation.reset();
            }
        });
        rounds.recv_timeout(3 * LONG).unwrap();
        canceler.join().unwrap();
    }
    eventually("none is left", || f.client.stats().in_flight == 0);
    assert_eq!(call(&f.client, "Echo", b"y"), Ok(b"y".to_vec()));
}

#[test]
fn calls_with_a_callback_end_once() {
    let f = fixture();
    for caller in CALLERS {
        let client = f.client.clone();
        run(caller, move || {
            let cancellation = Cancellation::new();
            let (tx, rx) = mpsc::channel();
            let begin = |method| {
                let tx = tx.clone();
                let done = move |outcome: Result<Response, Error>| {
                    tx.send((outcome, rt::is_coroutine())).unwrap();
                };
                client.call_async(CALL.0, method, b"x", &options(&cancellation), done)
            };
            let next = || loop {
                match rx.try_recv() {
                    Ok((outcome, in_coroutine)) => {
                        assert!(in_coroutine);
                        return outcome;
                    }
                    Err(mpsc::TryRecvError::Empty) => {
                        rt::sleep(Duration::from_millis(1)).unwrap();
                    }
                    Err(error) => panic!("{error}"),
                }
            };
            let handle = begin("Gate");
            cancellation.cancel();
            handle.cancel();
            assert!(next().unwrap_err().is_canceled());
            begin("Echo");
            assert!(next().unwrap_err().is_canceled());
            cancellation.reset();
            begin("Echo");
            assert_eq!(next().unwrap().into_body(), b"x");
            // What that left behind is replaced, and what this leaves is freed with it.
            begin("Echo");
            assert_eq!(next().unwrap().into_body(), b"x");
            assert!(rx.try_recv().is_err());
        })
        .recv_timeout(LONG)
        .unwrap();
    }
    eventually("none is left", || f.client.stats().in_flight == 0);
}

#[test]
fn one_call_at_a_time() {
    let f = fixture();
    for caller in CALLERS {
        let cancellation = Arc::new(Cancellation::new());
        let calls = f.server.stats().calls;
        let ended = begin(caller, &f.client, &cancellation, "Gate");
        eventually("the server has it", || f.server.stats().calls == calls + 1);
        for other in CALLERS {
            let second = begin(other, &f.client, &cancellation, "Echo").recv_timeout(LONG);
            assert_eq!(second.unwrap().unwrap_err().code(), 1003);
        }
        cancellation.reset();
        cancellation.cancel();
        assert_canceled(&ended);
    }
}
