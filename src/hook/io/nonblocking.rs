//! Temporary `O_NONBLOCK`: for system calls that have no flag of their own against blocking, the fd is
//! made non-blocking for the length of one call.
//!
//! The flag belongs to the open file, which threads and other fds may share. So those who set it
//! exclude each other, by inode, or one would restore what another has set; and who reads the flag
//! must not take that moment for the program's choice.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use libc::c_int;

use super::sockopt;
use crate::hook::errno;
use crate::rt::{self, Interest};

/// Calls `f` while `fd` is non-blocking, and restores the flags; errno is that of `f`. The second
/// value is true if the program itself had made the fd non-blocking: then the result of `f` is final.
///
/// `f` must not suspend, so that no other coroutine of this worker sees the flag.
pub(super) fn without_blocking<R>(fd: c_int, f: impl FnOnce() -> R) -> (R, bool) {
    let lock = FlagLock::take(fd);
    let flags = get(fd);
    if flags == -1 || flags & libc::O_NONBLOCK != 0 {
        drop(lock);
        return (f(), true);
    }
    BEGUN.fetch_add(1, Ordering::SeqCst);
    set(fd, flags | libc::O_NONBLOCK);
    let result = f();
    errno::kept(|| set(fd, flags));
    ENDED.fetch_add(1, Ordering::SeqCst);
    drop(lock);
    (result, false)
}

/// Whether the program has made `fd` non-blocking.
pub(super) fn is_nonblocking(fd: c_int) -> Result<bool, c_int> {
    let snapshot = Snapshot::take();
    let flags = match get(fd) {
        flags if flags == -1 || flags & libc::O_NONBLOCK == 0 || snapshot.is_valid() => flags,
        _ => {
            let _lock = FlagLock::take(fd);
            get(fd)
        }
    };
    if flags == -1 { Err(errno::get()) } else { Ok(flags & libc::O_NONBLOCK != 0) }
}

/// Calls libc's accept(2) for a plain thread, which blocks, and calls it again if it returned
/// `EAGAIN` only because `fd` was temporarily non-blocking.
#[inline]
pub(super) fn undisturbed(fd: c_int, accept: impl Fn() -> c_int) -> c_int {
    loop {
        let snapshot = Snapshot::take();
        let result = accept();
        if result != -1 || snapshot.is_valid() || !is_disturbed(fd) {
            return result;
        }
    }
}

/// Whether errno is an `EAGAIN` that `fd` would not give by itself. Preserves errno.
#[cold]
fn is_disturbed(fd: c_int) -> bool {
    // In a child that was forked in such a moment the flag stays set, and nobody would clear it.
    let possible = errno::get() == libc::EAGAIN && rt::is_own_process();
    possible
        && errno::kept(|| {
            is_nonblocking(fd) == Ok(false) && sockopt::timeout(fd, Interest::Read).is_none()
        })
}

/// Taken while no fd was temporarily non-blocking, if there was such a moment; valid as long as none
/// has become so since.
struct Snapshot(Option<u64>);

impl Snapshot {
    #[inline]
    fn take() -> Snapshot {
        let begun = BEGUN.load(Ordering::SeqCst);
        Snapshot((ENDED.load(Ordering::SeqCst) == begun).then_some(begun))
    }

    #[inline]
    fn is_valid(&self) -> bool {
        self.0 == Some(BEGUN.load(Ordering::SeqCst))
    }
}

/// The right to change the flags of an open file, by whichever fd.
struct FlagLock {
    shard: &'static Shard,
    _guard: MutexGuard<'static, ()>,
}

/// One lock for the inodes whose numbers it shares.
struct Shard {
    lock: Mutex<()>,
    /// The thread that holds it: a signal handler may interrupt that thread and call in turn.
    owner: AtomicUsize,
}

impl FlagLock {
    /// Returns `None` for an fd that is not open, and in a signal handler that interrupted the
    /// thread which holds the shard.
    fn take(fd: c_int) -> Option<FlagLock> {
        static SHARDS: [Shard; 64] =
            [const { Shard { lock: Mutex::new(()), owner: AtomicUsize::new(0) } }; 64];
        // SAFETY: all-zero bytes are a valid stat.
        let mut status: libc::stat = unsafe { std::mem::zeroed() };
        // SAFETY: a place for the status.
        if errno::kept(|| unsafe { libc::fstat(fd, &mut status) }) == -1 {
            return None;
        }
        let shard = &SHARDS[status.st_ino as usize % SHARDS.len()];
        let own = own_thread();
        if shard.owner.load(Ordering::Relaxed) == own {
            return None;
        }
        let guard = shard.lock.lock().unwrap_or_else(PoisonError::into_inner);
        shard.owner.store(own, Ordering::Relaxed);
        Some(FlagLock { shard, _guard: guard })
    }
}

impl Drop for FlagLock {
    fn drop(&mut self) {
        self.shard.owner.store(0, Ordering::Relaxed);
    }
}

fn own_thread() -> usize {
    // SAFETY: takes no arguments.
    unsafe { libc::pthread_self() as usize }
}

fn get(fd: c_int) -> c_int {
    // SAFETY: any number may be asked about.
    unsafe { libc::fcntl(fd, libc::F_GETFL) }
}

fn set(fd: c_int, flags: c_int) {
    // SAFETY: flags that the fd had, with or without O_NONBLOCK, which every file accepts.
    unsafe { libc::fcntl(fd, libc::F_SETFL, flags) };
}

/// How often a file was made temporarily non-blocking, and how often that has ended.
static BEGUN: AtomicU64 = AtomicU64::new(0);
static ENDED: AtomicU64 = AtomicU64::new(0);
