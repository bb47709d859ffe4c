//! The reactor: each worker's loop, which turns messages, timers and fd events into runnable
//! coroutines, runs them, and blocks in `epoll_wait` when there are none.
//!
//! It waits in its own epoll set, not in the engine's: one system call per idle round instead of
//! three, and time-outs in nanoseconds. The engine's own event loop sleeps below it and is only
//! needed to start it.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::fiber::stack;
use super::io::poller::Event;
use super::time::Deadline;
use super::timer::TimerEvent;
use super::worker::{Message, Worker};

/// The body of worker `index`'s reactor. `started` is told how the start went; if it failed the
/// worker stays idle for ever.
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
            // After the fds: what came before a deadline must not lose to it only because the
            // worker was held up.
            self.fire_timers();
            self.worker.serve_notes();
            self.worker.run_ready();
        }
    }

    fn poll(&mut self) {
        let worker = self.worker;
        let mut deadline = Deadline::NOW;
        if worker.is_ready_empty() && worker.may_sleep() {
            let trim = worker.fibers.trim();
            deadline = worker.next_timer().min(trim);
        }
        let mut more = worker.poller.poll(deadline, &mut self.events);
        worker.woke_up();
        // All of them, or the timers would come before some of the fds.
        for _ in 0..MOST_POLLS {
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
        self.worker.take_inbox(&mut self.messages);
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

/// A bound on the polls in a row, for fds that become ready faster than they are looked at.
const MOST_POLLS: usize = 64;

fn name_thread(index: usize) {
    let name = std::ffi::CString::new(format!("fastrpc-{index}")).expect("no NUL in it");
    // SAFETY: names the calling thread by a C string of fewer than 16 bytes. It is cosmetic, so
    // that a failure is ignored.
    unsafe { libc::pthread_setname_np(libc::pthread_self(), name.as_ptr()) };
}
