//! Switching hooks on and off.

use std::time::Duration;

use fastrpc::hook::{self, Guard};
use fastrpc::rt;

use crate::common::{in_coroutine, init, is_alone, run_alone};
use crate::support::*;

#[test]
fn each_coroutine_has_a_switch() {
    assert!(!hook::is_enabled());
    for error in [hook::enable().unwrap_err(), hook::disable().unwrap_err()] {
        assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied);
        let text = error.to_string();
        assert!(text.contains("in a coroutine") && text.contains("FASTRPC_HOOK=1"), "{text}");
    }
    drop(Guard::enabled());
    in_coroutine(|| {
        assert!(!hook::is_enabled());
        {
            let _on = Guard::enabled();
            assert!(hook::is_enabled());
            assert!(!rt::spawn(hook::is_enabled).unwrap().join().unwrap(), "not inherited");
            {
                let _off = Guard::disabled();
                assert!(!hook::is_enabled());
            }
            assert!(hook::is_enabled());
        }
        assert!(!hook::is_enabled());
        hook::enable().unwrap();
        assert!(hook::is_enabled());
    });
    // The coroutine that reuses the stack does not inherit it.
    in_coroutine(|| assert!(!hook::is_enabled()));
}

#[test]
fn without_hooks_a_call_blocks_the_worker() {
    let ticker = Ticker::start();
    let ticks = in_coroutine(move || {
        rt::sleep(Duration::from_millis(30)).unwrap();
        let before = ticker.ticks();
        // SAFETY: takes any number.
        unsafe { libc::usleep(60_000) };
        ticker.ticks() - before
    });
    assert_eq!(ticks, 0);
}

#[test]
fn the_environment_hooks_all_coroutines() {
    // The variable itself marks the child process.
    if is_alone("FASTRPC_HOOK") {
        return print_default();
    }
    let output = run_alone("switch::the_environment_hooks_all_coroutines", "FASTRPC_HOOK");
    assert!(hooked_by_default(output));
}

#[test]
fn an_option_hooks_all_coroutines() {
    const KEY: &str = "TEST_HOOK_OPTION";
    if is_alone(KEY) {
        rt::configure(rt::Options::default().hook(true)).unwrap();
        return print_default();
    }
    assert!(hooked_by_default(run_alone("switch::an_option_hooks_all_coroutines", KEY)));
}

fn print_default() {
    println!("hooked: {}", rt::spawn(hook::is_enabled).unwrap().join().unwrap());
}

fn hooked_by_default(output: std::process::Output) -> bool {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8_lossy(&output.stdout).contains("hooked: true")
}

#[test]
fn a_forked_child_calls_libc() {
    init();
    let status = hooked(|| {
        // SAFETY: the child calls libc alone, and ends.
        match unsafe { libc::fork() } {
            0 => {
                let [a, b] = pair(libc::SOCK_STREAM);
                set_timeout(a, libc::SO_RCVTIMEO, 20);
                let timed_out = read(a, &mut [0; 4]) == -1 && errno() == libc::EAGAIN;
                let wrote = write(b, b"x") == 1 && read(a, &mut [0; 4]) == 1;
                // SAFETY: takes any number, and ends the process.
                unsafe {
                    libc::_exit(if timed_out && wrote && libc::usleep(10) == 0 { 0 } else { 1 })
                }
            }
            child => {
                let mut status = -1;
                // SAFETY: a child of ours.
                unsafe { libc::waitpid(child, &mut status, 0) };
                status
            }
        }
    });
    assert_eq!(status, 0);
}
