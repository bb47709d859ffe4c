//! Signals that interrupt hooked calls, and SIGPIPE.

use std::cell::Cell;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicUsize, Ordering};

use libc::c_int;

use crate::common::init;
use crate::files::file;
use crate::support::*;

thread_local! {
    static SIGNALS: Cell<u32> = const { Cell::new(0) };
}

extern "C" fn count(_signal: c_int) {
    SIGNALS.set(SIGNALS.get() + 1);
}

fn handle(signal: c_int) {
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = count as *const () as usize;
    // SAFETY: a handler that counts.
    assert_eq!(unsafe { libc::sigaction(signal, &action, std::ptr::null_mut()) }, 0);
}

#[test]
fn a_broken_pipe_raises_sigpipe_unless_suppressed() {
    handle(libc::SIGPIPE);
    same("SIGPIPE", || {
        let mut seen = Vec::new();
        for make in [|| pair(libc::SOCK_STREAM), tcp_pair, pipe, || pair(libc::SOCK_SEQPACKET)] {
            let [a, b] = make();
            let (reader, writer) =
                if flags(b) & libc::O_ACCMODE == libc::O_RDONLY { (b, a) } else { (a, b) };
            close(reader);
            if flags(writer) & libc::O_ACCMODE == libc::O_RDWR {
                shutdown(writer, libc::SHUT_WR);
            }
            let part = libc::iovec { iov_base: (&raw mut seen).cast(), iov_len: 1 };
            // SAFETY: all-zero bytes are a valid msghdr.
            let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
            (message.msg_iov, message.msg_iovlen) = ((&raw const part).cast_mut(), 1);
            let source = file(100);
            let calls: [&dyn Fn() -> isize; 6] = [
                &|| write(writer, b"x"),
                // SAFETY: a valid part, here and below.
                &|| unsafe { libc::writev(writer, &part, 1) },
                // SAFETY: as above.
                &|| unsafe { libc::send(writer, part.iov_base, 1, 0) },
                // SAFETY: as above.
                &|| unsafe { libc::send(writer, part.iov_base, 1, libc::MSG_NOSIGNAL) },
                // SAFETY: as above.
                &|| unsafe { libc::sendmsg(writer, &message, libc::MSG_NOSIGNAL) },
                // SAFETY: fds of our own.
                &|| unsafe { libc::sendfile(writer, source.as_raw_fd(), std::ptr::null_mut(), 1) },
            ];
            for call in calls {
                let before = SIGNALS.get();
                let text = outcome(call() as i64);
                seen.push(format!("{text}, signals {}", SIGNALS.get() - before));
            }
            close(writer);
        }
        seen
    });
}

#[test]
fn a_signal_runs_its_handler_and_the_wait_goes_on() {
    init();
    handle(libc::SIGUSR1);
    for kind in 0..3 {
        let [a, b] = pair(libc::SOCK_STREAM);
        let (told, thread) = std::sync::mpsc::channel();
        let (got, signals) = suspends(
            "a wait with signals",
            move || {
                let thread: libc::pthread_t = thread.recv().expect("told");
                for _ in 0..5 {
                    // SAFETY: the worker's thread runs as long as the process.
                    unsafe { libc::pthread_kill(thread, libc::SIGUSR1) };
                    std::thread::sleep(std::time::Duration::from_millis(5));
                }
                assert_eq!(write(b, b"x"), 1);
            },
            move || {
                // SAFETY: takes no arguments.
                told.send(unsafe { libc::pthread_self() }).expect("sent");
                let before = SIGNALS.get();
                let mut entry = libc::pollfd { fd: a, events: libc::POLLIN, revents: 0 };
                let got = match kind {
                    0 => read(a, &mut [0; 4]),
                    // SAFETY: one valid entry, here and below.
                    1 => unsafe { libc::poll(&mut entry, 1, 20_000) as isize },
                    // SAFETY: as above.
                    _ => 1 + unsafe { libc::usleep(100_000) } as isize,
                };
                (got, SIGNALS.get() - before)
            },
        );
        assert_eq!(got, 1, "{kind}");
        assert!((1..=5).contains(&signals), "{kind}: {signals}");
        close_all([a, b]);
    }
}

/// On a stack of its own a handler is not part of the coroutine that it interrupts.
#[test]
fn a_handler_on_its_own_stack_calls_libc() {
    static SEEN: AtomicUsize = AtomicUsize::new(0);
    extern "C" fn on_signal(_signal: c_int) {
        let [a, b] = pair(libc::SOCK_STREAM);
        set_timeout(a, libc::SO_RCVTIMEO, 5);
        let timed_out = read(a, &mut [0; 4]) == -1 && errno() == libc::EAGAIN;
        let through = write(b, b"x") == 1 && read(a, &mut [0; 4]) == 1;
        close_all([a, b]);
        let bare = !fastrpc::hook::is_enabled();
        SEEN.store(1 + usize::from(timed_out && through && bare), Ordering::Relaxed);
    }
    // SAFETY: all-zero bytes are a valid action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = on_signal as *const () as usize;
    action.sa_flags = libc::SA_ONSTACK;
    // SAFETY: a handler that calls what is safe in one.
    assert_eq!(unsafe { libc::sigaction(libc::SIGURG, &action, std::ptr::null_mut()) }, 0);
    hooked(|| {
        assert!(fastrpc::hook::is_enabled());
        // SAFETY: to the calling thread.
        unsafe { libc::raise(libc::SIGURG) };
        assert!(fastrpc::hook::is_enabled());
    });
    assert_eq!(SEEN.load(Ordering::Relaxed), 2);
}
