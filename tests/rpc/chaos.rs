//! Many calls with random delays, time-outs and disconnects: each ends once, nothing is left over.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use fastrpc::rpc::{CallOptions, Client, ClientOptions};
use fastrpc::rt::{self, Deadline};
use fastrpc::{Server, ServerOptions};

use super::counting::{Live, live};
use super::support::*;

/// `FASTRPC_CHAOS_CALLS` sets another number of calls.
fn calls() -> u64 {
    let wish = std::env::var("FASTRPC_CHAOS_CALLS").ok();
    wish.map_or(1_000_000, |wish| wish.parse().expect("FASTRPC_CHAOS_CALLS is a number"))
}

#[derive(Default)]
struct Outcomes {
    started: AtomicU64,
    answers: AtomicU64,
    errors: AtomicU64,
    timeouts: AtomicU64,
    breaks: AtomicU64,
}

impl Outcomes {
    fn count(&self, outcome: &Result<fastrpc::rpc::Response, fastrpc::rpc::Error>) {
        let place = if outcome.is_ok() { &self.answers } else { &self.errors };
        place.fetch_add(1, Ordering::Relaxed);
        if let Err(error) = outcome {
            if error.is_timeout() {
                self.timeouts.fetch_add(1, Ordering::Relaxed);
            } else if error.is_closed() || error.is_connect() {
                self.breaks.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn ended(&self) -> u64 {
        self.answers.load(Ordering::Relaxed) + self.errors.load(Ordering::Relaxed)
    }
}

/// A small generator of its own: runs are alike, and cost nothing.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

const CALLERS: u64 = 200;

#[test]
fn every_call_ends_once_and_nothing_is_left() {
    init();
    round(CALLERS * 10);
    // The first round has paid for what is kept: stacks, buffers, the allocator's own.
    let (fds, memory, before) = (open_fds(), resident(), live());
    let outcomes = round(calls());
    eventually("all fds are closed", || open_fds() <= fds);
    // What is kept for the next calls has bounds of its own: idle stacks, buffers, tables that have
    // grown. One block kept by every thousandth call is more.
    let settled =
        |now: Live| now.blocks - before.blocks < 1_000 && now.bytes - before.bytes < 16 << 20;
    eventually(&format!("{before:?} is not much less than now"), || settled(live()));
    let grown = resident().saturating_sub(memory);
    println!(
        "{} calls: {} answers, {} errors of which {} time-outs and {} breaks; before {before:?}, \
         after {:?}, {} KiB more resident",
        outcomes.started.load(Ordering::Relaxed),
        outcomes.answers.load(Ordering::Relaxed),
        outcomes.errors.load(Ordering::Relaxed),
        outcomes.timeouts.load(Ordering::Relaxed),
        outcomes.breaks.load(Ordering::Relaxed),
        live(),
        grown >> 10,
    );
    // What the system's allocator keeps for its threads does not grow with the calls.
    assert!(grown < 64 << 20, "{grown} bytes were not given back");
}

fn round(calls: u64) -> Arc<Outcomes> {
    let mut options = ServerOptions::default();
    options.rpc.max_frame = 1 << 20;
    let (server, addr) = server(options);
    add_chaos(&server);
    let outcomes = Arc::new(Outcomes::default());
    let clients: Vec<Arc<Client>> = (0..4)
        .map(|i| {
            let mut options = ClientOptions::default();
            options.backoff_min = Duration::from_millis(1);
            options.backoff_max = Duration::from_millis(5);
            options.worker = Some(i % rt::worker_count());
            Arc::new(Client::new(&addr, options).unwrap())
        })
        .collect();
    let each = calls / CALLERS;
    let callers: Vec<_> = (0..CALLERS)
        .map(|i| {
            let client = clients[i as usize % clients.len()].clone();
            let outcomes = outcomes.clone();
            let random = Random(0x9e37_79b9_7f4a_7c15 ^ (i + 1));
            rt::spawn(move || caller(&client, &outcomes, random, each)).unwrap()
        })
        .collect();
    callers.into_iter().for_each(|caller| caller.join().unwrap());
    let total = each * CALLERS;
    eventually("every call has ended", || outcomes.ended() >= total);
    assert_eq!(outcomes.started.load(Ordering::Relaxed), total);
    for client in &clients {
        eventually("no call is in flight", || client.stats().in_flight == 0);
        client.close();
    }
    let report = server.stop(Deadline::after(LONG));
    assert_eq!(report.canceled, 0, "{report:?}");
    let stats = server.stats();
    assert_eq!((stats.in_flight, stats.connections), (0, 0), "{stats:?}");
    assert_eq!(outcomes.ended(), total, "a call ended twice");
    outcomes
}

fn add_chaos(server: &Server) {
    server
        .add_method("echo.EchoService", "Chaos", |call| {
            let choice = call.request().first().copied().unwrap_or(0);
            let body = call.request().to_vec();
            match choice % 8 {
                0 => call.fail(2042, "as asked"),
                1 => drop(call),
                2 | 3 => {
                    let millis = u64::from(choice / 8);
                    rt::sleep(Duration::from_millis(millis)).unwrap();
                    call.reply(&body);
                }
                4 => {
                    // Answered by another worker, if there is one.
                    let worker = usize::from(choice) % rt::worker_count();
                    let answer = move || call.reply(&body);
                    drop(rt::Builder::new().worker(worker).spawn(answer).unwrap());
                }
                _ => call.reply(&body),
            }
        })
        .unwrap();
}

fn caller(client: &Arc<Client>, outcomes: &Arc<Outcomes>, mut random: Random, calls: u64) {
    for _ in 0..calls {
        let body = vec![random.below(256) as u8; 1 + random.below(64) as usize];
        let timeout = match random.below(10) {
            0 => Duration::from_millis(1 + random.below(10)),
            _ => LONG,
        };
        let options = CallOptions::new().timeout(timeout);
        outcomes.started.fetch_add(1, Ordering::Relaxed);
        match random.below(2000) {
            // Beyond what the server takes: it closes the connection, with all calls on it.
            0 => {
                let attachment = vec![0; 2 << 20];
                let options = options.attachment(&attachment);
                outcomes.count(&client.call("echo.EchoService", "Chaos", &body, &options));
            }
            1..600 => {
                let outcomes = outcomes.clone();
                let handle =
                    client.call_async("echo.EchoService", "Chaos", &body, &options, move |o| {
                        outcomes.count(&o);
                    });
                if random.below(20) == 0 {
                    handle.cancel();
                }
                if random.below(8) == 0 {
                    rt::yield_now();
                }
            }
            _ => {
                let outcome = client.call("echo.EchoService", "Chaos", &body, &options);
                if let Ok(response) = &outcome {
                    assert_eq!(response.body(), &body);
                }
                // In the pause after a break calls fail at once: let it pass.
                if outcome.as_ref().is_err_and(fastrpc::rpc::Error::is_connect) {
                    rt::sleep(Duration::from_millis(1)).unwrap();
                }
                outcomes.count(&outcome);
            }
        }
    }
}
