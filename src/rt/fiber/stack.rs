//! Coroutine stacks: sizes, guards, and the report of an overflow.
//!
//! The engine maps a stack as `[guard page][stack]`. We ask for more and protect the lowest part
//! as well, so that the guard is [`GUARD`] bytes and few frames can step over it, even of C++ that was
//! compiled without stack probes. The guard stays one mapping, so that this costs no further entry of
//! `vm.max_map_count`.

use std::cell::Cell;
use std::io;
use std::sync::OnceLock;

use crate::rt::worker::Worker;
use crate::sys::{self, syscall};

/// The location of a coroutine's stack.
pub(in crate::rt) struct Stack {
    /// The lowest usable byte, above the guard.
    bottom: usize,
    size: usize,
    /// Whether `bottom` is exact. If not, the guard is not widened.
    exact: bool,
    /// The lowest words, in which the engine writes a mark that it checks when the stack is freed.
    mark: Cell<[usize; MARK_WORDS]>,
}

impl Stack {
    /// Returns the stack that contains `marker`, a local variable in the body of a coroutine that was
    /// created with `mapped_size(size)` bytes.
    pub(super) fn enclosing(marker: usize, size: usize) -> Stack {
        // The same body at the same depth: its distance from the top is the same on every stack, so
        // /proc/self/maps is read once.
        static DEPTH: OnceLock<Option<usize>> = OnceLock::new();
        let mapped = mapped_size(size);
        let depth = DEPTH.get_or_init(|| {
            let start = mapping_start(marker)?;
            (start + mapped).checked_sub(marker).filter(|depth| *depth < mapped)
        });
        let top = match depth {
            Some(depth) => marker + depth,
            None => marker.next_multiple_of(page_size()),
        };
        Stack { bottom: top - size, size, exact: depth.is_some(), mark: Cell::default() }
    }

    pub(in crate::rt) fn size(&self) -> usize {
        self.size
    }

    /// Protects the extra part below the stack, and frees the page that holds the engine's mark: half
    /// of an idle coroutine's memory. A failure leaves the engine's own guard page.
    pub(super) fn widen_guard(&self) {
        if self.exact {
            // SAFETY: `extra` is mapped, writable and belongs to this coroutine's stack alone.
            self.mark.set(unsafe { self.extra().cast::<[usize; MARK_WORDS]>().read() });
            // The range holds no frame, and its mark is saved.
            let _ = syscall!(madvise(self.extra(), EXTRA_GUARD, libc::MADV_DONTNEED));
        }
        self.protect_extra(libc::PROT_NONE);
    }

    /// Undoes [`widen_guard`](Stack::widen_guard) before the engine frees the stack.
    pub(super) fn restore_guard(&self) {
        self.protect_extra(libc::PROT_READ | libc::PROT_WRITE);
        if self.exact {
            // SAFETY: as in `widen_guard`.
            unsafe { self.extra().cast::<[usize; MARK_WORDS]>().write(self.mark.get()) };
        }
    }

    /// Frees the memory that calls deeper than the present one have used.
    #[inline(never)]
    pub(in crate::rt) fn give_back_unused(&self) {
        let marker = 0u8;
        // The page below holds the frame of the system call.
        let page = page_size();
        let end = (std::ptr::from_ref(&marker).addr() & !(page - 1)) - page;
        if self.exact && end > self.bottom {
            let unused = self.bottom as *mut libc::c_void;
            // The range is of this coroutine's own stack, below all of its frames.
            let _ = syscall!(madvise(unused, end - self.bottom, libc::MADV_DONTNEED));
        }
    }

    fn extra(&self) -> *mut libc::c_void {
        (self.bottom - EXTRA_GUARD) as *mut libc::c_void
    }

    fn protect_extra(&self, protection: libc::c_int) {
        if self.exact {
            // The range belongs to this coroutine's own stack mapping and holds no frame.
            let _ = syscall!(mprotect(self.extra(), EXTRA_GUARD, protection));
        }
    }

