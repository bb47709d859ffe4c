//! What libc knows of a condition variable and does not tell: its clock, and whether processes share
//! it. Where it keeps that is found by comparing fresh ones that differ in nothing else.

use std::sync::OnceLock;

use libc::{c_int, clockid_t, pthread_cond_t, pthread_condattr_t};

/// The clock of pthread_cond_timedwait(3).
///
/// # Safety
/// An initialised condition variable.
pub(crate) unsafe fn clock(cond: *const pthread_cond_t) -> clockid_t {
    // SAFETY: the caller's contract.
    let monotonic = unsafe { marks().monotonic.is_set(cond) };
    if monotonic { libc::CLOCK_MONOTONIC } else { libc::CLOCK_REALTIME }
}

/// Whether processes share it.
///
/// # Safety
/// An initialised condition variable.
pub(crate) unsafe fn is_shared(cond: *const pthread_cond_t) -> bool {
    // SAFETY: the caller's contract.
    unsafe { marks().shared.is_set(cond) }
}

struct Marks {
    monotonic: Mark,
    shared: Mark,
}

/// Bits of a byte of a condition variable; none if libc keeps it elsewhere.
struct Mark {
    place: usize,
    bits: u8,
}

impl Mark {
    /// Where `marked` differs from `plain`.
    fn find(plain: [u8; SIZE], marked: [u8; SIZE]) -> Mark {
        let place = (0..SIZE).find(|place| plain[*place] != marked[*place]).unwrap_or(0);
        Mark { place, bits: plain[place] ^ marked[place] }
    }

    /// # Safety
    /// An initialised condition variable.
    unsafe fn is_set(&self, cond: *const pthread_cond_t) -> bool {
        // SAFETY: the caller's contract; others change other bits meanwhile.
        let byte = unsafe { cond.cast::<u8>().add(self.place).read_volatile() };
        byte & self.bits != 0
    }
}

fn marks() -> &'static Marks {
    static MARKS: OnceLock<Marks> = OnceLock::new();
    MARKS.get_or_init(|| {
        let plain = fresh(libc::CLOCK_REALTIME, libc::PTHREAD_PROCESS_PRIVATE);
        let monotonic = fresh(libc::CLOCK_MONOTONIC, libc::PTHREAD_PROCESS_PRIVATE);
        let shared = fresh(libc::CLOCK_REALTIME, libc::PTHREAD_PROCESS_SHARED);
        Marks { monotonic: Mark::find(plain, monotonic), shared: Mark::find(plain, shared) }
    })
}

/// The bytes of a new condition variable.
fn fresh(clock: clockid_t, shared: c_int) -> [u8; SIZE] {
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
    // SAFETY: initialised bytes of this size.
    unsafe { (&raw const cond).cast::<[u8; SIZE]>().read() }
}

const SIZE: usize = size_of::<pthread_cond_t>();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_knows_clocks_and_sharing() {
        for clock_id in [libc::CLOCK_REALTIME, libc::CLOCK_MONOTONIC] {
            for sharing in [libc::PTHREAD_PROCESS_PRIVATE, libc::PTHREAD_PROCESS_SHARED] {
                let bytes = fresh(clock_id, sharing);
                let cond = (&raw const bytes).cast::<pthread_cond_t>();
                // SAFETY: the bytes of an initialised one.
                let (clock, shared) = unsafe { (clock(cond), is_shared(cond)) };
                assert_eq!(clock, clock_id);
                assert_eq!(shared, sharing == libc::PTHREAD_PROCESS_SHARED);
            }
        }
    }
}
