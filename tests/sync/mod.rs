//! Scenarios for `fastrpc::sync`, run by each `sync_*.rs` with its own kinds of tasks: threads,
//! coroutines, both mixed; on one worker and on four.

#![allow(dead_code, reason = "each binary uses its part")]

pub(crate) mod condvar;
pub(crate) mod mutex;
pub(crate) mod queue;
pub(crate) mod semaphore;
pub(crate) mod wait_group;

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use fastrpc::rt::{self, Deadline, JoinHandle};

pub(crate) use crate::common::eventually;

/// No test takes this long; one that hangs fails after it.
pub(crate) const LONG: Duration = Duration::from_secs(60);

/// Long enough to be measured, short enough to wait for.
pub(crate) const SHORT: Duration = Duration::from_millis(20);

/// What the tasks of a scenario are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Mix {
    Threads,
    Coroutines,
    Both,
}

impl Mix {
    fn is_coroutine(self) -> bool {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        match self {
            Mix::Threads => false,
            Mix::Coroutines => true,
            Mix::Both => NEXT.fetch_add(1, Relaxed).is_multiple_of(2),
        }
    }
}

pub(crate) struct Task<T> {
    /// What the task returned, or the text of its panic.
    result: Receiver<Result<T, String>>,
    coroutine: Option<JoinHandle<()>>,
}

impl<T> Task<T> {
    /// Returns the task's result. Fails the test if the task panicked or takes too long.
    pub(crate) fn join(self) -> T {
        match self.result.recv_timeout(LONG) {
            Ok(Ok(value)) => value,
            Ok(Err(text)) => panic!("the task panicked: {text}"),
            Err(RecvTimeoutError::Timeout) => panic!("the task hangs"),
            Err(RecvTimeoutError::Disconnected) => panic!("the task vanished"),
        }
    }

    /// Cancels a coroutine; threads cannot be canceled.
    pub(crate) fn cancel(&self) {
        self.coroutine.as_ref().expect("a coroutine").cancel();
    }
}

pub(crate) fn start(mix: Mix, f: impl Fn() + Send + 'static) -> Task<()> {
    go(mix, f)
}

pub(crate) fn go<T: Send + 'static>(mix: Mix, f: impl FnOnce() -> T + Send + 'static) -> Task<T> {
    let (tx, result) = channel();
    let body = move || {
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(panic_text);
        // Nobody to tell: the test has failed already.
        let _ = tx.send(result);
    };
    let coroutine = if mix.is_coroutine() {
        Some(rt::spawn(body).expect("spawn a coroutine"))
    } else {
        std::thread::spawn(body);
        None
    };
    Task { result, coroutine }
}

fn panic_text(payload: Box<dyn Any + Send>) -> String {
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(other) => other.downcast::<&str>().map_or("no text".to_owned(), |s| s.to_string()),
    }
}

pub(crate) fn join_all<T>(tasks: impl IntoIterator<Item = Task<T>>) -> Vec<T> {
    tasks.into_iter().map(Task::join).collect()
}

pub(crate) fn soon() -> Deadline {
    Deadline::after(SHORT)
}

pub(crate) fn late() -> Deadline {
    Deadline::after(LONG)
}

/// Runs a wait that must end by the deadline it is given, and checks that it does: not early, and
/// not absurdly late (the machine may be busy).
pub(crate) fn must_time_out<R>(wait: impl FnOnce(Deadline) -> R) -> R {
    let start = Instant::now();
    let result = wait(Deadline::at(start + SHORT));
    let took = start.elapsed();
    assert!(took >= SHORT, "{took:?} is too early");
    assert!(took < SHORT + Duration::from_secs(5), "{took:?} is too late");
    result
}

/// A small generator of pseudo-random numbers (xorshift), seeded per task.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: usize) -> Random {
        Random((seed as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15))
    }

    pub(crate) fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Returns a deadline that is missed now and then: up to 200 us from now, or already over.
    pub(crate) fn tight(&mut self) -> Deadline {
        Deadline::after(Duration::from_micros(self.below(200)))
    }
}

/// Defines a `#[test]` for each scenario, run with each of the binary's `MIXES` on its `WORKERS`.
#[macro_export]
macro_rules! scenarios {
    ($($module:ident :: { $($name:ident),* $(,)? })*) => {
        $(mod $module {
            $(#[test]
            fn $name() {
                $crate::common::init();
                for mix in $crate::MIXES {
                    $crate::sync::$module::$name(mix);
                }
            })*
        })*
    };
}
