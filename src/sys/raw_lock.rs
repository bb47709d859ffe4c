//! Mutexes, condition variables and semaphores in place of libc's functions, for statically linked
//! programs, as [`super::raw`] is for system calls.
//!
//! Mutexes are glibc's own, under internal names that a static program contains too. Semaphores
//! have none: ours keep to glibc's layout, because `sem_init`, `sem_trywait` and `sem_getvalue` are
//! glibc's. The value is in the low half of 64 bits, the number of waiters in the high half, then
//! comes 0 or the flag of a shared futex.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use libc::{c_int, clockid_t, pthread_cond_t, pthread_mutex_t, sem_t, timespec};

/// The address of a weak symbol, or 0 if the linker has found none.
macro_rules! weak {
    ($name:literal) => {{
        let address: usize;
        // SAFETY: reads a word that the linker filled.
        #[cfg(target_arch = "x86_64")]
        unsafe {
            std::arch::asm!(
                concat!(".weak ", $name),
                concat!("mov {}, qword ptr [rip + ", $name, "@GOTPCREL]"),
                out(reg) address,
                options(nostack, preserves_flags),
            );
        }
        // SAFETY: as above.
        #[cfg(target_arch = "aarch64")]
        unsafe {
            std::arch::asm!(
                concat!(".weak ", $name),
                concat!("adrp {0}, :got:", $name),
                concat!("ldr {0}, [{0}, #:got_lo12:", $name, "]"),
                out(reg) address,
                options(nostack, preserves_flags),
            );
        }
        address
    }};
}

pub(super) unsafe extern "C" fn pthread_mutex_lock(mutex: *mut pthread_mutex_t) -> c_int {
    let address = weak!("__pthread_mutex_lock");
    // SAFETY: glibc's function of this name; the caller's contract.
    unsafe { by_address(address, mutex) }
}

pub(super) unsafe extern "C" fn pthread_mutex_trylock(mutex: *mut pthread_mutex_t) -> c_int {
    let address = weak!("__pthread_mutex_trylock");
    // SAFETY: glibc's function of this name; the caller's contract.
    unsafe { by_address(address, mutex) }
}

pub(super) unsafe extern "C" fn pthread_mutex_unlock(mutex: *mut pthread_mutex_t) -> c_int {
    let address = weak!("__pthread_mutex_unlock");
    // SAFETY: glibc's function of this name; the caller's contract.
    unsafe { by_address(address, mutex) }
}

pub(super) unsafe extern "C" fn pthread_mutex_timedlock(
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { pthread_mutex_clocklock(mutex, libc::CLOCK_REALTIME, time) }
}

/// Polls: a static program lacks glibc's function that waits, because nothing else in glibc uses it.
pub(super) unsafe extern "C" fn pthread_mutex_clocklock(
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    let time = unsafe { *time };
    loop {
        // SAFETY: the caller's contract.
        let result = unsafe { pthread_mutex_trylock(mutex) };
        if result != libc::EBUSY {
            return result;
        }
        let mut now = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the time.
        let known = unsafe { libc::clock_gettime(clock, &mut now) } == 0;
        if !known || !(0..1_000_000_000).contains(&time.tv_nsec) {
            return libc::EINVAL;
        }
        if (now.tv_sec, now.tv_nsec) >= (time.tv_sec, time.tv_nsec) {
            return libc::ETIMEDOUT;
        }
        let pause = timespec { tv_sec: 0, tv_nsec: 500_000 };
        let none = std::ptr::null_mut::<timespec>();
        // SAFETY: a valid time.
        unsafe { libc::syscall(libc::SYS_nanosleep, &raw const pause, none) };
    }
}

/// # Safety
/// 0, or the address of a function that takes a pointer; that function's contract.
unsafe fn by_address<T>(address: usize, argument: *mut T) -> c_int {
    if address == 0 {
        super::real::die(&["fastrpc: this program contains no pthread functions to hook\n"]);
    }
    // SAFETY: the caller's contract.
    let function =
        unsafe { std::mem::transmute::<usize, unsafe extern "C" fn(*mut T) -> c_int>(address) };
    // SAFETY: the caller's contract.
    unsafe { function(argument) }
}

