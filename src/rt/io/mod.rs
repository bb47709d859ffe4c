//! Waits for file descriptors: a worker's epoll set, descriptors of ours (`source`) and of the program
//! (`rawfd`).

pub(super) mod poller;
pub(super) mod rawfd;
pub(super) mod source;
