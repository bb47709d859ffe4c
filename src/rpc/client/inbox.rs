//! The cross-worker inbox: commands from elsewhere, until the client's worker takes them.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex};

use super::pending::{Done, Slot};
use super::request::OwnedRequest;
use crate::rpc::{ClientOptions, Error};
use crate::rt::Deadline;
use crate::sync::lock;

#[derive(Default)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
}

#[derive(Default)]
struct Queue {
    commands: Vec<Command>,
    calls: usize,
    bytes: usize,
}

pub(super) enum Command {
    Call(OwnedRequest, Completion),
    /// The caller no longer waits.
    Forget(Arc<Slot>),
    Cancel(u64),
}

/// Where the outcome of a call made from another thread goes.
pub(super) enum Completion {
    Wake(Arc<Slot>),
    Run { done: Done, deadline: Deadline, key: Arc<AtomicU64> },
}

impl Inbox {
    /// Adds a command. Returns whether it is the first, so that the worker must be notified. If a
    /// call is rejected, returns the error and the command.
    pub(super) fn push(
        &self,
        command: Command,
        options: &ClientOptions,
    ) -> Result<bool, Box<(Error, Command)>> {
        let mut queue = lock(&self.queue);
        if let Command::Call(request, _) = &command {
            if queue.calls >= options.max_in_flight || queue.bytes >= options.max_unsent {
                drop(queue);
                let error = Error::crowded("too many calls wait to be sent");
                return Err(Box::new((error, command)));
            }
            queue.calls += 1;
            queue.bytes += request.len();
        }
        queue.commands.push(command);
        Ok(queue.commands.len() == 1)
    }

    /// Takes all commands, in order.
    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *lock(&self.queue)).commands
    }
}
