//! Hooked waits for many fds: poll(2), select(2), epoll_wait(2) and their kin.

mod epoll;
mod poll;
mod select;
