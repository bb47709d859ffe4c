//! select(2) and pselect(2): the kernel decides what is ready, and between two calls of it the
//! coroutine waits as poll(2) does.

use std::time::Duration;

use libc::{c_int, c_short, fd_set, pollfd, sigset_t, timespec, timeval};

use super::poll::check_until;
use crate::hook::switch::is_on;
use crate::hook::{errno, time, wait};
use crate::rt::{self, Deadline};
use crate::sys::real;

/// select(2). May suspend.
///
/// # Safety
/// The man page's contract, as for all hooks here.
#[unsafe(no_mangle)]
unsafe extern "C" fn select(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *mut timeval,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::select(count, read, write, except, timeout) };
    }
    // SAFETY: NULL or valid.
    let deadline = match unsafe { timeout.as_ref() } {
        None => Deadline::NEVER,
        Some(given) if given.tv_sec < 0 || given.tv_usec < 0 => return errno::fail(libc::EINVAL),
        Some(given) => Deadline::after(
            Duration::from_secs(given.tv_sec as u64)
                .saturating_add(Duration::from_micros(given.tv_usec as u64)),
        ),
    };
    // SAFETY: as above.
    let found = unsafe { select_by(count, [read, write, except], deadline) };
    if let (Some(left), false) = (deadline.remaining(), timeout.is_null()) {
        let left = timeval {
            tv_sec: left.as_secs() as libc::time_t,
            tv_usec: left.subsec_micros().into(),
        };
        // SAFETY: as above. Linux stores the time that is left (select(2)).
        unsafe { *timeout = left };
    }
    found
}

/// pselect(2). May suspend.
///
/// # Safety
/// As for [`select`].
#[unsafe(no_mangle)]
unsafe extern "C" fn pselect(
    count: c_int,
    read: *mut fd_set,
    write: *mut fd_set,
    except: *mut fd_set,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    if !is_on() || !rt::can_suspend() {
        // SAFETY: the caller's contract, here and in what follows.
        return unsafe { real::pselect(count, read, write, except, timeout, mask) };
    }
    // SAFETY: NULL or valid.
    let Ok(deadline) = (unsafe { time::deadline(timeout) }) else {
        return errno::fail(libc::EINVAL);
    };
    let sets = [read, write, except];
    if mask.is_null() {
        // SAFETY: as above.
        return unsafe { select_by(count, sets, deadline) };
    }
    // SAFETY: as above.
    let given = unsafe { Sets::copy(count, sets) };
    check_until(deadline, || {
        // SAFETY: as above.
        unsafe { given.restore(sets) };
        let now = timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: as above.
        unsafe { real::pselect(count, read, write, except, &now, mask) }
    })
}

/// # Safety
/// As select(2).
unsafe fn select_by(count: c_int, sets: [*mut fd_set; 3], deadline: Deadline) -> c_int {
    errno::unless_failed(|| {
        // SAFETY: as select(2).
        let given = unsafe { Sets::copy(count, sets) };
        let mut rounds = 0;
        loop {
            let mut now = timeval { tv_sec: 0, tv_usec: 0 };
            // SAFETY: as select(2).
            let found = unsafe { real::select(count, sets[0], sets[1], sets[2], &mut now) };
            if found != 0 {
                return found;
            }
            if deadline.has_passed() {
                rt::yield_now();
                return 0;
            }
            let mut fds = given.pollfds();
            let waited = match rt::poll_fds(&mut fds, deadline) {
                // An end of stream that is ready to poll(2) and not to select(2): no event will come.
                Ok(ready) if ready > 0 && rounds > 1 => wait::pause(Duration::from_millis(1)),
                Ok(_) => Ok(()),
                Err(error) => Err(errno::of(&error)),
            };
            rounds += 1;
            // SAFETY: as select(2).
            unsafe { given.restore(sets) };
            if let Err(code) = waited {
                return errno::fail(code);
            }
        }
    })
}

/// The caller's three sets, which select(2) overwrites.
struct Sets {
    words: [Vec<u64>; 3],
}

impl Sets {
    /// # Safety
    /// As select(2): each set is NULL or has `count` bits.
    unsafe fn copy(count: c_int, sets: [*mut fd_set; 3]) -> Sets {
        let words = usize::try_from(count).unwrap_or(0).div_ceil(WORD_BITS);
        Sets {
            words: sets.map(|set| {
                let words = if set.is_null() { 0 } else { words };
                // SAFETY: the kernel too reads and writes whole words.
                (0..words).map(|index| unsafe { *set.cast::<u64>().add(index) }).collect()
            }),
        }
    }

    /// # Safety
    /// The sets that were copied.
    unsafe fn restore(&self, sets: [*mut fd_set; 3]) {
        for (words, set) in self.words.iter().zip(sets) {
            for (index, word) in words.iter().enumerate() {
                // SAFETY: the word was read there.
                unsafe { *set.cast::<u64>().add(index) = *word };
            }
        }
    }

    fn pollfds(&self) -> Vec<pollfd> {
        let words = self.words.iter().map(Vec::len).max().unwrap_or(0);
        let bits = (0..words * WORD_BITS).map(|fd| (fd as c_int, self.events(fd)));
        bits.filter(|(_, events)| *events != 0)
            .map(|(fd, events)| pollfd { fd, events, revents: 0 })
            .collect()
    }

    fn events(&self, fd: usize) -> c_short {
        let asked = self.words.iter().zip([libc::POLLIN, libc::POLLOUT, libc::POLLPRI]);
        asked
            .filter(|(words, _)| {
                let word = words.get(fd / WORD_BITS).copied().unwrap_or(0);
                word >> (fd % WORD_BITS) & 1 != 0
            })
            .fold(0, |events, (_, event)| events | event)
    }
}

const WORD_BITS: usize = u64::BITS as usize;
