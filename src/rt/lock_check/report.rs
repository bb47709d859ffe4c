//! Reports of coroutines that wait while they hold a pthread lock: each pair of call sites once.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;

use log::Level;

use super::{HeldAs, Lock, Site};
use crate::rt::fiber::Fiber;
use crate::sys::loaded_objects;

/// The incidents of one worker.
#[derive(Default)]
pub(super) struct Incidents {
    list: Vec<Incident>,
    seen: Vec<Seen>,
    /// The last captured stack of a lock, and the call that it is of.
    trace: Option<(usize, Backtrace)>,
    /// The call of a lock whose stack is to be captured next.
    untraced: Option<usize>,
}

struct Incident {
    kind: IncidentKind,
    mutex: usize,
    held_as: HeldAs,
    /// The coroutine that held the mutex, where it was locked, and where its holder waits.
    holder: CoroutineLabel,
    locked: Site,
    /// The whole stack of a later lock at that site.
    trace: Option<Backtrace>,
    waits: Option<Backtrace>,
    reported: bool,
}

enum IncidentKind {
    Wait,
    /// The coroutine that locks the mutex, and where.
    Deadlock(CoroutineLabel, Backtrace),
}

/// A cheap approximation of a pair of call sites, so that a program that often waits with a lock does
/// not capture a stack each time.
struct Seen {
    lock_call: usize,
    depth: usize,
    times: u32,
    incident: usize,
}

impl Incidents {
    /// Records that `fiber`, which is running, waits while it holds `lock`. Returns the incident and
    /// whether it is new.
    pub(in crate::rt) fn wait(&mut self, fiber: &Fiber, lock: &Lock) -> (Option<usize>, bool) {
        let marker = 0u8;
        let depth = fiber.stack().depth(&raw const marker as usize);
        let call = lock.site.0[0];
        let seen = self.seen.iter().position(|seen| seen.lock_call == call && seen.depth == depth);
        let seen = seen.map(|index| &mut self.seen[index]);
        if let Some(seen) = &seen
            && seen.times >= MAX_CAPTURES
            && !lock.traced
        {
            return (Some(seen.incident), false);
        }
        let waits = Backtrace::capture();
        let locked = lock.site.cleaned();
        let known = self.list.iter().position(|incident| {
            let same = incident.waits.as_ref().is_some_and(|other| other.is_same_site(&waits));
            matches!(incident.kind, IncidentKind::Wait) && incident.locked == locked && same
        });
        let index = known.unwrap_or(self.list.len());
        if let Some(seen) = seen {
            (seen.times, seen.incident) = (seen.times + 1, index);
        } else if self.seen.len() < MAX_INCIDENTS {
            self.seen.push(Seen { lock_call: call, depth, times: 1, incident: index });
        }
        if let Some(known) = known {
            let incident = &mut self.list[known];
            let trace = self.trace.take_if(|(traced, _)| lock.traced && *traced == call);
            let is_new = incident.trace.is_none() && trace.is_some();
            if let (true, Some((_, trace))) = (is_new, trace) {
                (incident.trace, incident.reported) = (Some(trace), false);
                (incident.mutex, incident.holder) = (lock.address, CoroutineLabel::new(fiber));
            }
            self.untraced = incident.trace.is_none().then_some(call);
            return (Some(known), is_new);
        }
        let added = self.add(Incident {
            kind: IncidentKind::Wait,
            mutex: lock.address,
            held_as: lock.held_as,
            holder: CoroutineLabel::new(fiber),
            locked,
            trace: None,
            waits: Some(waits),
            reported: false,
        });
        self.untraced = added.then_some(call);
        (added.then_some(index), added)
    }

    /// Records that `fiber`, which is running, locks what another coroutine of the worker holds.
    pub(super) fn deadlock(&mut self, fiber: &Fiber, lock: &Lock) {
        let locks_at = Backtrace::capture();
        let locked = lock.site.cleaned();
        let known = self.list.iter().any(|incident| match &incident.kind {
            IncidentKind::Deadlock(_, other) => {
                incident.locked == locked && other.is_same_site(&locks_at)
            }
            IncidentKind::Wait => false,
        });
        if !known {
            let wait = lock.incident.and_then(|index| self.list.get(index));
            let waits = wait.and_then(|wait| wait.waits.clone());
            let trace = wait.and_then(|wait| wait.trace.clone());
            self.add(Incident {
                kind: IncidentKind::Deadlock(CoroutineLabel::new(fiber), locks_at),
                mutex: lock.address,
                held_as: lock.held_as,
                holder: CoroutineLabel::new(lock.fiber()),
                locked,
                trace,
                waits,
                reported: false,
            });
        }
    }

