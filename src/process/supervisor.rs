//! The parent: makes the processes, waits for their ends and for signals.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::{Options, child};
use crate::net::ListenGroup;
use crate::rt::{self, Deadline, SignalWatch};
use crate::sys::syscall;

/// Dropped, it kills the processes that are left.
pub(super) struct Supervisor<'a> {
    /// `None` once they are closed.
    group: Option<ListenGroup>,
    /// `None` in a child.
    watch: Option<SignalWatch>,
    slots: Vec<Slot>,
    options: Options,
    work: &'a dyn Fn(usize, OwnedFd) -> i32,
}

/// One of the processes, through all its lives.
#[derive(Default)]
struct Slot {
    state: State,
    /// Of the next restart.
    delay: Duration,
    /// Its socket gets no connections: see [`ListenGroup::pause`].
    paused: bool,
}

#[derive(Clone, Copy, Default)]
enum State {
    /// Not made, or not to be made again.
    #[default]
    Ended,
    Running {
        pid: libc::pid_t,
        since: Instant,
    },
    Restarting {
        at: Instant,
    },
}

impl<'a> Supervisor<'a> {
    pub(super) fn new(
        group: ListenGroup,
        options: Options,
        work: &'a dyn Fn(usize, OwnedFd) -> i32,
    ) -> io::Result<Supervisor<'a>> {
        check_in_time()?;
        let watch = SignalWatch::start(&[libc::SIGTERM, libc::SIGINT, libc::SIGCHLD])?;
        let slots = (0..options.processes).map(|_| Slot::default()).collect();
        Ok(Supervisor { group: Some(group), watch: Some(watch), slots, options, work })
    }

    /// Gives the signal that ended it, or 0.
    pub(super) fn run(mut self) -> io::Result<libc::c_int> {
        for index in 0..self.slots.len() {
            self.start(index)?;
        }
        while self.slots.iter().any(|slot| !matches!(slot.state, State::Ended)) {
            match self.next_signal(self.next_restart())? {
                None => self.restart_those_due(),
                Some(libc::SIGCHLD) => self.reap(|this, index| this.plan_restart(index)),
                Some(signal) => {
                    log::info!("signal {signal}: stopping the processes");
                    self.stop()?;
                    return Ok(signal);
                }
            }
        }
        Ok(0)
    }

    // ---- making processes ----

    fn start(&mut self, index: usize) -> io::Result<()> {
        check_in_time()?;
        let group = self.group.as_ref().expect("open until the stop");
        if self.slots[index].paused {
            group.resume(index)?;
            self.slots[index].paused = false;
        }
        let parent = std::process::id();
        let (pid, held) = child::fork()?;
        let Some(pid) = pid else {
            child::begin(index, parent);
            self.slots.clear();
            let listener = self.group.take().expect("open, as above").into_one(index);
            self.watch = None;
            drop(held);
            child::work_and_exit(index, || (self.work)(index, listener));
        };
        drop(held);
        log::info!("process {index} is {pid}");
        self.slots[index].state = State::Running { pid, since: Instant::now() };
        Ok(())
    }

    fn restart_those_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                State::Restarting { at } if at <= now => {
                    if let Err(error) = self.start(index) {
                        log::error!("process {index} could not be made again: {error}");
                        self.plan_restart(index);
                    }
                }
                _ => {}
            }
        }
    }

    fn next_restart(&self) -> Deadline {
        let times = self.slots.iter().filter_map(|slot| match slot.state {
            State::Restarting { at } => Some(at),
            _ => None,
        });
        times.min().map_or(Deadline::NEVER, Deadline::at)
    }

    fn plan_restart(&mut self, index: usize) {
        let lived_well = match self.slots[index].state {
            State::Running { since, .. } => since.elapsed() >= LIVED_WELL,
            _ => false,
        };
        self.slots[index].state = State::Ended;
        if !self.options.restart {
            return;
        }
        let others = self.slots.iter().any(|slot| matches!(slot.state, State::Running { .. }));
        let slot = &mut self.slots[index];
        let delay = match slot.delay {
            Duration::ZERO => MIN_DELAY,
            _ if lived_well => MIN_DELAY,
            delay => (2 * delay).min(MAX_DELAY),
        };
        slot.delay = delay;
        slot.state = State::Restarting { at: Instant::now() + delay };
        if delay > MIN_DELAY && others && !slot.paused {
            let group = self.group.as_ref().expect("open until the stop");
            match group.pause(index) {
                Ok(()) => slot.paused = true,
                Err(error) => log::warn!("connections to process {index} wait for it: {error}"),
            }
        }
        log::info!("process {index} is made again in {delay:?}");
    }

    // ---- their ends ----

    /// The next signal; `None` if there was none by the deadline.
    fn next_signal(&self, deadline: Deadline) -> io::Result<Option<libc::c_int>> {
        match self.watch.as_ref().expect("in the parent").wait(deadline) {
            Ok(signal) => Ok(Some(signal)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Calls `ended` for each process that has ended.
    fn reap(&mut self, ended: impl Fn(&mut Self, usize)) {
        for index in 0..self.slots.len() {
            if let State::Running { pid, .. } = self.slots[index].state
                && let Some(end) = wait_for(pid, libc::WNOHANG)
            {
                match end {
                    Ok(status) if status.success() => {
                        log::info!("process {index} ({pid}) ended with {status}")
                    }
                    Ok(status) => log::warn!("process {index} ({pid}) ended with {status}"),
                    Err(error) => log::warn!("process {index} ({pid}) has gone: {error}"),
                }
                ended(self, index);
            }
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        // New connections are refused as soon as the children have closed theirs, too.
        self.group = None;
        for slot in &mut self.slots {
            match slot.state {
                State::Running { pid, .. } => signal(pid, libc::SIGTERM),
                _ => slot.state = State::Ended,
            }
        }
        let deadline = Deadline::after(self.options.grace);
        while self.running().next().is_some() {
            match self.next_signal(deadline)? {
                None => {
                    let left = self.running().count();
                    log::warn!("{left} processes did not end in time and are killed");
                    break;
                }
                Some(libc::SIGCHLD) => self.reap(|this, index| {
                    this.slots[index].state = State::Ended;
                }),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn running(&self) -> impl Iterator<Item = libc::pid_t> {
        self.slots.iter().filter_map(|slot| match slot.state {
            State::Running { pid, .. } => Some(pid),
            _ => None,
        })
    }
}

impl Drop for Supervisor<'_> {
    fn drop(&mut self) {
        for pid in self.running() {
            signal(pid, libc::SIGKILL);
        }
        for pid in self.running() {
            let _ = wait_for(pid, 0);
        }
    }
}

fn check_in_time() -> io::Result<()> {
    if !rt::has_started() {
        return Ok(());
    }
    let text = "the runtime has started: processes must be made before its first use";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
}

fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // A child that was not waited for: the number is still its own.
    let _ = syscall!(kill(pid, signal));
}

/// How the child ended; `None` if it has not.
fn wait_for(pid: libc::pid_t, flags: libc::c_int) -> Option<io::Result<ExitStatus>> {
    let mut status = 0;
    loop {
        // `status` is writable.
        match syscall!(waitpid(pid, &mut status, flags)) {
            Ok(0) => return None,
            Ok(_) => return Some(Ok(ExitStatus::from_raw(status))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Some(Err(error)),
        }
    }
}

const MIN_DELAY: Duration = Duration::from_millis(100);
const MAX_DELAY: Duration = Duration::from_secs(5);
/// A process that ends after so long has not failed at its start.
const LIVED_WELL: Duration = Duration::from_secs(10);
