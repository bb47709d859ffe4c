//! Reader-writer locks in place of libc's, for statically linked programs, where glibc's own have
//! no internal names. All calls of such a program lead here, so nothing of glibc's layout is needed
//! but that a new lock is zero where these fields are.

use std::sync::atomic::{AtomicU32, Ordering};

use libc::{c_int, clockid_t, pthread_rwlock_t, timespec};

/// Laid over a `pthread_rwlock_t`.
#[repr(C)]
struct RwLock {
    /// The number of readers, or [`WRITER`].
    state: AtomicU32,
    /// The number of waiting threads.
    waiters: AtomicU32,
    /// The thread id of the writer, or 0.
    writer: AtomicU32,
}

pub(super) unsafe extern "C" fn pthread_rwlock_rdlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: the caller's contract, here and in all that follows.
    unsafe { RwLock::of(lock) }.wait(RwLock::try_read, libc::CLOCK_REALTIME, None)
}

pub(super) unsafe extern "C" fn pthread_rwlock_wrlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: as above.
    unsafe { RwLock::of(lock) }.wait(RwLock::try_write, libc::CLOCK_REALTIME, None)
}

pub(super) unsafe extern "C" fn pthread_rwlock_tryrdlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: as above.
    unsafe { RwLock::of(lock) }.try_read()
}

pub(super) unsafe extern "C" fn pthread_rwlock_trywrlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: as above.
    unsafe { RwLock::of(lock) }.try_write()
}

pub(super) unsafe extern "C" fn pthread_rwlock_timedrdlock(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: as above.
    unsafe { pthread_rwlock_clockrdlock(lock, libc::CLOCK_REALTIME, time) }
}

pub(super) unsafe extern "C" fn pthread_rwlock_timedwrlock(
    lock: *mut pthread_rwlock_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: as above.
    unsafe { pthread_rwlock_clockwrlock(lock, libc::CLOCK_REALTIME, time) }
}

pub(super) unsafe extern "C" fn pthread_rwlock_clockrdlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: as above.
    let (lock, time) = unsafe { (RwLock::of(lock), &*time) };
    lock.wait(RwLock::try_read, clock, Some(time))
}

pub(super) unsafe extern "C" fn pthread_rwlock_clockwrlock(
    lock: *mut pthread_rwlock_t,
    clock: clockid_t,
    time: *const timespec,
) -> c_int {
    // SAFETY: as above.
    let (lock, time) = unsafe { (RwLock::of(lock), &*time) };
    lock.wait(RwLock::try_write, clock, Some(time))
}

pub(super) unsafe extern "C" fn pthread_rwlock_unlock(lock: *mut pthread_rwlock_t) -> c_int {
    // SAFETY: as above.
    unsafe { RwLock::of(lock) }.unlock()
}

impl RwLock {
    /// # Safety
    /// A valid lock, as long as the reference is used.
    unsafe fn of<'a>(lock: *mut pthread_rwlock_t) -> &'a RwLock {
        // SAFETY: the caller's contract; it is larger than this, and aligned at least as well.
        unsafe { &*lock.cast() }
    }

    #[allow(deprecated, reason = "later Rust calls fetch_update try_update, which ours has not")]
    fn try_read(&self) -> c_int {
        let more = |state| (state < WRITER - 1).then(|| state + 1);
        match self.state.fetch_update(Ordering::SeqCst, Ordering::SeqCst, more) {
            Ok(_) => 0,
            Err(_) => libc::EBUSY,
        }
    }

    fn try_write(&self) -> c_int {
        match self.state.compare_exchange(0, WRITER, Ordering::SeqCst, Ordering::SeqCst) {
            Ok(_) => {
                self.writer.store(own_thread(), Ordering::Relaxed);
                0
            }
            Err(_) => libc::EBUSY,
        }
    }

    fn wait(
        &self,
        try_lock: fn(&RwLock) -> c_int,
        clock: clockid_t,
        time: Option<&timespec>,
    ) -> c_int {
        let flag = match clock {
            libc::CLOCK_REALTIME => libc::FUTEX_CLOCK_REALTIME,
            libc::CLOCK_MONOTONIC => 0,
            _ => return libc::EINVAL,
        };
        if time.is_some_and(|time| !(0..1_000_000_000).contains(&time.tv_nsec)) {
            return libc::EINVAL;
        }
        let operation = libc::FUTEX_WAIT_BITSET | flag;
        let time = time.map_or(std::ptr::null(), |time| &raw const *time);
        loop {
            if try_lock(self) == 0 {
                return 0;
            }
            if self.writer.load(Ordering::Relaxed) == own_thread() {
                return libc::EDEADLK;
            }
            self.waiters.fetch_add(1, Ordering::SeqCst);
            // Who unlocks from here on sees the waiter.
            let state = self.state.load(Ordering::SeqCst);
            let result = try_lock(self);
            let failed = if result == 0 { None } else { self.sleep(state, operation, time) };
            self.waiters.fetch_sub(1, Ordering::SeqCst);
            if result == 0 {
                return 0;
            }
            // To the kernel a time before the clock's beginning is invalid.
            if let Some(libc::ETIMEDOUT | libc::EINVAL) = failed {
                return libc::ETIMEDOUT;
            }
        }
    }