/// Condition variables have no internal names either. This one counts signals in its first word,
/// and uses nothing else of what libc has initialized.
pub(super) unsafe extern "C" fn pthread_cond_signal(cond: *mut pthread_cond_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { signal(cond, 1) }
}

pub(super) unsafe extern "C" fn pthread_cond_broadcast(cond: *mut pthread_cond_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { signal(cond, c_int::MAX) }
}

pub(super) unsafe extern "C" fn pthread_cond_wait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { wait_for_signal(cond, mutex, 0, std::ptr::null()) }
}

pub(super) unsafe extern "C" fn pthread_cond_timedwait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    let clock = unsafe { super::pthread_layout::clock(cond) };
    // SAFETY: the caller's contract.
    unsafe { pthread_cond_clockwait(cond, mutex, clock, time) }
}

pub(super) unsafe extern "C" fn pthread_cond_clockwait(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    let flag = match clock {
        libc::CLOCK_REALTIME => libc::FUTEX_CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC => 0,
        _ => return libc::EINVAL,
    };
    // SAFETY: the caller's contract.
    if !(0..1_000_000_000).contains(unsafe { &(*time).tv_nsec }) {
        return libc::EINVAL;
    }
    // SAFETY: the caller's contract.
    unsafe { wait_for_signal(cond, mutex, flag, time) }
}

/// # Safety
/// A valid condition variable.
unsafe fn signal(cond: *mut pthread_cond_t, max_woken: c_int) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { &*cond.cast::<AtomicU32>() }.fetch_add(1, Ordering::SeqCst);
    // SAFETY: FUTEX_WAKE does not read the address.
    unsafe { libc::syscall(libc::SYS_futex, cond, libc::FUTEX_WAKE, max_woken) };
    0
}

/// # Safety
/// As pthread_cond_timedwait(3); the time may be NULL.
unsafe fn wait_for_signal(
    cond: *mut pthread_cond_t,
    mutex: *mut pthread_mutex_t,
    clock: c_int,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    let signals = unsafe { &*cond.cast::<AtomicU32>() }.load(Ordering::SeqCst);
    // SAFETY: the caller's contract.
    let unlocked = unsafe { pthread_mutex_unlock(mutex) };
    if unlocked != 0 {
        return unlocked;
    }
    let operation = libc::FUTEX_WAIT_BITSET | clock;
    let (none, any) = (std::ptr::null::<u32>(), libc::FUTEX_BITSET_MATCH_ANY);
    // SAFETY: the counter's address, and NULL or a valid time.
    let waited =
        unsafe { libc::syscall(libc::SYS_futex, cond, operation, signals, time, none, any) };
    let error = std::io::Error::last_os_error().raw_os_error();
    let late = waited == -1 && matches!(error, Some(libc::ETIMEDOUT | libc::EINVAL));
    // SAFETY: the caller's contract.
    match unsafe { pthread_mutex_lock(mutex) } {
        0 if late => libc::ETIMEDOUT,
        result => result,
    }
}

pub(super) unsafe extern "C" fn sem_wait(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { wait(semaphore, 0, std::ptr::null()) }
}

pub(super) unsafe extern "C" fn sem_timedwait(
    semaphore: *mut sem_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    unsafe { sem_clockwait(semaphore, libc::CLOCK_REALTIME, time) }
}

pub(super) unsafe extern "C" fn sem_clockwait(
    semaphore: *mut sem_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: the caller's contract.
    let nanos = unsafe { (*time).tv_nsec };
    let flag = match clock {
        libc::CLOCK_REALTIME => libc::FUTEX_CLOCK_REALTIME,
        libc::CLOCK_MONOTONIC => 0,
        _ => return fail(libc::EINVAL),
    };
    if !(0..1_000_000_000).contains(&nanos) {
        return fail(libc::EINVAL);
    }
    // SAFETY: the caller's contract.
    unsafe { wait(semaphore, flag, time) }
}

