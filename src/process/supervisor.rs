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

/// Forks, watches and restarts the processes. Dropping it kills those that are left.
pub(super) struct Supervisor<'a> {
    /// `None` once the sockets are closed.
    group: Option<ListenGroup>,
    /// `None` in a child.
    watch: Option<SignalWatch>,
    slots: Vec<ProcessSlot>,
    options: Options,
    work: &'a dyn Fn(usize, OwnedFd) -> i32,
}

/// One of the processes, over all its restarts.
#[derive(Default)]
struct ProcessSlot {
    state: ProcessState,
    /// Before the next restart.
    delay: Duration,
    /// Its socket gets no connections: see [`ListenGroup::pause`].
    paused: bool,
}

#[derive(Clone, Copy, Default)]
enum ProcessState {
    /// Not started, or not to be restarted.
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
        check_not_started()?;
        let watch = SignalWatch::start(&[libc::SIGTERM, libc::SIGINT, libc::SIGCHLD])?;
        let slots = (0..options.processes).map(|_| ProcessSlot::default()).collect();
        Ok(Supervisor { group: Some(group), watch: Some(watch), slots, options, work })
    }

    /// Runs until all processes have ended. Returns the signal that stopped them, or 0.
    pub(super) fn run(mut self) -> io::Result<libc::c_int> {
        for index in 0..self.slots.len() {
            self.start(index)?;
        }
        while self.slots.iter().any(|slot| !matches!(slot.state, ProcessState::Ended)) {
            match self.next_signal(self.next_restart())? {
                None => self.restart_due(),
                Some(libc::SIGCHLD) => self.reap(|this, index| this.schedule_restart(index)),
                Some(signal) => {
                    log::info!("signal {signal}: stopping the processes");
                    self.stop()?;
                    return Ok(signal);
                }
            }
        }
        Ok(0)
    }

    // ---- starting processes ----

    fn start(&mut self, index: usize) -> io::Result<()> {
        check_not_started()?;
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
        log::info!("process {index} started with pid {pid}");
        self.slots[index].state = ProcessState::Running { pid, since: Instant::now() };
        Ok(())
    }

    fn restart_due(&mut self) {
        let now = Instant::now();
        for index in 0..self.slots.len() {
            match self.slots[index].state {
                ProcessState::Restarting { at } if at <= now => {
                    if let Err(error) = self.start(index) {
                        log::error!("cannot restart process {index}: {error}");
                        self.schedule_restart(index);
                    }
                }
                _ => {}
            }
        }
    }

    fn next_restart(&self) -> Deadline {
        let times = self.slots.iter().filter_map(|slot| match slot.state {
            ProcessState::Restarting { at } => Some(at),
            _ => None,
        });
        times.min().map_or(Deadline::NEVER, Deadline::at)
    }

    fn schedule_restart(&mut self, index: usize) {
        let was_healthy = match self.slots[index].state {
            ProcessState::Running { since, .. } => since.elapsed() >= HEALTHY_AFTER,
            _ => false,
        };
        self.slots[index].state = ProcessState::Ended;
        if !self.options.restart {
            return;
        }
        let others =
            self.slots.iter().any(|slot| matches!(slot.state, ProcessState::Running { .. }));
        let slot = &mut self.slots[index];
        let delay = match slot.delay {
            Duration::ZERO => MIN_DELAY,
            _ if was_healthy => MIN_DELAY,
            delay => (2 * delay).min(MAX_DELAY),
        };
        slot.delay = delay;
        slot.state = ProcessState::Restarting { at: Instant::now() + delay };
        if delay > MIN_DELAY && others && !slot.paused {
            let group = self.group.as_ref().expect("open until the stop");
            match group.pause(index) {
                Ok(()) => slot.paused = true,
                Err(error) => log::warn!(
                    "cannot redirect the connections of process {index}, they wait: {error}"
                ),
            }
        }
        log::info!("process {index} restarts in {delay:?}");
    }

    // ---- stopping processes ----

    /// Waits for the next signal; `None` at the deadline.
    fn next_signal(&self, deadline: Deadline) -> io::Result<Option<libc::c_int>> {
        match self.watch.as_ref().expect("in the parent").wait(deadline) {
            Ok(signal) => Ok(Some(signal)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Waits for the processes that have ended, and calls `ended` for each.
    fn reap(&mut self, ended: impl Fn(&mut Self, usize)) {
        for index in 0..self.slots.len() {
            if let ProcessState::Running { pid, .. } = self.slots[index].state
                && let Some(end) = wait_for(pid, libc::WNOHANG)
            {
                match end {
                    Ok(status) if status.success() => {
                        log::info!("process {index} ({pid}) ended with {status}")
                    }
                    Ok(status) => log::warn!("process {index} ({pid}) ended with {status}"),
                    Err(error) => log::warn!("cannot wait for process {index} ({pid}): {error}"),
                }
                ended(self, index);
            }
        }
    }

    fn stop(&mut self) -> io::Result<()> {
        // New connections are refused once the children have closed their sockets too.
        self.group = None;
        for slot in &mut self.slots {
            match slot.state {
                ProcessState::Running { pid, .. } => signal(pid, libc::SIGTERM),
                _ => slot.state = ProcessState::Ended,
            }
        }
        let deadline = Deadline::after(self.options.grace);
        while self.running().next().is_some() {
            match self.next_signal(deadline)? {
                None => {
                    let left = self.running().count();
                    log::warn!("{left} processes did not exit in time and are killed");
                    break;
                }
                Some(libc::SIGCHLD) => self.reap(|this, index| {
                    this.slots[index].state = ProcessState::Ended;
                }),
                Some(_) => {}
            }
        }
        Ok(())
    }

    fn running(&self) -> impl Iterator<Item = libc::pid_t> {
        self.slots.iter().filter_map(|slot| match slot.state {
            ProcessState::Running { pid, .. } => Some(pid),
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

fn check_not_started() -> io::Result<()> {
    if !rt::has_started() {
        return Ok(());
    }
    let text = "the runtime has started: call Prefork::run before its first use";
    Err(io::Error::new(io::ErrorKind::AlreadyExists, text))
}

fn signal(pid: libc::pid_t, signal: libc::c_int) {
    // A child that was not waited for: the pid is still its own.
    let _ = syscall!(kill(pid, signal));
}

/// Returns the exit status of the child; `None` while it runs.
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
/// A process that ran for this long did not fail at its start.
const HEALTHY_AFTER: Duration = Duration::from_secs(10);
