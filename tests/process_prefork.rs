//! Processes that share one address: killed, crashing, ignoring SIGTERM, stopped.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind};
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use fastrpc::process::{self, Options, Prefork};
use fastrpc::rpc::{CallOptions, Client, Response};
use fastrpc::rt;
use fastrpc::{Server, ServerOptions};

const WORKERS: usize = 1;

mod common;
#[allow(dead_code, reason = "no test program uses all of it")]
#[path = "rpc/support.rs"]
mod support;

use support::*;

// ---- the programs that the tests run ------------------------------------------------------------

#[test]
#[ignore = "not a test: the parent process of the tests below"]
fn parent_process() {
    log::set_logger(&Lines).unwrap();
    log::set_max_level(log::LevelFilter::Info);
    let kind = std::env::var("FASTRPC_TEST_KIND").unwrap();
    let mut options = Options::default();
    options.processes = 2;
    options.restart = kind != "once";
    if kind == "stubborn" {
        options.grace = Duration::from_millis(200);
    }
    let listen = std::env::var("FASTRPC_TEST_LISTEN").unwrap();
    let prefork = Prefork::bind(&listen, options).unwrap();
    println!("\nlistening on {}", prefork.local_addr());
    assert_eq!(process::index(), None);
    let ended = prefork.run(|index, listen_fd| {
        assert_eq!(process::index(), Some(index));
        match kind.as_str() {
            "crashing" if index == 1 => return 7,
            "once" if index == 1 => panic!("as the test wants it"),
            "once" => return 0,
            // SAFETY: no handler is involved.
            "stubborn" => _ = unsafe { libc::signal(libc::SIGTERM, libc::SIG_IGN) },
            _ => {}
        }
        let server = Server::new(ServerOptions::default());
        add_methods(&server);
        let pid = |call: fastrpc::rpc::Call| call.reply(std::process::id().to_string().as_bytes());
        server.add_method("echo.EchoService", "Pid", pid).unwrap();
        server.listen_fd(listen_fd).unwrap();
        if kind == "stubborn" {
            server.wait();
        }
        server.run_until_signal(LONG).unwrap();
        // A second signal, as service managers send it, comes late.
        std::thread::sleep(Duration::from_millis(50));
        0
    });
    println!("stopped by {}", ended.unwrap());
}

struct Lines;

impl log::Log for Lines {
    fn enabled(&self, _: &log::Metadata) -> bool {
        true
    }
    fn log(&self, record: &log::Record) {
        println!("{}", record.args());
    }
    fn flush(&self) {}
}

struct Parent {
    child: Child,
    addr: String,
    lines: Receiver<String>,
}

impl Parent {
    fn start(kind: &str) -> Parent {
        Parent::start_on(kind, "127.0.0.1:0")
    }

