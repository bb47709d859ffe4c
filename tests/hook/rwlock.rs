//! A pthread_rwlock_t, as tests use it.

use std::cell::UnsafeCell;

use libc::{c_int, pthread_rwlock_t, timespec};

unsafe extern "C" {
    fn pthread_rwlock_timedrdlock(lock: *mut pthread_rwlock_t, time: *const timespec) -> c_int;
    fn pthread_rwlock_timedwrlock(lock: *mut pthread_rwlock_t, time: *const timespec) -> c_int;
    fn pthread_rwlock_clockrdlock(
        lock: *mut pthread_rwlock_t,
        clock: libc::clockid_t,
        time: *const timespec,
    ) -> c_int;
    fn pthread_rwlock_clockwrlock(
        lock: *mut pthread_rwlock_t,
        clock: libc::clockid_t,
        time: *const timespec,
    ) -> c_int;
}

pub struct RwLock(Box<UnsafeCell<pthread_rwlock_t>>);

// SAFETY: such locks are for several threads.
unsafe impl Send for RwLock {}
// SAFETY: as above.
unsafe impl Sync for RwLock {}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Want {
    Read,
    Write,
}

impl RwLock {
    pub fn new() -> RwLock {
        RwLock(Box::new(UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER)))
    }

    #[inline(never)]
    pub fn lock(&self, want: Want) -> c_int {
        let lock = self.0.get();
        // SAFETY: initialised, here and below.
        unsafe {
            match want {
                Want::Read => libc::pthread_rwlock_rdlock(lock),
                Want::Write => libc::pthread_rwlock_wrlock(lock),
            }
        }
    }

    pub fn try_lock(&self, want: Want) -> c_int {
        let lock = self.0.get();
        // SAFETY: as above.
        unsafe {
            match want {
                Want::Read => libc::pthread_rwlock_tryrdlock(lock),
                Want::Write => libc::pthread_rwlock_trywrlock(lock),
            }
        }
    }

    pub fn lock_for(&self, want: Want, clock: Option<libc::clockid_t>, millis: i64) -> c_int {
        let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: a place for the time.
        unsafe { libc::clock_gettime(clock.unwrap_or(libc::CLOCK_REALTIME), &mut time) };
        let nanos = time.tv_nsec + millis * 1_000_000;
        time.tv_sec += nanos.div_euclid(1_000_000_000);
        time.tv_nsec = nanos.rem_euclid(1_000_000_000);
        self.lock_until(want, clock, &time)
    }

    pub fn lock_until(&self, want: Want, clock: Option<libc::clockid_t>, time: &timespec) -> c_int {
        let lock = self.0.get();
        // SAFETY: as above.
        unsafe {
            match (want, clock) {
                (Want::Read, None) => pthread_rwlock_timedrdlock(lock, time),
                (Want::Write, None) => pthread_rwlock_timedwrlock(lock, time),
                (Want::Read, Some(clock)) => pthread_rwlock_clockrdlock(lock, clock, time),
                (Want::Write, Some(clock)) => pthread_rwlock_clockwrlock(lock, clock, time),
            }
        }
    }

    pub fn unlock(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_rwlock_unlock(self.0.get()) }, 0);
    }
}

/// Answers without any contention, and of a lock that the caller has: for comparison.
pub fn answers() -> Vec<String> {
    use Want::{Read, Write};
    let lock = RwLock::new();
    let clocks = [None, Some(libc::CLOCK_REALTIME), Some(libc::CLOCK_MONOTONIC)];
    let bad = timespec { tv_sec: 1 << 40, tv_nsec: -1 };
    let early = timespec { tv_sec: -1, tv_nsec: 0 };
    let mut seen = Vec::new();
    let mut note = |what: &str, result: c_int| seen.push(format!("{what} {result}"));
    for want in [Read, Write] {
        note("lock", lock.lock(want));
        lock.unlock();
        note("try", lock.try_lock(want));
        lock.unlock();
        for clock in clocks {
            note("until", lock.lock_for(want, clock, 1000));
            lock.unlock();
            // What is free needs no time.
            note("early", lock.lock_until(want, clock, &early));
            lock.unlock();
        }
        note("other clock", lock.lock_for(want, Some(libc::CLOCK_TAI), 10));
    }
    for (has, wants) in [(Read, Read), (Read, Write), (Write, Read), (Write, Write)] {
        note("has", lock.lock(has));
        let tried = lock.try_lock(wants);
        note("and tries", tried);
        if tried == 0 {
            lock.unlock();
        }
        for clock in clocks {
            let result = lock.lock_for(wants, clock, 5);
            note("until", result);
            if result == 0 {
                lock.unlock();
            } else {
                note("bad", lock.lock_until(wants, clock, &bad));
                note("early", lock.lock_until(wants, clock, &early));
            }
        }
        if has == Write {
            note("locks", lock.lock(wants));
        }
        lock.unlock();
    }
    seen
}
