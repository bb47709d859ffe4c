//! The Rust crate as a contender of the benchmark: `native server ...` and `native client ...`.

mod common;
#[path = "common/measure.rs"]
mod measure;

use std::cell::RefCell;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use prost::Message;

use fastrpc::rpc::{Call, CallOptions, Client, ClientOptions};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

use common::Arguments;
use measure::{Measurement, now};

const SERVICE: &str = "echo.EchoService";
const METHOD: &str = "Echo";
/// brpc's code for a request that cannot be decoded.
const EREQUEST: i32 = 1003;

/// Both EchoRequest and EchoResponse.
#[derive(Clone, PartialEq, prost::Message)]
struct Echo {
    #[prost(bytes = "vec", tag = "1")]
    message: Vec<u8>,
}

fn main() {
    let mut words = std::env::args().skip(1);
    match words.next().as_deref() {
        Some("server") => serve(&Arguments::parse(words, &[("core", "-1"), ("port", "0")])),
        Some("push") => serve_pushes(&Arguments::parse(words, &[("core", "-1")])),
        Some("http") => serve_http(&Arguments::parse(words, &[("core", "-1")])),
        Some("client") => call(Arguments::parse(
            words,
            &[
                ("core", "-1"),
                ("host", "127.0.0.1"),
                ("port", "0"),
                ("connections", "1"),
                ("inflight", "1"),
                ("bytes", "16"),
                ("warmup", "0.3"),
                ("seconds", "1"),
                ("server-pid", "0"),
            ],
        )),
        _ => {
            eprintln!("usage: native server|push|http|client [--option value]...");
            std::process::exit(2);
        }
    }
}

fn serve(arguments: &Arguments) {
    common::pin_to_core(arguments.get("core"));
    let server = Server::new(ServerOptions::default());
    server.add_method(SERVICE, METHOD, echo).expect("a method of its own");
    let addr =
        server.listen(format!("127.0.0.1:{}", arguments.get::<u16>("port"))).expect("a port");
    println!("port {}", addr.port().expect("a TCP address"));
    server.wait();
}

/// Serves pushes, by the rules of `common/push.hpp`, which the client follows too.
fn serve_pushes(arguments: &Arguments) {
    const PUSHED: usize = 64;
    common::pin_to_core(arguments.get("core"));
    let server = Server::new(ServerOptions::default());
    let members = Mutex::new(Vec::new());
    let serve = move |call: Call| {
        let request = Echo::decode(call.request()).expect("a request");
        let mut members = members.lock().expect("no handler panics");
        if request.message == b"join" {
            members.push(call.connection());
        } else {
            let stamp = format!("{:020}{}", now(), "x".repeat(PUSHED - 20));
            let body = Echo { message: stamp.into_bytes() }.encode_to_vec();
            let pushed = members.iter().try_for_each(|c| c.push("echo.EchoRequest", &body));
            pushed.expect("all of them are there");
        }
        call.reply(&[]);
    };
    server.add_method(SERVICE, METHOD, serve).expect("a method of its own");
    let addr = server.listen("127.0.0.1:0").expect("a port");
    println!("port {}", addr.port().expect("a TCP address"));
    server.wait();
}

fn serve_http(arguments: &Arguments) {
    common::pin_to_core(arguments.get("core"));
    let server = Server::new(ServerOptions::default());
    server.http().route("GET", "/", |_| "hello").expect("a route of its own");
    let addr = server.listen("127.0.0.1:0").expect("a port");
    println!("port {}", addr.port().expect("a TCP address"));
    server.wait();
}

fn echo(call: Call) {
    match Echo::decode(call.request()) {
        Ok(request) => call.reply(&request.encode_to_vec()),
        Err(error) => call.fail(EREQUEST, &error.to_string()),
    }
}

thread_local! {
    /// All coroutines of the client run on one worker, and a coroutine never leaves its worker.
    static MEASUREMENT: RefCell<Option<Measurement>> = const { RefCell::new(None) };
}

fn call(arguments: Arguments) {
    common::pin_to_core(arguments.get("core"));
    let client = rt::spawn(move || closed_loop(&arguments)).expect("a coroutine");
    client.join().expect("the figures");
}

fn closed_loop(arguments: &Arguments) {
    let seconds = |name| Duration::from_secs_f64(arguments.get(name));
    let target = format!("{}:{}", arguments.get::<String>("host"), arguments.get::<u16>("port"));
    let bytes: usize = arguments.get("bytes");
    let clients: Vec<_> = (0..arguments.get("connections"))
        .map(|_| {
            let client = Client::new(&target, ClientOptions::default()).expect("an address");
            client.connect(rt::Deadline::after(Duration::from_secs(10))).expect("a connection");
            Arc::new(client)
        })
        .collect();

    MEASUREMENT.set(Some(Measurement::new(
        seconds("warmup"),
        seconds("seconds"),
        arguments.get("server-pid"),
    )));
    let mut slots = Vec::new();
    for client in clients {
        for _ in 0..arguments.get("inflight") {
            let client = client.clone();
            slots.push(rt::spawn(move || one_slot(&client, bytes)).expect("a coroutine"));
        }
    }
    slots.into_iter().for_each(|slot| slot.join().expect("its end"));
    MEASUREMENT.take().expect("the measurement").print();
}

/// Keeps one call in flight: each response starts the next.
fn one_slot(client: &Client, bytes: usize) {
    let request = Echo { message: vec![b'x'; bytes] };
    let mut start = now();
    loop {
        let response =
            client.call(SERVICE, METHOD, &request.encode_to_vec(), &CallOptions::default());
        let right = response
            .ok()
            .and_then(|response| Echo::decode(&response.body()[..]).ok())
            .is_some_and(|echo| echo.message.len() == bytes);
        let end = now();
        let done = MEASUREMENT.with_borrow_mut(|measurement| {
            let measurement = measurement.as_mut().expect("it is there until all slots ended");
            if right {
                measurement.responded(start, end);
            } else {
                measurement.failed();
            }
            measurement.done(end)
        });
        if done {
            return;
        }
        start = end;
    }
}
