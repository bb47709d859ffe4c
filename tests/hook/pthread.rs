//! pthread objects as C programs have them: mutexes, condition variables, reader-writer locks.

#![allow(dead_code, reason = "no test program uses all of it")]

use std::cell::UnsafeCell;
use std::sync::Arc;

use libc::{c_int, pthread_cond_t, pthread_mutex_t, pthread_rwlock_t, timespec};

unsafe extern "C" {
    pub fn pthread_cond_clockwait(
        cond: *mut pthread_cond_t,
        mutex: *mut pthread_mutex_t,
        clock: libc::clockid_t,
        time: *const timespec,
    ) -> c_int;
    fn pthread_mutexattr_setprotocol(
        attributes: *mut libc::pthread_mutexattr_t,
        protocol: c_int,
    ) -> c_int;
    fn pthread_mutex_clocklock(
        mutex: *mut pthread_mutex_t,
        clock: libc::clockid_t,
        time: *const timespec,
    ) -> c_int;
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

/// A pthread_mutex_t.
pub struct Mutex(Box<UnsafeCell<pthread_mutex_t>>);

// SAFETY: mutexes are for several threads.
unsafe impl Send for Mutex {}
// SAFETY: as above.
unsafe impl Sync for Mutex {}

impl Mutex {
    pub fn new(kind: c_int) -> Mutex {
        let lock = Mutex(Box::new(UnsafeCell::new(libc::PTHREAD_MUTEX_INITIALIZER)));
        // SAFETY: places for the attributes and the mutex.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attributes);
            assert_eq!(libc::pthread_mutexattr_settype(&mut attributes, kind), 0);
            assert_eq!(libc::pthread_mutex_init(lock.get(), &attributes), 0);
        }
        lock
    }

    pub fn normal() -> Mutex {
        Mutex::new(libc::PTHREAD_MUTEX_NORMAL)
    }

    pub fn get(&self) -> *mut pthread_mutex_t {
        self.0.get()
    }

    #[inline(never)]
    pub fn lock(&self) {
        // SAFETY: initialized, here and below.
        assert_eq!(unsafe { libc::pthread_mutex_lock(self.get()) }, 0);
    }

    pub fn try_lock(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(self.get()) }
    }

    pub fn timed_lock(&self, clock: Option<libc::clockid_t>, millis: i64) -> c_int {
        let time = from_now(clock.unwrap_or(libc::CLOCK_REALTIME), millis);
        // SAFETY: as above, and a valid time.
        unsafe {
            match clock {
                None => libc::pthread_mutex_timedlock(self.get(), &time),
                Some(clock) => pthread_mutex_clocklock(self.get(), clock, &time),
            }
        }
    }

    pub fn unlock(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.get()) }, 0);
    }
}

/// A mutex with its condition variable, in memory that a forked child shares.
pub struct Monitor(pub *mut (pthread_mutex_t, pthread_cond_t));

// SAFETY: both are for several threads.
unsafe impl Send for Monitor {}
// SAFETY: as above.
unsafe impl Sync for Monitor {}

#[derive(Default)]
pub struct Attributes {
    pub kind: c_int,
    pub robust: bool,
    pub inherit: bool,
    pub shared: bool,
    pub clock: libc::clockid_t,
}

impl Monitor {
    pub fn new(wanted: Attributes) -> Arc<Monitor> {
        let (access, kind) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        // SAFETY: a new mapping, of zeros.
        let place = unsafe { libc::mmap(std::ptr::null_mut(), 4096, access, kind, -1, 0) };
        assert_ne!(place, libc::MAP_FAILED);
        let pair = Monitor(place.cast());
        // SAFETY: places for what is initialized here.
        unsafe {
            let mut attributes = std::mem::zeroed();
            libc::pthread_mutexattr_init(&mut attributes);
            assert_eq!(libc::pthread_mutexattr_settype(&mut attributes, wanted.kind), 0);
            let robust = libc::PTHREAD_MUTEX_ROBUST;
            if wanted.robust {
                assert_eq!(libc::pthread_mutexattr_setrobust(&mut attributes, robust), 0);
            }
            if wanted.inherit {
                assert_eq!(pthread_mutexattr_setprotocol(&mut attributes, 1), 0);
            }
            let sharing = c_int::from(wanted.shared);
            libc::pthread_mutexattr_setpshared(&mut attributes, sharing);
            assert_eq!(libc::pthread_mutex_init(pair.mutex(), &attributes), 0);
            let mut attributes = std::mem::zeroed();
            libc::pthread_condattr_init(&mut attributes);
            libc::pthread_condattr_setpshared(&mut attributes, sharing);
            assert_eq!(libc::pthread_condattr_setclock(&mut attributes, wanted.clock), 0);
            assert_eq!(libc::pthread_cond_init(pair.cond(), &attributes), 0);
        }
        Arc::new(pair)
    }

