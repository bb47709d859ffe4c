//! Calls from end to end.

use std::sync::mpsc;
use std::time::Duration;

use fastrpc::rpc::{CallOptions, Client, ClientOptions, Compress, Reply, Server, ServerOptions};
use fastrpc::rt::{self, Deadline};

fn echo_server() -> (Server, String) {
    let server = Server::new(ServerOptions::default());
    server
        .add_method("echo.Echo", "Echo", |call| {
            let (body, attachment) = (call.request().to_vec(), call.attachment().to_vec());
            let compress = call.compress();
            call.reply_with(Reply { body: &body, attachment: &attachment, compress });
        })
        .unwrap();
    let addr = server.listen("127.0.0.1:0").unwrap().to_string();
    (server, addr)
}

#[test]
fn a_thread_calls() {
    let (_server, addr) = echo_server();
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    for compress in [Compress::None, Compress::Snappy, Compress::Gzip, Compress::Zlib] {
        let options = CallOptions { compress, attachment: b"beside", ..CallOptions::default() };
        let answer = client.call("echo.Echo", "Echo", b"hello", &options).unwrap();
        assert_eq!(answer.body, b"hello");
        assert_eq!(answer.attachment, b"beside");
    }
}

#[test]
fn coroutines_call_at_once() {
    let (_server, addr) = echo_server();
    let handle = rt::spawn(move || {
        let client = std::sync::Arc::new(Client::new(&addr, ClientOptions::default()).unwrap());
        let handles: Vec<_> = (0..100)
            .map(|i| {
                let client = client.clone();
                rt::spawn(move || {
                    for j in 0..100 {
                        let body = format!("{i}.{j}");
                        let answer = client
                            .call("echo.Echo", "Echo", body.as_bytes(), &CallOptions::default())
                            .unwrap();
                        assert_eq!(answer.body, body.as_bytes());
                    }
                })
                .unwrap()
            })
            .collect();
        for handle in handles {
            handle.join().unwrap();
        }
    })
    .unwrap();
    handle.join().unwrap();
}

#[test]
fn callbacks_run() {
    let (server, addr) = echo_server();
    let client = Client::new(&addr, ClientOptions::default()).unwrap();
    let (tx, rx) = mpsc::channel();
    for i in 0..100u32 {
        let tx = tx.clone();
        let options = CallOptions::default();
        client.call_async("echo.Echo", "Echo", &i.to_le_bytes(), &options, move |outcome| {
            assert!(rt::is_coroutine());
            tx.send(outcome.unwrap().body).unwrap();
        });
    }
    let mut seen: Vec<u32> = (0..100)
        .map(|_| rx.recv_timeout(Duration::from_secs(5)).unwrap())
        .map(|body| u32::from_le_bytes(body.try_into().unwrap()))
        .collect();
    seen.sort();
    assert_eq!(seen, (0..100).collect::<Vec<_>>());
    let report = server.stop(Deadline::after(Duration::from_secs(5)));
    assert_eq!(report.canceled, 0);
}
