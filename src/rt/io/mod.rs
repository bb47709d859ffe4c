//! Waiting for fds: a worker's epoll set, fds that this crate owns (`source`) and fds of the program
//! (`rawfd`).

pub(super) mod poller;
pub(super) mod rawfd;
pub(super) mod source;