    pub fn plain() -> Arc<Monitor> {
        Monitor::new(Attributes::default())
    }

    pub fn mutex(&self) -> *mut pthread_mutex_t {
        // SAFETY: a place that stays.
        unsafe { &raw mut (*self.0).0 }
    }

    pub fn cond(&self) -> *mut pthread_cond_t {
        // SAFETY: a place that stays.
        unsafe { &raw mut (*self.0).1 }
    }

    pub fn lock(&self) -> c_int {
        // SAFETY: initialized, here and below.
        unsafe { libc::pthread_mutex_lock(self.mutex()) }
    }

    pub fn try_lock(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_trylock(self.mutex()) }
    }

    pub fn timed_lock(&self, millis: i64) -> c_int {
        let time = from_now(libc::CLOCK_REALTIME, millis);
        // SAFETY: as above.
        unsafe { libc::pthread_mutex_timedlock(self.mutex(), &time) }
    }

    pub fn unlock(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_mutex_unlock(self.mutex()) }, 0);
    }

    pub fn wait(&self) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_cond_wait(self.cond(), self.mutex()) }
    }

    pub fn timed_wait(&self, time: timespec) -> c_int {
        // SAFETY: as above.
        unsafe { libc::pthread_cond_timedwait(self.cond(), self.mutex(), &time) }
    }

    pub fn signal(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_cond_signal(self.cond()) }, 0);
    }

    pub fn broadcast(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_cond_broadcast(self.cond()) }, 0);
    }
}

/// A pthread_rwlock_t.
pub struct RwLock(Box<UnsafeCell<pthread_rwlock_t>>);

// SAFETY: such locks are for several threads.
unsafe impl Send for RwLock {}
// SAFETY: as above.
unsafe impl Sync for RwLock {}

#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Mode {
    Read,
    Write,
}

impl RwLock {
    pub fn new() -> RwLock {
        RwLock(Box::new(UnsafeCell::new(libc::PTHREAD_RWLOCK_INITIALIZER)))
    }

    #[inline(never)]
    pub fn lock(&self, mode: Mode) -> c_int {
        let lock = self.0.get();
        // SAFETY: initialized, here and below.
        unsafe {
            match mode {
                Mode::Read => libc::pthread_rwlock_rdlock(lock),
                Mode::Write => libc::pthread_rwlock_wrlock(lock),
            }
        }
    }

    pub fn try_lock(&self, mode: Mode) -> c_int {
        let lock = self.0.get();
        // SAFETY: as above.
        unsafe {
            match mode {
                Mode::Read => libc::pthread_rwlock_tryrdlock(lock),
                Mode::Write => libc::pthread_rwlock_trywrlock(lock),
            }
        }
    }

    pub fn lock_for(&self, mode: Mode, clock: Option<libc::clockid_t>, millis: i64) -> c_int {
        let time = from_now(clock.unwrap_or(libc::CLOCK_REALTIME), millis);
        self.lock_until(mode, clock, &time)
    }

    pub fn lock_until(&self, mode: Mode, clock: Option<libc::clockid_t>, time: &timespec) -> c_int {
        let lock = self.0.get();
        // SAFETY: as above.
        unsafe {
            match (mode, clock) {
                (Mode::Read, None) => pthread_rwlock_timedrdlock(lock, time),
                (Mode::Write, None) => pthread_rwlock_timedwrlock(lock, time),
                (Mode::Read, Some(clock)) => pthread_rwlock_clockrdlock(lock, clock, time),
                (Mode::Write, Some(clock)) => pthread_rwlock_clockwrlock(lock, clock, time),
            }
        }
    }

    pub fn unlock(&self) {
        // SAFETY: as above.
        assert_eq!(unsafe { libc::pthread_rwlock_unlock(self.0.get()) }, 0);
    }
}

/// Returns the results of all functions on a free lock, and on one that the caller holds.
pub fn rwlock_results() -> Vec<String> {
    use Mode::{Read, Write};
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
            // A free lock is taken whatever the time.
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

/// Returns the time on `clock` in `millis`.
pub fn from_now(clock: libc::clockid_t, millis: i64) -> timespec {
    let mut time = timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a place for the time.
    unsafe { libc::clock_gettime(clock, &mut time) };
    let nanos = time.tv_nsec + millis * 1_000_000;
    time.tv_sec += nanos.div_euclid(1_000_000_000);
    time.tv_nsec = nanos.rem_euclid(1_000_000_000);
    time
}
