//! The reactor, each worker's loop: turns messages, timers and fd events into runnable coroutines,
//! runs them, and blocks in `epoll_pwait2` when there are none.
//!
//! It waits in its own epoll set, not in the engine's: one system call per idle round instead of
//! three, and timeouts in nanoseconds. The engine's event loop sleeps below and is only needed to
//! start it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::fiber::stack;
use super::io::poller::Event;
use super::park::inbox::Message;
use super::time::Deadline;
use super::timer::TimerEvent;
use super::worker::Worker;

/// Runs the reactor of worker `index`. `started` receives the result of the start; if that failed, the
/// worker stays idle forever.
pub(super) fn run(index: usize, started: impl FnOnce(io::Result<()>)) {
    name_thread(index);
    stack::install_signal_stack();
    match Worker::adopt_thread(index) {
        Ok(worker) => {
            started(Ok(()));
            Reactor { worker, messages: Vec::new(), fired: Vec::new(), events: Vec::new() }.run()
        }
        Err(error) => started(Err(error)),
    }
}

struct Reactor {
    worker: &'static Worker,
    messages: Vec<Message>,
    fired: Vec<TimerEvent>,
    events: Vec<Event>,
}

impl Reactor {
    fn run(&mut self) {
        loop {
            self.handle_messages();
            #[cfg(feature = "hook")]
            self.worker.held.report();
            self.poll();
            self.handle_messages();
            // After the fds: an event that came before a deadline must not lose to it because the
            // worker was busy.
            self.fire_timers();
            self.worker.serve_notified_addresses();
            self.worker.run_ready();
        }
    }

    fn poll(&mut self) {
        let worker = self.worker;
        let mut deadline = Deadline::NOW;
        if worker.is_ready_empty() && worker.inbox().may_sleep() {
            let trim = worker.fibers.trim();
            deadline = worker.next_timer().min(trim);
        }
        let mut more = worker.poller.poll(deadline, &mut self.events);
        worker.inbox().woke_up();
        // All events, or timers would fire before some of them.
        for _ in 0..MAX_POLLS {
            self.handle_events();
            if !more {
                return;
            }
            more = worker.poller.poll(Deadline::NOW, &mut self.events);
        }
        self.handle_events();
    }

    fn handle_events(&mut self) {
        let worker = self.worker;
        for event in self.events.drain(..) {
            match event {
                // `handle_messages` follows.
                Event::Inbox => {}
                Event::RawFds => worker.raw_fds.poll(),
                Event::Source(registration, bits) => registration.ready(bits),
            }
        }
    }

    fn handle_messages(&mut self) {
        self.worker.inbox().take(&mut self.messages);
        for message in self.messages.drain(..) {
            match message {
                Message::Resume(parker) => parker.resume_home(),
                Message::Run(job) => {
                    if catch_unwind(AssertUnwindSafe(job)).is_err() {
                        log::error!("a job posted to worker {} panicked", self.worker.index());
                    }
                }
            }
        }
    }

    fn fire_timers(&mut self) {
        self.worker.expire_timers(&mut self.fired);
        for event in self.fired.drain(..) {
            event.fire();
        }
    }
}

/// A bound on consecutive polls, for fds that become ready faster than they are handled.
const MAX_POLLS: usize = 64;

fn name_thread(index: usize) {
    let name = std::ffi::CString::new(format!("fastrpc-{index}")).expect("no NUL in it");
    // SAFETY: names the calling thread by a C string of fewer than 16 bytes. Cosmetic: a failure is
    // ignored.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}
