//! What the test programs share. Each is one process with one runtime, with as many workers as
//! `WORKERS` of the crate root says.

#![allow(dead_code, unused_imports, reason = "no test program uses all of it")]

mod resources;

use std::ffi::OsString;
use std::process::{Command, Output};
use std::sync::Once;
use std::time::{Duration, Instant};

use fastrpc::rt::{self, Deadline, Options};

pub use resources::{open_fds, raise_fd_limit, resident};

/// Bounds waits that are not expected to be long.
pub const LONG: Duration = Duration::from_secs(20);

/// Configures the runtime with the workers of this test program.
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

/// Returns the deadline of waits that are not expected to be long.
pub fn soon() -> Deadline {
    Deadline::after(LONG)
}

/// Waits, for a bounded time, until `condition` holds: for what cannot be waited for from outside.
#[track_caller]
pub fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "not in time: {what}");
        rt::sleep(Duration::from_micros(200)).expect("not canceled");
    }
}

/// Returns the kernel's id of the calling thread.
pub fn thread_id() -> libc::pid_t {
    // SAFETY: takes nothing and cannot fail.
    unsafe { libc::gettid() }
}

/// Set for a test that [`alone`] runs again.
pub const ALONE: &str = "FASTRPC_TEST_ALONE";

/// Returns whether the calling test runs in a process of its own. If not, runs it again in one and
/// checks that it succeeds.
pub fn alone(test: &str) -> bool {
    if is_alone(ALONE) {
        return true;
    }
    let output = run_alone(test, ALONE);
    assert!(output.status.success(), "{output:?}");
    false
}

/// Waits for a child process, for a bounded time, and returns its status.
pub fn wait_for(child: libc::pid_t) -> libc::c_int {
    let end = Instant::now() + LONG;
    let mut status = 0;
    // SAFETY: `status` is writable.
    while unsafe { libc::waitpid(child, &mut status, libc::WNOHANG) } == 0 {
        assert!(Instant::now() < end, "the child hangs");
        std::thread::sleep(Duration::from_millis(1));
    }
    status
}

/// Runs one test of this program again, in a process of its own, with `key` set in its
/// environment. For what ends or forks a process.
pub fn run_alone(test: &str, key: &str) -> Output {
    run_alone_with(test, key, "1")
}

/// Does the same with a value of its own.
pub fn run_alone_with(test: &str, key: &str, value: &str) -> Output {
    let program = std::env::current_exe().expect("knows itself");
    // The emulator to run under, where the machine cannot run the program itself.
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

/// Returns whether this process is the one that [`run_alone`] started with `key`.
pub fn is_alone(key: &str) -> bool {
    std::env::var_os(key).is_some()
}
