//! `echo_client [HOST:PORT]`: calls `echo_server` in every way that a client offers.

use std::io;
use std::process::ExitCode;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use fastrpc::rpc::{CallOptions, Client, ClientOptions, Code, Error, Response};
use fastrpc::rt;
use fastrpc_examples::address;
use fastrpc_examples::echo::{EchoRequest, EchoResponse, EchoServiceClient, OtherServiceClient};

type Outcome = Result<Response<EchoResponse>, Error>;

fn main() -> io::Result<ExitCode> {
    let client = Client::new(address("echo_client"), ClientOptions::new())?;
    let echo = EchoServiceClient::new(client.clone());
    let request = EchoRequest { message: "hello".to_owned() };
    let plain = CallOptions::new();
    let mut report = Report::default();

    report.call("synchronous", says_hello, || echo.echo(&request, &plain));
    report.call("asynchronous, callback", says_hello, || {
        let (tx, rx) = mpsc::channel();
        echo.echo_async(&request, &plain, move |outcome| {
            // Fails if the receiver is gone, which no longer needs it.
            let _ = tx.send(outcome);
        });
        rx.recv().expect("the callback runs")
    });
    let beside = |outcome: &Outcome| matches!(outcome, Ok(r) if r.attachment() == b"beside");
    report.call("an attachment", beside, || echo.echo(&request, &plain.attachment(b"beside")));
    report.run("100 coroutines, 1 s each", || {
        let right = slow_echoes(&echo, 100)?;
        Ok((right == 100, format!("{right} right")))
    })?;
    report.call("a timeout of 50 ms", fails(Error::is_timeout), || {
        echo.slow_echo(&request, &plain.timeout(Duration::from_millis(50)))
    });
    // Nothing listens on port 1.
    let nobody = Client::new("127.0.0.1:1", ClientOptions::new())?;
    report.call("a refused connection", fails(Error::is_connect), || {
        EchoServiceClient::new(&nobody).echo(&request, &plain)
    });
    let unknown = |error: &Error| error.is_remote() && error.code() == Code::ENOSERVICE;
    report.call("a method that is not there", fails(unknown), || {
        OtherServiceClient::new(&client).nothing(&request, &plain)
    });
    let refused = |e: &Error| e.code() == 2042 && e.text() == "'hello' is refused";
    report.call("an error of the service", fails(refused), || echo.refuse(&request, &plain));
    let broken = |e: &Error| e.is_remote() && e.text().contains("no echo for 'hello'");
    report.call("a handler that throws", fails(broken), || echo.broken(&request, &plain));

    Ok(if report.failures == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Makes `count` slow calls at once, each in a coroutine, and returns how many got the right
/// response.
fn slow_echoes(echo: &EchoServiceClient<Client>, count: usize) -> io::Result<usize> {
    let calls: Result<Vec<_>, _> = (0..count)
        .map(|i| {
            let echo = echo.clone();
            rt::spawn(move || {
                let request = EchoRequest { message: i.to_string() };
                let outcome = echo.slow_echo(&request, &CallOptions::new());
                outcome.is_ok_and(|response| response.body().response == request.message)
            })
        })
        .collect();
    Ok(calls?.into_iter().filter_map(|call| call.join().ok()).filter(|right| *right).count())
}

fn says_hello(outcome: &Outcome) -> bool {
    matches!(outcome, Ok(response) if response.body().response == "hello")
}

fn fails(as_expected: impl Fn(&Error) -> bool) -> impl Fn(&Outcome) -> bool {
    move |outcome| outcome.as_ref().is_err_and(&as_expected)
}

/// Prints how each call ended, and counts unexpected outcomes.
#[derive(Default)]
struct Report {
    failures: u32,
}

impl Report {
    fn call(
        &mut self,
        what: &str,
        expected: impl Fn(&Outcome) -> bool,
        call: impl FnOnce() -> Outcome,
    ) {
        let start = Instant::now();
        let outcome = call();
        let said = match &outcome {
            Ok(response) => format!("'{}'", response.body().response),
            Err(error) => format!("error {}: {}", error.code().number(), error.text()),
        };
        self.line(what, start, expected(&outcome), &said);
    }

    fn run(
        &mut self,
        what: &str,
        run: impl FnOnce() -> io::Result<(bool, String)>,
    ) -> io::Result<()> {
        let start = Instant::now();
        let (expected, said) = run()?;
        self.line(what, start, expected, &said);
        Ok(())
    }

    fn line(&mut self, what: &str, start: Instant, expected: bool, said: &str) {
        let millis = start.elapsed().as_secs_f64() * 1e3;
        let remark = if expected { "" } else { "   <- not expected" };
        println!("{what:<28} {millis:9.2} ms   {said}{remark}");
        self.failures += u32::from(!expected);
    }
}