    fn start_on(kind: &str, listen: &str) -> Parent {
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["parent_process", "--exact", "--ignored", "--nocapture"])
            .env("FASTRPC_TEST_KIND", kind)
            .env("FASTRPC_TEST_LISTEN", listen)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (tx, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                println!("{line}");
                let _ = tx.send(line);
            }
        });
        let mut parent = Parent { child, addr: String::new(), lines };
        parent.addr = parent.line("listening on ").split_off("listening on ".len());
        parent
    }

    /// Returns the next line that contains `text`.
    fn line(&self, text: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LONG);
            let line = line.unwrap_or_else(|_| panic!("no line with '{text}'"));
            if line.contains(text) {
                return line;
            }
        }
    }

    fn signal(&self, signal: i32) {
        kill(self.child.id() as i32, signal);
    }

    /// Returns how the parent ended.
    fn end(&mut self) -> ExitStatus {
        let mut status = None;
        eventually("the parent ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Makes a new connection, and returns it with the process at its other end.
    fn connect(&self) -> Result<(Client, i32), String> {
        let client = client(&self.addr);
        let pid = call(&client, "Pid", b"").map_err(|(_, text)| text)?;
        Ok((client, String::from_utf8(pid).unwrap().parse().unwrap()))
    }

    /// Returns how many of `count` connections reached which process.
    fn spread(&self, count: usize) -> BTreeMap<i32, usize> {
        let mut found = BTreeMap::new();
        for _ in 0..count {
            *found.entry(self.connect().unwrap().1).or_default() += 1;
        }
        found
    }

    /// Makes one connection to each of the two processes.
    fn connect_to_both(&self) -> BTreeMap<i32, Client> {
        let mut clients = BTreeMap::new();
        eventually("there are two processes", || {
            clients.extend(self.connect().map(|(client, pid)| (pid, client)));
            clients.len() == 2
        });
        clients
    }
}

impl Drop for Parent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn kill(pid: i32, signal: i32) {
    // SAFETY: a process of the test.
    assert_eq!(unsafe { libc::kill(pid, signal) }, 0, "{}", std::io::Error::last_os_error());
}

/// Whether no such process is left, not even a zombie.
fn is_gone(pid: i32) -> bool {
    !fs::exists(format!("/proc/{pid}")).unwrap()
}

/// Whether it has ended, reaped or not.
fn has_ended(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).map_or(true, |stat| stat.contains(") Z "))
}

// ---- the tests ----------------------------------------------------------------------------------

#[test]
fn connections_spread_over_the_processes() {
    let parent = Parent::start("");
    let found = parent.spread(200);
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found.values().all(|&count| count >= 50), "{found:?}");
    assert!(!found.contains_key(&(parent.child.id() as i32)), "the parent serves nothing");
}

#[test]
fn a_killed_process_is_restarted_and_its_connections_wait() {
    let parent = Parent::start("");
    for _ in 0..2 {
        let before = parent.connect_to_both();
        let (&victim, _) = before.first_key_value().unwrap();
        kill(victim, libc::SIGKILL);
        eventually("it was waited for", || is_gone(victim));
        let start = Instant::now();
        let after = parent.spread(50);
        println!("50 connections were served in {:?}", start.elapsed());
        assert_eq!(after.len(), 2, "{after:?}");
        assert!(!after.contains_key(&victim), "{after:?}");
        parent.line("signal: 9");
        parent.line("restarts in");
    }
}

#[test]
fn a_signal_stops_all_after_their_calls() {
    for signal in [libc::SIGTERM, libc::SIGINT] {
        let mut parent = Parent::start("");
        let clients = parent.connect_to_both();
        let (tx, responses) = mpsc::channel();
        for client in clients.values() {
            let (tx, options) = (tx.clone(), CallOptions::default());
            client.call_async("echo.EchoService", "Sleep", b"500", &options, move |outcome| {
                tx.send(outcome.map(Response::into_body)).unwrap();
            });
            assert_eq!(call(client, "Echo", b"x"), Ok(b"x".to_vec()));
        }
        let catches = |pid: &i32| {
            let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
            let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
            u64::from_str_radix(mask.trim(), 16).unwrap() & 1 << (libc::SIGTERM - 1) != 0
        };
        eventually("both wait for signals", || clients.keys().all(catches));
        // As a terminal and a service manager do it: each gets one, and then one of the parent.
        for &pid in clients.keys() {
            kill(pid, signal);
        }
        parent.signal(signal);
        for _ in 0..2 {
            assert_eq!(responses.recv_timeout(LONG).unwrap().unwrap(), b"500");
        }
        parent.line(&format!("stopped by {signal}"));
        assert!(parent.end().success());
        assert!(clients.keys().all(|&pid| is_gone(pid)));
        let refused = std::net::TcpStream::connect(&parent.addr).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    }
}

#[test]
fn a_process_that_does_not_end_is_killed() {
    let mut parent = Parent::start("stubborn");
    let clients = parent.connect_to_both();
    parent.signal(libc::SIGTERM);
    parent.line("2 processes did not exit in time");
    assert!(parent.end().success());
    assert!(clients.keys().all(|&pid| is_gone(pid)));
}

