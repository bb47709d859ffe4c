//! Calls that have no flag for "do not block": the fd is made non-blocking for their length. Whoever
//! looks at its flags meanwhile must not take that for the program's wish, and two of them must not
//! restore them beneath each other: they take turns, by the file that the fd is.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::c_int;

use super::{blocked, errno};
use crate::rt::{self, Interest};

/// Calls `f` with `fd` non-blocking, and leaves the flags and errno as they should be. Nothing
/// suspends meanwhile, so that no other coroutine of this worker sees it. True if the program
/// itself had made the fd non-blocking: then what `f` says is the answer.
pub(super) fn without_blocking<R>(fd: c_int, f: impl FnOnce() -> R) -> (R, bool) {
    let turn = Turn::take(fd);
    let flags = get(fd);
    if flags == -1 || flags & libc::O_NONBLOCK != 0 {
        drop(turn);
        return (f(), true);
    }
    BEGUN.fetch_add(1, Ordering::SeqCst);
    set(fd, flags | libc::O_NONBLOCK);
    let result = f();
    errno::kept(|| set(fd, flags));
    ENDED.fetch_add(1, Ordering::SeqCst);
    drop(turn);
    (result, false)
}

/// Whether the program asked for calls on `fd` not to block.
pub(super) fn is_nonblocking(fd: c_int) -> Result<bool, c_int> {
    let quiet = Quiet::begin();
    let flags = match get(fd) {
        flags if flags == -1 || flags & libc::O_NONBLOCK == 0 || quiet.held() => flags,
        _ => {
            let _turn = Turn::take(fd);
            get(fd)
        }
    };
    if flags == -1 { Err(errno::get()) } else { Ok(flags & libc::O_NONBLOCK != 0) }
}

/// Calls libc's accept(2) for a plain thread, which blocks: again, if it met the moment in which
/// another made `fd` non-blocking.
#[inline]
pub(super) fn undisturbed(fd: c_int, accept: impl Fn() -> c_int) -> c_int {
    loop {
        let quiet = Quiet::begin();
        let result = accept();
        if result != -1 || quiet.held() || !is_disturbed(fd) {
            return result;
        }
    }
}

/// Whether errno is not what the program would have got for `fd`. It is left as it is.
#[cold]
fn is_disturbed(fd: c_int) -> bool {
    // In a child that was forked in such a moment it would seem to last.
    let possible = errno::get() == libc::EAGAIN && rt::is_own_process();
    possible
        && errno::kept(|| {
            is_nonblocking(fd) == Ok(false) && blocked::timeout(fd, Interest::Read).is_none()
        })
}

/// A while in which nobody makes any fd non-blocking, if that is so.
struct Quiet(Option<u64>);

impl Quiet {
    #[inline]
    fn begin() -> Quiet {
        let begun = BEGUN.load(Ordering::SeqCst);
        Quiet((ENDED.load(Ordering::SeqCst) == begun).then_some(begun))
    }

    #[inline]
    fn held(&self) -> bool {
        self.0 == Some(BEGUN.load(Ordering::SeqCst))
    }
}

/// The right to change the flags of a file, whatever fds it has.
struct Turn {
    place: &'static Place,
    _guard: MutexGuard<'static, ()>,
}

struct Place {
    lock: Mutex<()>,
    /// The thread that has it: a signal handler may call in the middle of it.
    owner: AtomicUsize,
}

impl Turn {
    /// `None` for what is no fd, and for a signal handler that has interrupted one.
    fn take(fd: c_int) -> Option<Turn> {
        static PLACES: [Place; 64] =
            [const { Place { lock: Mutex::new(()), owner: AtomicUsize::new(0) } }; 64];
        // SAFETY: all-zero bytes are a valid stat.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the status.
        if errno::kept(|| unsafe { libc::fstat(fd, &mut status) }) == -1 {
            return None;
        }
        let place = &PLACES[status.st_ino as usize % PLACES.len()];
        let own = own_thread();
        if place.owner.load(Ordering::Relaxed) == own {
            return None;
        }
        let guard = place.lock.lock().unwrap_or_else(PoisonError::into_inner);
        place.owner.store(own, Ordering::Relaxed);
        Some(Turn { place, _guard: guard })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place.owner.store(0, Ordering::Relaxed);
    }
}

fn own_thread() -> usize {
    // SAFETY: takes nothing.
    unsafe { libc::pthread_self() as usize }
}

fn get(fd: c_int) -> c_int {
    // SAFETY: asks for the flags of any number.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

fn set(fd: c_int, flags: c_int) {
    // SAFETY: flags that the fd had, with or without O_NONBLOCK, which every file takes.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}

/// How many files were made non-blocking for a call, and how many calls of them have ended.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