    /// Returns the call of the last wait's lock if its stack is not known; else an address that no call
    /// has.
    pub(super) fn untraced(&mut self) -> usize {
        self.untraced.take().unwrap_or(usize::MAX)
    }

    /// Captures the stack of a lock at `call`, which is being recorded, for the wait that may follow.
    pub(in crate::rt) fn trace(&mut self, call: usize) {
        self.trace = Some((call, Backtrace::capture()));
    }

    /// Returns the reports of incidents that were not reported yet.
    pub(super) fn unreported(&mut self) -> Vec<(Level, String)> {
        let new = self.list.iter_mut().filter(|incident| !incident.reported);
        new.map(|incident| {
            incident.reported = true;
            let level = match incident.kind {
                IncidentKind::Wait => Level::Warn,
                IncidentKind::Deadlock(..) => Level::Error,
            };
            (level, incident.to_string())
        })
        .collect()
    }

    fn add(&mut self, incident: Incident) -> bool {
        let has_room = self.list.len() < MAX_INCIDENTS;
        if has_room {
            self.list.push(incident);
        }
        has_room
    }
}

impl fmt::Display for Incident {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Incident { mutex, holder, .. } = self;
        let (kind, how) = match self.held_as {
            HeldAs::Mutex => ("mutex", ""),
            HeldAs::Reader => ("rwlock", " for reading"),
            HeldAs::Writer => ("rwlock", " for writing"),
        };
        match &self.kind {
            IncidentKind::Wait => write!(
                f,
                "{holder} waits while it holds the pthread {kind} {mutex:#x}{how}: whoever locks it \
                 waits as long"
            )?,
            IncidentKind::Deadlock(locker, locks_at) => write!(
                f,
                "{locker} locks the pthread {kind} {mutex:#x}, which {holder} of the same thread holds{how} \
                 in a wait: a deadlock, were it not suspended until that is free. It locks at{locks_at}"
            )?,
        }
        let call = || Backtrace::from(self.locked);
        let locked = self.trace.clone().unwrap_or_else(call);
        write!(f, "\n  {holder} locked it at{locked}")?;
        self.waits.iter().try_for_each(|waits| write!(f, "\n  and waits at{waits}"))
    }
}

/// A coroutine's name and id, as log lines show them.
struct CoroutineLabel {
    name: String,
    id: u64,
}

impl CoroutineLabel {
    fn new(fiber: &Fiber) -> CoroutineLabel {
        CoroutineLabel { name: fiber.name.borrow().as_str().to_owned(), id: fiber.id() }
    }
}

impl fmt::Display for CoroutineLabel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine '{}' ({})", self.name, self.id)
    }
}

/// The return addresses of a stack, innermost first.
#[derive(Clone)]
struct Backtrace(Vec<usize>);

impl Backtrace {
    fn capture() -> Backtrace {
        let mut frames = Vec::with_capacity(MAX_FRAMES);
        // SAFETY: `add_frame` receives the vector that is passed here.
        unsafe { _Unwind_Backtrace(add_frame, (&raw mut frames).cast()) };
        Backtrace(frames)
    }

    fn is_same_site(&self, other: &Backtrace) -> bool {
        self.nearest() == other.nearest()
    }

    /// Returns the frames that distinguish call sites: ours and some of the caller's.
    fn nearest(&self) -> &[usize] {
        &self.0[..self.0.len().min(NEAREST_FRAMES)]
    }
}

impl From<Site> for Backtrace {
    fn from(site: Site) -> Self {
        Backtrace(site.0.into_iter().take_while(|address| *address != 0).collect())
    }
}

/// One line per frame, each begun by a newline.
impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: Vec<_> = self.0.iter().map(|frame| Symbol::new(*frame).base).collect();
        // Leaves out this library's frames inside a hook and those below the coroutine's function, where
        // they can be told apart. Keeps the hook itself.
        let own = Symbol::new(add_frame as *const () as usize).base;
        let first = objects.iter().position(|base| *base != own).unwrap_or(0).saturating_sub(1);
        let last = objects.iter().rposition(|base| *base != own);
        let end = last.filter(|last| *last > first).map_or(self.0.len(), |last| last + 1);
        self.0[first..end].iter().try_for_each(|frame| write!(f, "\n    {}", Symbol::new(*frame)))
    }
}

unsafe extern "C" fn add_frame(context: *mut c_void, frames: *mut c_void) -> c_int {
    // SAFETY: the vector of `capture`.
    let frames = unsafe { &mut *frames.cast::<Vec<usize>>() };
    // SAFETY: the context of this call.
    let address = unsafe { _Unwind_GetIP(context) };
    if address == 0 || frames.len() == MAX_FRAMES {
        return END_OF_STACK;
    }
    frames.push(address);
    0
}