    #[cfg(feature = "hook")]
    pub(in crate::rt) fn contains(&self, address: usize) -> bool {
        (self.bottom..self.bottom + self.size).contains(&address)
    }

    /// Returns the distance of an address on this stack from its top.
    #[cfg(feature = "hook")]
    pub(in crate::rt) fn depth(&self, address: usize) -> usize {
        self.bottom + self.size - address
    }

    fn guard_contains(&self, address: usize) -> bool {
        let slack = if self.exact { 0 } else { page_size() };
        (self.bottom - GUARD..self.bottom + slack).contains(&address)
    }
}

/// Returns the stack size for a request of `bytes`: whole pages, within bounds.
///
/// # Errors
/// `EINVAL` beyond [`MAX_STACK`].
pub(in crate::rt) fn size_class(bytes: usize) -> io::Result<usize> {
    if bytes > MAX_STACK {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    }
    Ok(bytes.max(MIN_STACK).next_multiple_of(page_size()))
}

/// Returns the size to request from the engine for a stack of `size` bytes and a wide guard.
pub(super) fn mapped_size(size: usize) -> usize {
    size + EXTRA_GUARD
}

/// Checks that a stack of `size` bytes can be mapped now.
///
/// # Errors
/// `ENOMEM`.
pub(super) fn probe(size: usize) -> io::Result<()> {
    let length = mapped_size(size) + page_size();
    let protection = libc::PROT_READ | libc::PROT_WRITE;
    let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_STACK;
    // SAFETY: an anonymous mapping at an address of the kernel's choice touches nothing.
    let address = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
    if address == libc::MAP_FAILED {
        return Err(io::Error::from_raw_os_error(libc::ENOMEM));
    }
    // Splitting the mapping takes a further entry of `vm.max_map_count`, as the guard will. The
    // range is inside the mapping made above.
    let guarded = syscall!(mprotect(address, page_size(), libc::PROT_NONE));
    // SAFETY: exactly the mapping made above, which nobody else uses.
    unsafe { libc::munmap(address, length) };
    guarded.map(drop).map_err(|_| io::Error::from_raw_os_error(libc::ENOMEM))
}

/// Returns the start of the mapping that contains `address`.
fn mapping_start(address: usize) -> Option<usize> {
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    maps.lines().find_map(|line| {
        let (start, end) = line.split_once(' ')?.0.split_once('-')?;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (start..end).contains(&address).then_some(start)
    })
}

fn page_size() -> usize {
    static PAGE_SIZE: OnceLock<usize> = OnceLock::new();
    // SAFETY: a query without side effects, which always succeeds.
    *PAGE_SIZE.get_or_init(|| unsafe { libc::sysconf(libc::_SC_PAGESIZE) } as usize)
}

// ---- overflow ----

/// The actions for SIGSEGV and SIGBUS before the engine installed its own.
pub(in crate::rt) struct FaultActions([libc::sigaction; 2]);

impl FaultActions {
    pub(in crate::rt) fn current() -> FaultActions {
        FaultActions(FAULTS.map(|signal| {
            // SAFETY: all-zero bytes are a valid `sigaction`.
            let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
            // Reads the action of a valid signal into a valid variable.
            let _ = syscall!(sigaction(signal, std::ptr::null(), &mut action));
            action
        }))
    }
}

/// Replaces the engine's fault handler, which would print, unwind out of the signal and go on. Ours
/// names the coroutine whose stack overflowed and lets the process die by the original signal.
pub(in crate::rt) fn handle_overflow(original: FaultActions) {
    if ORIGINAL.set(original).is_err() {
        return;
    }
    // SAFETY: all-zero bytes are a valid `sigaction`.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    action.sa_sigaction = on_fault as *const () as libc::sighandler_t;
    for signal in FAULTS {
        // A valid action for a valid signal; the handler keeps to async-signal-safe calls.
        let _ = syscall!(sigaction(signal, &action, std::ptr::null_mut()));
    }
}

extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    context: *mut libc::c_void,
) {
    // SAFETY: the kernel hands SA_SIGINFO handlers a valid siginfo; for these signals it holds
    // the address.
    let address = unsafe { (*info).si_addr() } as usize;
    let fiber = Worker::current().and_then(Worker::running);
    let overflowed = fiber.filter(|fiber| fiber.stack().guard_contains(address));
    if let Some(fiber) = overflowed {
        let mut message = Message::new();
        message.text("fastrpc: stack overflow in coroutine '");
        // The name is not borrowed mutably: the fault came from the coroutine's body.
        message.text(fiber.name.try_borrow().as_ref().map_or("?", |name| name.as_str()));
        message.text("' (id ");
        message.number(fiber.id());
        message.text("): its stack has ");
        message.number((fiber.stack().size() / 1024) as u64);
        message.text(" KiB; give it more with the stack_size option\n");
        message.write();
    }
    let Some(original) = ORIGINAL.get() else { return };
    let index = FAULTS.iter().position(|fault| *fault == signal).unwrap_or(0);
    let action = &original.0[index];
    let is_function = action.sa_sigaction != libc::SIG_DFL && action.sa_sigaction != libc::SIG_IGN;
    if overflowed.is_none() && is_function && action.sa_flags & libc::SA_SIGINFO != 0 {
        // SAFETY: with SA_SIGINFO this is a handler of this type, and it was installed for this
        // signal.
        let handler = unsafe {
            std::mem::transmute::<
                libc::sighandler_t,
                extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void),
            >(action.sa_sigaction)
        };
        return handler(signal, info, context);
    }
    // With the original action restored, the instruction faults again and that action follows.
    let _ = syscall!(sigaction(signal, action, std::ptr::null_mut()));
}

/// Installs an alternate signal stack for the calling worker thread.
pub(in crate::rt) fn install_signal_stack() {
    let memory = Box::leak(vec![0u8; SIGNAL_STACK].into_boxed_slice());
    let stack =
        libc::stack_t { ss_sp: memory.as_mut_ptr().cast(), ss_flags: 0, ss_size: memory.len() };
    // The memory is never freed: workers live as long as the process.
    let _ = syscall!(sigaltstack(&stack, std::ptr::null_mut()));
}

/// A line for standard error, built without allocations or locks.
struct Message {
    bytes: [u8; 256],
    length: usize,
}

impl Message {
    fn new() -> Message {
        Message { bytes: [0; 256], length: 0 }
    }

    fn text(&mut self, text: &str) {
        for byte in text.bytes() {
            if let Some(next) = self.bytes.get_mut(self.length) {
                *next = byte;
                self.length += 1;
            }
        }
    }

    fn number(&mut self, number: u64) {
        if number >= 10 {
            self.number(number / 10);
        }
        let digit = [b'0' + (number % 10) as u8];
        self.text(std::str::from_utf8(&digit).unwrap_or("?"));
    }

    fn write(&self) {
        // SAFETY: bytes of a live array.
        unsafe { sys::c::write(libc::STDERR_FILENO, self.bytes.as_ptr().cast(), self.length) };
    }
}

static ORIGINAL: OnceLock<FaultActions> = OnceLock::new();
const FAULTS: [libc::c_int; 2] = [libc::SIGSEGV, libc::SIGBUS];

/// Inaccessible bytes below each stack, the engine's guard page included. Address space only: what is
/// compiled without stack probes has frames of up to this size caught.
const GUARD: usize = 1024 * 1024;
const EXTRA_GUARD: usize = GUARD - 4096;
/// The words that the engine writes to a new stack.
const MARK_WORDS: usize = 8;
const MIN_STACK: usize = 16 * 1024;
/// The largest stack that may be requested.
pub(in crate::rt) const MAX_STACK: usize = 1 << 30;
const SIGNAL_STACK: usize = 64 * 1024;
