//! Hooked calls on an old kernel: without `RWF_NOWAIT` (for pipes and sockets since Linux 6.4) and
//! without epoll_pwait2(2) (since 5.11). A seccomp filter refuses both.
#![cfg(feature = "hook")]

pub const WORKERS: usize = 1;
mod common;
#[path = "hook/support.rs"]
mod support;

#[path = "hook/blocking.rs"]
mod blocking;
#[path = "hook/differences.rs"]
mod differences;
#[path = "hook/generated.rs"]
mod generated;

/// Runs before main(), so that every thread has the filter.
#[used]
#[unsafe(link_section = ".init_array")]
static FILTER: extern "C" fn() = filter;

extern "C" fn filter() {
    let code = |class: u32| class as u16;
    let step = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let fails = |number: libc::c_long, error: libc::c_int| {
        [
            step(code(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K), number as u32, 0, 1),
            step(code(libc::BPF_RET | libc::BPF_K), libc::SECCOMP_RET_ERRNO | error as u32, 0, 0),
        ]
    };
    let mut program = vec![step(code(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS), 0, 0, 0)];
    program.extend(fails(libc::SYS_preadv2, libc::EOPNOTSUPP));
    program.extend(fails(libc::SYS_pwritev2, libc::EOPNOTSUPP));
    program.extend(fails(libc::SYS_epoll_pwait2, libc::ENOSYS));
    program.push(step(code(libc::BPF_RET | libc::BPF_K), libc::SECCOMP_RET_ALLOW, 0, 0));
    let program = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
    // SAFETY: no pointers.
    let kept = unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) };
    // SAFETY: a valid program, which the kernel copies.
    let set =
        unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const program) };
    assert_eq!((kept, set), (0, 0), "{}", std::io::Error::last_os_error());
}

#[test]
fn the_filter_is_in_force() {
    let part = libc::iovec { iov_base: std::ptr::null_mut(), iov_len: 0 };
    // SAFETY: a part of no bytes.
    let read = unsafe { libc::preadv2(0, &part, 1, -1, libc::RWF_NOWAIT) };
    assert_eq!((read, support::errno()), (-1, libc::EOPNOTSUPP));
}
