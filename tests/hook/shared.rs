//! One fd, used at a time by coroutines of all workers and by plain threads. Where `O_NONBLOCK` is
//! set for the length of a call, nobody else must take it for the program's choice.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fastrpc::hook::Guard;
use fastrpc::rt;

use crate::common::{init, soon};
use crate::support::*;

#[test]
fn accepting_from_one_listener() {
    const CONNECTIONS: usize = 4000;
    init();
    let (listener, address) = inet(libc::SOCK_STREAM);
    // SAFETY: a socket of our own.
    unsafe { libc::listen(listener, 64) };
    let accepted = Arc::new(AtomicUsize::new(0));
    let count = accepted.clone();
    let accept_all = move || loop {
        let fd = accept(listener);
        if fd == -1 {
            return errno();
        }
        count.fetch_add(1, Ordering::Relaxed);
        close(fd);
    };
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let accept_all = accept_all.clone();
            rt::spawn(move || {
                let _hooked = Guard::enabled();
                accept_all()
            })
            .expect("spawned")
        })
        .collect();
    // Threads block in libc, whatever the hooks do to the fd meanwhile.
    let threads: Vec<_> = (0..2).map(|_| std::thread::spawn(accept_all.clone())).collect();
    let clients: Vec<_> = (0..2)
        .map(|_| {
            std::thread::spawn(move || {
                for _ in 0..CONNECTIONS / 2 {
                    let fd = tcp();
                    assert_eq!(connect(fd, &address), 0);
                    // Its end: accepted connections are closed at once.
                    read(fd, &mut [0; 4]);
                    close(fd);
                }
            })
        })
        .collect();
    for client in clients {
        client.join().expect("no panic in the client");
    }
    assert_eq!(flags(listener) & libc::O_NONBLOCK, 0);
    assert_eq!(shutdown(listener, libc::SHUT_RD), 0);
    for worker in workers {
        let ended = worker.join_by(soon()).expect("it ended").expect("no panic");
        assert_eq!(ended, libc::EINVAL);
    }
    for thread in threads {
        assert_eq!(thread.join().expect("no panic"), libc::EINVAL);
    }
    assert_eq!(accepted.load(Ordering::Relaxed), CONNECTIONS);
    close(listener);
}

#[test]
fn reading_one_eventfd() {
    const EVENTS: u64 = 4000;
    init();
    // SAFETY: makes an eventfd that gives 1 to each read.
    let event = unsafe { libc::eventfd(0, libc::EFD_SEMAPHORE) };
    let taken = Arc::new(AtomicUsize::new(0));
    let ends = Arc::new(AtomicBool::new(false));
    let workers: Vec<_> = (0..8)
        .map(|_| {
            let (taken, ends) = (taken.clone(), ends.clone());
            rt::spawn(move || {
                let _hooked = Guard::enabled();
                while !ends.load(Ordering::Relaxed) {
                    if read(event, &mut [0; 8]) != 8 {
                        return errno();
                    }
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                0
            })
            .expect("spawned")
        })
        .collect();
    for _ in 0..EVENTS {
        assert_eq!(write(event, &1u64.to_ne_bytes()), 8);
        if taken.load(Ordering::Relaxed).is_multiple_of(7) {
            std::thread::yield_now();
        }
    }
    crate::common::eventually("all are taken", || taken.load(Ordering::Relaxed) == EVENTS as usize);
    ends.store(true, Ordering::Relaxed);
    write(event, &8u64.to_ne_bytes());
    for worker in workers {
        assert_eq!(worker.join_by(soon()).expect("it ended").expect("no panic"), 0);
    }
    assert_eq!(flags(event) & libc::O_NONBLOCK, 0);
    close(event);
}
