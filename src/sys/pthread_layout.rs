//! Attributes of a mutex or a condition variable that libc does not tell. Where it keeps them is
//! found by comparing new ones that differ in that attribute alone.

use std::sync::OnceLock;

use libc::{
    c_int, clockid_t, pthread_cond_t, pthread_condattr_t, pthread_mutex_t, pthread_mutexattr_t,
};

/// Whether a mutex is recursive.
///
/// # Safety
/// An initialized mutex.
pub(crate) unsafe fn is_recursive(mutex: *const pthread_mutex_t) -> bool {
    static KINDS: OnceLock<(Mark<MUTEX>, u8)> = OnceLock::new();
    let (kind, recursive) = KINDS.get_or_init(|| {
        let normal = new_mutex(libc::PTHREAD_MUTEX_NORMAL);
        let recursive = new_mutex(libc::PTHREAD_MUTEX_RECURSIVE);
        let checked = new_mutex(libc::PTHREAD_MUTEX_ERRORCHECK);
        let mut kind = Mark::find(normal, recursive);
        kind.bits |= normal[kind.offset] ^ checked[kind.offset];
        let recursive = recursive[kind.offset] & kind.bits;
        (kind, recursive)
    });
    // SAFETY: the caller's contract.
    let bits = unsafe { kind.read(mutex.cast()) };
    kind.bits != 0 && bits == *recursive
}

/// Returns the clock of pthread_cond_timedwait(3).
///
/// # Safety
/// An initialized condition variable.
pub(crate) unsafe fn clock(cond: *const pthread_cond_t) -> clockid_t {
    // SAFETY: the caller's contract.
    let monotonic = unsafe { marks().monotonic.read(cond.cast()) } != 0;
    if monotonic { libc::CLOCK_MONOTONIC } else { libc::CLOCK_REALTIME }
}

/// Whether a condition variable is shared between processes.
///
/// # Safety
/// An initialized condition variable.
pub(crate) unsafe fn is_shared(cond: *const pthread_cond_t) -> bool {
    // SAFETY: the caller's contract.
    unsafe { marks().shared.read(cond.cast()) != 0 }
}

struct Marks {
    monotonic: Mark<COND>,
    shared: Mark<COND>,
}

/// The bits of an attribute within an object of this size; none if libc keeps it elsewhere.
struct Mark<const SIZE: usize> {
    offset: usize,
    bits: u8,
}

impl<const SIZE: usize> Mark<SIZE> {
    /// Finds the first byte in which `marked` differs from `plain`.
    fn find(plain: [u8; SIZE], marked: [u8; SIZE]) -> Self {
        let offset = (0..SIZE).find(|offset| plain[*offset] != marked[*offset]).unwrap_or(0);
        Mark { offset, bits: plain[offset] ^ marked[offset] }
    }

    /// # Safety
    /// An object of this size.
    unsafe fn read(&self, from: *const u8) -> u8 {
        // SAFETY: the caller's contract; other threads change other bits meanwhile.
        unsafe { from.add(self.offset).read_volatile() & self.bits }
    }
}

fn marks() -> &'static Marks {
    static MARKS: OnceLock<Marks> = OnceLock::new();
    MARKS.get_or_init(|| {
        let plain = new_cond(libc::CLOCK_REALTIME, libc::PTHREAD_PROCESS_PRIVATE);
        let monotonic = new_cond(libc::CLOCK_MONOTONIC, libc::PTHREAD_PROCESS_PRIVATE);
        let shared = new_cond(libc::CLOCK_REALTIME, libc::PTHREAD_PROCESS_SHARED);
        Marks { monotonic: Mark::find(plain, monotonic), shared: Mark::find(plain, shared) }
    })
}

/// Returns the bytes of a new condition variable.
fn new_cond(clock: clockid_t, shared: c_int) -> [u8; COND] {
    // SAFETY: all-zero bytes are valid.
    let mut attributes: pthread_condattr_t = unsafe { std::mem::zeroed() };
    let mut cond = libc::PTHREAD_COND_INITIALIZER;
    // SAFETY: places for attributes and a condition variable, which nobody waits for.
    unsafe {
        libc::pthread_condattr_init(&mut attributes);
        libc::pthread_condattr_setclock(&mut attributes, clock);
        libc::pthread_condattr_setpshared(&mut attributes, shared);
        libc::pthread_cond_init(&mut cond, &attributes);
    }
    // SAFETY: initialized bytes of this size.
    unsafe { (&raw const cond).cast::<[u8; COND]>().read() }
}

/// Returns the bytes of a new mutex.
fn new_mutex(kind: c_int) -> [u8; MUTEX] {
    // SAFETY: all-zero bytes are valid.
    let mut attributes: pthread_mutexattr_t = unsafe { std::mem::zeroed() };
    let mut mutex = libc::PTHREAD_MUTEX_INITIALIZER;
    // SAFETY: places for attributes and a mutex, which nobody locks.
    unsafe {
        libc::pthread_mutexattr_init(&mut attributes);
        libc::pthread_mutexattr_settype(&mut attributes, kind);
        libc::pthread_mutex_init(&mut mutex, &attributes);
    }
    // SAFETY: initialized bytes of this size.
    unsafe { (&raw const mutex).cast::<[u8; MUTEX]>().read() }
}

const COND: usize = size_of::<pthread_cond_t>();
const MUTEX: usize = size_of::<pthread_mutex_t>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn recursive_mutexes_are_told_apart() {
        for kind in [0, 1, 2, 3] {
            let bytes = new_mutex(kind);
            // SAFETY: the bytes of an initialized one.
            let recursive = unsafe { is_recursive((&raw const bytes).cast()) };
            assert_eq!(recursive, kind == libc::PTHREAD_MUTEX_RECURSIVE, "{kind}");
        }
    }

    #[test]
    fn clocks_and_sharing_are_told_apart() {
        for clock_id in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            for sharing in [libc::PTHREAD_PROCESS_PRIVATE, libc::PTHREAD_PROCESS_SHARED] {
                let bytes = new_cond(clock_id, sharing);
                let cond = (&raw const bytes).cast::<pthread_cond_t>();
                // SAFETY: the bytes of an initialized one.
                let (clock, shared) = unsafe { (clock(cond), is_shared(cond)) };
                assert_eq!(clock, clock_id);
                assert_eq!(shared, sharing == libc::PTHREAD_PROCESS_SHARED);
            }
        }
    }
}