#[test]
fn processes_die_with_their_parent() {
    let mut parent = Parent::start("stubborn");
    let clients = parent.connect_to_both();
    parent.signal(libc::SIGKILL);
    parent.end();
    eventually("they have ended", || clients.keys().all(|&pid| has_ended(pid)));
}

#[test]
fn the_others_serve_while_one_keeps_crashing() {
    let parent = Parent::start("crashing");
    for delay in ["100ms", "200ms", "400ms", "800ms", "1.6s", "3.2s"] {
        parent.line("exit status: 7");
        parent.line(&format!("process 1 restarts in {delay}"));
    }
    // A connection may still come in the moment in which the process is tried again.
    let served = (0..30).filter_map(|_| parent.connect().ok()).count();
    assert!(served >= 25, "{served}");
}

#[test]
fn processes_may_end_by_themselves() {
    let mut parent = Parent::start("once");
    assert!(parent.end().success());
    // Its end closes the pipe that the lines come from.
    let lines = parent.lines.iter().collect::<Vec<_>>();
    for text in ["exit status: 0", "exit status: 101", "process 1 panicked", "stopped by 0"] {
        assert_eq!(lines.iter().filter(|line| line.contains(text)).count(), 1, "{text}: {lines:?}");
    }
    assert!(!lines.iter().any(|line| line.contains("restarts in")), "{lines:?}");
}

#[test]
fn a_unix_socket_is_shared() {
    let path = std::env::temp_dir().join(format!("fastrpc-prefork-{}", std::process::id()));
    let parent = Parent::start_on("", &format!("unix:{}", path.display()));
    let (_kept, victim) = parent.connect().unwrap();
    kill(victim, libc::SIGKILL);
    eventually("it was waited for", || is_gone(victim));
    for _ in 0..20 {
        assert_ne!(parent.connect().unwrap().1, victim);
    }
    fs::remove_file(path).unwrap();
}

#[test]
fn forking_after_the_start_of_the_runtime_is_an_error() {
    let prefork = Prefork::bind("127.0.0.1:0", Options::default()).unwrap();
    init();
    rt::spawn(|| ()).unwrap().join().unwrap();
    let late = prefork.run(|_, _| unreachable!()).unwrap_err();
    assert_eq!(late.kind(), ErrorKind::AlreadyExists);
    assert!(late.to_string().contains("the runtime has started"), "{late}");
}

#[test]
fn an_address_that_cannot_be_bound_is_an_error() {
    let mut none = Options::default();
    none.processes = 0;
    let error = Prefork::bind("127.0.0.1:0", none).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    // Even though both would share the port with others.
    let first = Prefork::bind("127.0.0.1:0", Options::default()).unwrap();
    let error = Prefork::bind(&first.local_addr().to_string(), Options::default()).err().unwrap();
    assert_eq!(error.kind(), ErrorKind::AddrInUse);
    assert!(Prefork::bind("nonsense", Options::default()).is_err());
}

#[test]
fn a_server_serves_on_inherited_sockets() {
    init();
    let server = Server::new(ServerOptions::default());
    add_methods(&server);
    let path = std::env::temp_dir().join(format!("fastrpc-inherited-{}", std::process::id()));
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let wanted = tcp.local_addr().unwrap().to_string();
    let addr = server.listen_fd(tcp.into()).unwrap();
    assert_eq!(addr.to_string(), wanted);
    let unix = server.listen_fd(UnixListener::bind(&path).unwrap().into()).unwrap();
    assert_eq!(unix.to_string(), format!("unix:{}", path.display()));
    for addr in [addr, unix] {
        assert_serves(&addr.to_string());
    }
    fs::remove_file(path).unwrap();

    let deaf = fs::File::open("/dev/null").unwrap();
    assert!(server.listen_fd(deaf.into()).is_err());
    let udp = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let error = server.listen_fd(udp.into()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    server.stop(rt::Deadline::after(LONG));
    let late = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(server.listen_fd(late.into()).is_err());
}
