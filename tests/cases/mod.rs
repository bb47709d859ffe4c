//! What several test programs share. Each is one process with one runtime: the crate root says
//! with how many workers in `WORKERS`.

#![allow(dead_code, reason = "no test program uses all of it")]

pub mod fd_limit;

use std::ffi::OsString;
use std::process::{Command, Output};
use std::sync::Once;
use std::time::{Duration, Instant};

use fastrpc::rt::{self, Deadline, Options};

/// Sets the runtime up with the workers of this test program.
pub fn init() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        rt::configure(Options::default().workers(crate::WORKERS)).expect("not started yet");
    });
}

/// Runs `f` in a coroutine and waits for its result.
pub fn in_coroutine<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    init();
    match rt::spawn(f).expect("spawns").join() {
        Ok(result) => result,
        Err(error) => panic!("{error}"),
    }
}

/// A bound for waits that are not expected to be long.
pub fn soon() -> Deadline {
    Deadline::after(Duration::from_secs(20))
}

/// Waits, without a fixed pause, until `condition` holds.
pub fn eventually(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < Duration::from_secs(20), "still not so: {what}");
        rt::sleep(Duration::from_micros(200)).expect("not cancelled");
    }
}

/// The kernel's number of the calling thread.
pub fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Runs one test of this program again, in a process of its own, with `key` set in its
/// environment. For what ends or forks a process.
pub fn run_alone(test: &str, key: &str) -> Output {
    run_alone_with(test, key, "1")
}

/// The same with a value of its own.
pub fn run_alone_with(test: &str, key: &str, value: &str) -> Output {
    let program = std::env::current_exe().expect("knows itself");
    // Where the machine cannot run it by itself, the program that does.
    let emulator = std::env::var("FASTRPC_TEST_EMULATOR").unwrap_or_default();
    let mut words: Vec<_> = emulator.split_whitespace().map(OsString::from).collect();
    words.push(program.into());
    Command::new(&words[0])
        .args(&words[1..])
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(key, value)
        .output()
        .expect("starts")
}

/// Whether this process is the one that [`run_alone`] started with `key`.
pub fn is_alone(key: &str) -> bool {
    std::env::var_os(key).is_some()
}