    /// Sleeps while the state is `state`, and returns the kernel's error, if there is one.
    fn sleep(&self, state: u32, operation: c_int, time: *const timespec) -> Option<c_int> {
        if state == 0 {
            // The lock was free: its wake may be over.
            return None;
        }
        let (none, any) = (std::ptr::null::<u32>(), libc::FUTEX_BITSET_MATCH_ANY);
        let place = self.state.as_ptr();
        // SAFETY: the state's address, and NULL or a valid time.
        let waited =
            unsafe { libc::syscall(libc::SYS_futex, place, operation, state, time, none, any) };
        let error = || std::io::Error::last_os_error().raw_os_error();
        if waited == -1 { error() } else { None }
    }

    fn unlock(&self) -> c_int {
        if self.state.load(Ordering::SeqCst) == WRITER {
            self.writer.store(0, Ordering::Relaxed);
            self.state.store(0, Ordering::SeqCst);
        } else if self.state.fetch_sub(1, Ordering::SeqCst) != 1 {
            return 0;
        }
        if self.waiters.load(Ordering::SeqCst) > 0 {
            let place = self.state.as_ptr();
            // SAFETY: FUTEX_WAKE does not read the address.
            unsafe { libc::syscall(libc::SYS_futex, place, libc::FUTEX_WAKE, c_int::MAX) };
        }
        0
    }
}

fn own_thread() -> u32 {
    // SAFETY: takes no arguments.
    unsafe { libc::gettid() as u32 }
}

const WRITER: u32 = u32::MAX;

#[cfg(test)]
mod tests {
    use std::cell::UnsafeCell;

    use super::*;

    struct Shared(UnsafeCell<pthread_rwlock_t>);

    // SAFETY: a lock may be used by several threads.
    unsafe impl Sync for Shared {}

    #[test]
    fn one_writer_or_several_readers() {
        let shared = Shared(UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER));
        let (inside, sum) = (AtomicU32::new(0), AtomicU32::new(0));
        std::thread::scope(|scope| {
            for index in 0..4u32 {
                let (shared, inside, sum) = (&shared, &inside, &sum);
                scope.spawn(move || {
                    for round in 0..2000 {
                        let writes = (index + round).is_multiple_of(3);
                        let lock = shared.0.get();
                        // SAFETY: initialized, here and below.
                        let locked = unsafe {
                            if writes {
                                pthread_rwlock_wrlock(lock)
                            } else {
                                pthread_rwlock_rdlock(lock)
                            }
                        };
                        assert_eq!(locked, 0);
                        let here = if writes { 1000 } else { 1 };
                        let before = inside.fetch_add(here, Ordering::SeqCst);
                        assert!(if writes { before == 0 } else { before < 1000 }, "{before}");
                        sum.fetch_add(1, Ordering::Relaxed);
                        inside.fetch_sub(here, Ordering::SeqCst);
                        // SAFETY: as above.
                        assert_eq!(unsafe { pthread_rwlock_unlock(lock) }, 0);
                    }
                });
            }
        });
        assert_eq!(sum.load(Ordering::Relaxed), 8000);
    }

    #[test]
    fn times_and_errors_are_libcs() {
        let mut lock = libc::PTHREAD_RWLOCK_INITIALIZER;
        let lock = &raw mut lock;
        let past = timespec { tv_sec: 1, tv_nsec: 0 };
        let before = timespec { tv_sec: -1, tv_nsec: 0 };
        let bad = timespec { tv_sec: 1, tv_nsec: -1 };
        // SAFETY: initialized, and valid times.
        unsafe {
            assert_eq!(pthread_rwlock_tryrdlock(lock), 0);
            assert_eq!(pthread_rwlock_timedrdlock(lock, &past), 0);
            assert_eq!(pthread_rwlock_trywrlock(lock), libc::EBUSY);
            assert_eq!(pthread_rwlock_timedwrlock(lock, &past), libc::ETIMEDOUT);
            assert_eq!(pthread_rwlock_timedwrlock(lock, &before), libc::ETIMEDOUT);
            assert_eq!(pthread_rwlock_timedwrlock(lock, &bad), libc::EINVAL);
            assert_eq!(pthread_rwlock_clockwrlock(lock, libc::CLOCK_TAI, &past), libc::EINVAL);
            assert_eq!(pthread_rwlock_unlock(lock), 0);
            assert_eq!(pthread_rwlock_unlock(lock), 0);
            assert_eq!(pthread_rwlock_clockwrlock(lock, libc::CLOCK_MONOTONIC, &past), 0);
            assert_eq!(pthread_rwlock_rdlock(lock), libc::EDEADLK);
            assert_eq!(pthread_rwlock_wrlock(lock), libc::EDEADLK);
            assert_eq!(pthread_rwlock_tryrdlock(lock), libc::EBUSY);
            assert_eq!(pthread_rwlock_unlock(lock), 0);
        }
    }
}