unsafe extern "C" {
    fn _Unwind_Backtrace(
        each: unsafe extern "C" fn(*mut c_void, *mut c_void) -> c_int,
        data: *mut c_void,
    ) -> c_int;
    fn _Unwind_GetIP(context: *mut c_void) -> usize;
}

impl Site {
    /// Cuts off at the first address that is not the return address of a call.
    fn cleaned(self) -> Site {
        let mut site = self;
        let first = (1..4).find(|level| !follows_call(self.0[*level])).unwrap_or(4);
        site.0[first..].fill(0);
        site
    }
}

/// Whether an address follows a call instruction.
fn follows_call(address: usize) -> bool {
    if !is_code(address) || !is_code(address.wrapping_sub(8)) {
        return false;
    }
    // SAFETY: code can be read.
    let bytes = unsafe { ((address - 8) as *const [u8; 8]).read_unaligned() };
    if cfg!(target_arch = "x86_64") {
        // call rel32, or call r/m64 of any length.
        let indirect = |back: usize| bytes[8 - back] == 0xff && bytes[9 - back] >> 3 & 7 == 2;
        bytes[3] == 0xe8 || [2, 3, 4, 6, 7].into_iter().any(indirect)
    } else {
        // bl, or blr.
        let word = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
        word >> 26 == 0x25 || word & 0xffff_fc1f == 0xd63f_0000
    }
}

/// Whether an address is in an executable segment.
fn is_code(address: usize) -> bool {
    let code = loaded_objects::find(|object| {
        object.headers.iter().find_map(|header| {
            let code = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
            (code && object.place(header).contains(&address)).then_some(())
        })
    });
    code.is_some()
}

/// The symbol and object of a return address, as far as the dynamic linker knows them.
struct Symbol {
    address: usize,
    base: usize,
    object: Option<String>,
    function: Option<(String, usize)>,
}

impl Symbol {
    fn new(address: usize) -> Symbol {
        // The call itself: the instruction after it may be of another line.
        let address = address - 1;
        // SAFETY: all-zero bytes are valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: accepts any address; `info` is writable.
        if unsafe { libc::dladdr(address as *const c_void, &mut info) } == 0 {
            return Symbol { address, base: 0, object: None, function: None };
        }
        let text = |name: *const c_char| {
            // SAFETY: NULL or a C string, by dladdr(3).
            (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
        };
        let object = text(info.dli_fname).map(|name| name.to_string_lossy().into_owned());
        let function = text(info.dli_sname).map(|name| (demangle(name), info.dli_saddr as usize));
        Symbol { address, base: info.dli_fbase as usize, object, function }
    }
}

/// In the form of the arguments of `addr2line -e OBJECT OFFSET`.
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.object {
            Some(object) => write!(f, "{object} {:#x}", self.address - self.base)?,
            None => write!(f, "{:#x}", self.address)?,
        }
        if let Some((name, start)) = &self.function {
            write!(f, " {name}+{:#x}", self.address - start)?;
        }
        Ok(())
    }
}

/// Demangles the name of a C++ function, if the C++ run-time library is loaded.
fn demangle(name: &CStr) -> String {
    type Demangle =
        unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char;
    // SAFETY: a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_demangle".as_ptr()) };
    let mangled = name.to_string_lossy().into_owned();
    if symbol.is_null() {
        return mangled;
    }
    // SAFETY: a symbol of this name is the function that the C++ ABI defines.
    let cxa_demangle = unsafe { std::mem::transmute::<*mut c_void, Demangle>(symbol) };
    let (none, mut status) = (std::ptr::null_mut(), 0);
    // SAFETY: a C string, no buffer, and a writable status.
    let text = unsafe { cxa_demangle(name.as_ptr(), none, std::ptr::null_mut(), &mut status) };
    if text.is_null() {
        return mangled;
    }
    // SAFETY: a C string on the heap.
    let demangled = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: allocated by malloc, by the C++ ABI.
    unsafe { libc::free(text.cast()) };
    demangled
}

/// Pairs of call sites that a worker keeps; later ones are counted but not reported.
const MAX_INCIDENTS: usize = 32;
/// Stacks captured at what seems to be one pair of call sites.
const MAX_CAPTURES: u32 = 8;
const MAX_FRAMES: usize = 32;
/// Innermost frames that distinguish call sites.
const NEAREST_FRAMES: usize = 12;
/// `_URC_END_OF_STACK` of unwind.h.
const END_OF_STACK: c_int = 5;