pub(super) unsafe extern "C" fn sem_post(semaphore: *mut sem_t) -> c_int {
    // SAFETY: the caller's contract.
    let (data, private) = unsafe { parts(semaphore) };
    let mut now = data.load(Ordering::Relaxed);
    loop {
        if now as u32 == MAX_VALUE {
            return fail(libc::EOVERFLOW);
        }
        match data.compare_exchange_weak(now, now + 1, Ordering::Release, Ordering::Relaxed) {
            Ok(_) => break,
            Err(other) => now = other,
        }
    }
    if now >= WAITER {
        let wake = libc::FUTEX_WAKE | private;
        // SAFETY: FUTEX_WAKE does not read the address, which may be invalid by now.
        unsafe { libc::syscall(libc::SYS_futex, semaphore, wake, 1) };
    }
    0
}

/// # Safety
/// A valid semaphore; NULL or a valid time.
unsafe fn wait(semaphore: *mut sem_t, clock: c_int, time: *const timespec) -> c_int {
    // SAFETY: the caller's contract.
    let (data, private) = unsafe { parts(semaphore) };
    let operation = libc::FUTEX_WAIT_BITSET | private | clock;
    loop {
        // SAFETY: the caller's contract.
        if unsafe { libc::sem_trywait(semaphore) } == 0 {
            return 0;
        }
        data.fetch_add(WAITER, Ordering::SeqCst);
        let none = std::ptr::null::<u32>();
        let any = libc::FUTEX_BITSET_MATCH_ANY;
        // SAFETY: the value's address, and NULL or a valid time.
        let waited =
            unsafe { libc::syscall(libc::SYS_futex, semaphore, operation, 0, time, none, any) };
        let error = std::io::Error::last_os_error().raw_os_error();
        data.fetch_sub(WAITER, Ordering::Relaxed);
        match error {
            Some(code @ (libc::EINTR | libc::ETIMEDOUT)) if waited == -1 => return fail(code),
            // A time before the clock's beginning.
            Some(libc::EINVAL) if waited == -1 => return fail(libc::ETIMEDOUT),
            _ => {}
        }
    }
}

/// Returns value and waiters as one number, and the flag for the futex.
///
/// # Safety
/// A valid semaphore.
unsafe fn parts<'a>(semaphore: *mut sem_t) -> (&'a AtomicU64, c_int) {
    // SAFETY: the caller's contract.
    let data = unsafe { &*semaphore.cast::<AtomicU64>() };
    // SAFETY: the same.
    let shared = unsafe { *semaphore.cast::<c_int>().add(2) };
    (data, libc::FUTEX_PRIVATE_FLAG ^ shared)
}

fn fail(code: c_int) -> c_int {
    // SAFETY: the location is valid as long as the thread runs.
    unsafe { *libc::__errno_location() = code };
    -1
}

const WAITER: u64 = 1 << 32;
const MAX_VALUE: u32 = i32::MAX as u32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn semaphores_are_compatible_with_libcs() {
        // SAFETY: all-zero bytes are a place for a semaphore.
        let mut semaphore: sem_t = unsafe { std::mem::zeroed() };
        let place = &raw mut semaphore as usize;
        let semaphore = || place as *mut sem_t;
        // SAFETY: a place; initialized from here on.
        assert_eq!(unsafe { libc::sem_init(semaphore(), 0, 0) }, 0);
        std::thread::scope(|scope| {
            for ours in [true, false] {
                scope.spawn(move || {
                    for _ in 0..1000 {
                        // SAFETY: as above.
                        let waited = unsafe {
                            if ours {
                                sem_wait(semaphore())
                            } else {
                                super::super::real::sem_wait(semaphore())
                            }
                        };
                        assert_eq!(waited, 0);
                    }
                });
                scope.spawn(move || {
                    for _ in 0..1000 {
                        // SAFETY: as above.
                        let posted = unsafe {
                            if ours {
                                sem_post(semaphore())
                            } else {
                                super::super::real::sem_post(semaphore())
                            }
                        };
                        assert_eq!(posted, 0);
                    }
                });
            }
        });
        let past = timespec { tv_sec: 1, tv_nsec: 0 };
        let before = timespec { tv_sec: -1, tv_nsec: 0 };
        for time in [past, before] {
            // SAFETY: as above, and a valid time.
            assert_eq!(unsafe { sem_timedwait(semaphore(), &time) }, -1);
            assert_eq!(std::io::Error::last_os_error().raw_os_error(), Some(libc::ETIMEDOUT));
        }
        // SAFETY: as above.
        assert_eq!(unsafe { libc::sem_trywait(semaphore()) }, -1);
    }
}
