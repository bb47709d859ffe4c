//! What is said of coroutines that wait while they hold a mutex: each pair of places once.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;

use log::Level;

use super::{HeldAs, Lock, Site};
use crate::rt::fiber::Fiber;
use crate::sys::loaded_objects;

/// What one worker has seen.
#[derive(Default)]
pub(super) struct Incidents {
    list: Vec<Incident>,
    seen: Vec<Seen>,
    /// The place of the last lock that was looked at as a whole, and its stack.
    trace: Option<(usize, Backtrace)>,
    /// The place of a lock that shall be.
    untraced: Option<usize>,
}

struct Incident {
    kind: Kind,
    mutex: usize,
    held_as: HeldAs,
    /// Who held the mutex, where it was locked, and where its holder waits.
    holder: Who,
    locked: Site,
    /// The whole stack of a later lock there.
    trace: Option<Backtrace>,
    waits: Option<Backtrace>,
    reported: bool,
}

enum Kind {
    Wait,
    /// Who wanted the mutex, and where.
    Deadlock(Who, Backtrace),
}

/// A cheap guess at a pair of places, so that a stack is not looked at in each wait of a program
/// that waits with a lock again and again.
struct Seen {
    lock: usize,
    depth: usize,
    times: u32,
    incident: usize,
}

impl Incidents {
    /// The incident that `fiber`, which runs, waits while it holds `lock`, and whether it is new.
    pub(in crate::rt) fn wait(&mut self, fiber: &Fiber, lock: &Lock) -> (Option<usize>, bool) {
        let marker = 0u8;
        let depth = fiber.stack().depth(&raw const marker as usize);
        let place = lock.site.0[0];
        let seen = self.seen.iter().position(|seen| seen.lock == place && seen.depth == depth);
        let seen = seen.map(|index| &mut self.seen[index]);
        if let Some(seen) = &seen
            && seen.times >= ENOUGH
            && !lock.traced
        {
            return (Some(seen.incident), false);
        }
        let waits = Backtrace::capture();
        let locked = lock.site.cleaned();
        let known = self.list.iter().position(|incident| {
            let same = incident.waits.as_ref().is_some_and(|other| other.is_same_place(&waits));
            matches!(incident.kind, Kind::Wait) && incident.locked == locked && same
        });
        let index = known.unwrap_or(self.list.len());
        if let Some(seen) = seen {
            (seen.times, seen.incident) = (seen.times + 1, index);
        } else if self.seen.len() < MOST {
            self.seen.push(Seen { lock: place, depth, times: 1, incident: index });
        }
        if let Some(known) = known {
            let incident = &mut self.list[known];
            let trace = self.trace.take_if(|(traced, _)| lock.traced && *traced == place);
            let is_new = incident.trace.is_none() && trace.is_some();
            if let (true, Some((_, trace))) = (is_new, trace) {
                (incident.trace, incident.reported) = (Some(trace), false);
                (incident.mutex, incident.holder) = (lock.address, Who::new(fiber));
            }
            self.untraced = incident.trace.is_none().then_some(place);
            return (Some(known), is_new);
        }
        let added = self.add(Incident {
            kind: Kind::Wait,
            mutex: lock.address,
            held_as: lock.held_as,
            holder: Who::new(fiber),
            locked,
            trace: None,
            waits: Some(waits),
            reported: false,
        });
        self.untraced = added.then_some(place);
        (added.then_some(index), added)
    }

    /// `fiber`, which runs, wants what another coroutine of the worker holds.
    pub(super) fn deadlock(&mut self, fiber: &Fiber, lock: &Lock) {
        let wants = Backtrace::capture();
        let locked = lock.site.cleaned();
        let known = self.list.iter().any(|incident| match &incident.kind {
            Kind::Deadlock(_, other) => incident.locked == locked && other.is_same_place(&wants),
            Kind::Wait => false,
        });
        if !known {
            let wait = lock.incident.and_then(|index| self.list.get(index));
            let waits = wait.and_then(|wait| wait.waits.clone());
            let trace = wait.and_then(|wait| wait.trace.clone());
            self.add(Incident {
                kind: Kind::Deadlock(Who::new(fiber), wants),
                mutex: lock.address,
                held_as: lock.held_as,
                holder: Who::new(lock.fiber()),
                locked,
                trace,
                waits,
                reported: false,
            });
        }
    }

    /// The place of the last wait's lock, if its stack is not known; else what is no place.
    pub(super) fn untraced(&mut self) -> usize {
        self.untraced.take().unwrap_or(usize::MAX)
    }

    /// Keeps the stack of a lock at `place`, which is being noted, for the wait that may follow.
    pub(in crate::rt) fn trace(&mut self, place: usize) {
        self.trace = Some((place, Backtrace::capture()));
    }

    /// The texts that nobody has read yet.
    pub(super) fn unreported(&mut self) -> Vec<(Level, String)> {
        let new = self.list.iter_mut().filter(|incident| !incident.reported);
        new.map(|incident| {
            incident.reported = true;
            let level = match incident.kind {
                Kind::Wait => Level::Warn,
                Kind::Deadlock(..) => Level::Error,
            };
            (level, incident.to_string())
        })
        .collect()
    }

    fn add(&mut self, incident: Incident) -> bool {
        let room = self.list.len() < MOST;
        if room {
            self.list.push(incident);
        }
        room
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
            Kind::Wait => write!(
                f,
                "{holder} waits while it holds the pthread {kind} {mutex:#x}{how}: whoever locks it \
                 waits as long"
            )?,
            Kind::Deadlock(who, wants) => write!(
                f,
                "{who} locks the pthread {kind} {mutex:#x}, which {holder} of the same thread holds{how} \
                 in a wait: a deadlock, were it not suspended until that is free. It locks at{wants}"
            )?,
        }
        let call = || Backtrace::from(self.locked);
        let locked = self.trace.clone().unwrap_or_else(call);
        write!(f, "\n  {holder} locked it at{locked}")?;
        self.waits.iter().try_for_each(|waits| write!(f, "\n  and waits at{waits}"))
    }
}

struct Who {
    name: String,
    id: u64,
}

impl Who {
    fn new(fiber: &Fiber) -> Who {
        Who { name: fiber.name.borrow().as_str().to_owned(), id: fiber.id() }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "coroutine '{}' ({})", self.name, self.id)
    }
}

/// Return addresses, the innermost first.
#[derive(Clone)]
struct Backtrace(Vec<usize>);

impl Backtrace {
    fn capture() -> Backtrace {
        let mut frames = Vec::with_capacity(FRAMES);
        // SAFETY: the function takes the vector that it is given here.
        unsafe { _Unwind_Backtrace(add_frame, (&raw mut frames).cast()) };
        Backtrace(frames)
    }

    fn is_same_place(&self, other: &Backtrace) -> bool {
        self.nearest() == other.nearest()
    }

    /// The frames that tell one place from another: ours, and some of the caller's.
    fn nearest(&self) -> &[usize] {
        &self.0[..self.0.len().min(NEAREST)]
    }
}

impl From<Site> for Backtrace {
    fn from(site: Site) -> Self {
        Backtrace(site.0.into_iter().take_while(|address| *address != 0).collect())
    }
}

/// A line for each, each begun by its own newline.
impl fmt::Display for Backtrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects: Vec<_> = self.0.iter().map(|frame| Place::new(*frame).base).collect();
        // This library's frames within a hook, and those below the coroutine's function, are of no
        // interest where they can be told apart. The hook itself is.
        let own = Place::new(add_frame as *const () as usize).base;
        let first = objects.iter().position(|base| *base != own).unwrap_or(0).saturating_sub(1);
        let last = objects.iter().rposition(|base| *base != own);
        let end = last.filter(|last| *last > first).map_or(self.0.len(), |last| last + 1);
        self.0[first..end].iter().try_for_each(|frame| write!(f, "\n    {}", Place::new(*frame)))
    }
}

unsafe extern "C" fn add_frame(context: *mut c_void, frames: *mut c_void) -> c_int {
    // SAFETY: the vector of `capture`.
    let frames = unsafe { &mut *frames.cast::<Vec<usize>>() };
    // SAFETY: the context of this call.
    let address = unsafe { _Unwind_GetIP(context) };
    if address == 0 || frames.len() == FRAMES {
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
    /// Without what cannot be the address after a call, and all beyond it.
    fn cleaned(self) -> Site {
        let mut site = self;
        let first = (1..4).find(|level| !follows_call(self.0[*level])).unwrap_or(4);
        site.0[first..].fill(0);
        site
    }
}

/// Whether an address is where a call would return to.
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

/// Whether an address is in a segment that is executable.
fn is_code(address: usize) -> bool {
    let code = loaded_objects::find(|object| {
        object.headers.iter().find_map(|header| {
            let code = header.p_type == libc::PT_LOAD && header.p_flags & libc::PF_X != 0;
            (code && object.place(header).contains(&address)).then_some(())
        })
    });
    code.is_some()
}

/// What the dynamic linker knows of a return address.
struct Place {
    address: usize,
    base: usize,
    object: Option<String>,
    function: Option<(String, usize)>,
}

impl Place {
    fn new(address: usize) -> Place {
        // The call, not what follows it: that may be another line.
        let address = address - 1;
        // SAFETY: all-zero bytes are valid.
        let mut info: libc::Dl_info = unsafe { std::mem::zeroed() };
        // SAFETY: any address, and a place for what is known.
        if unsafe { libc::dladdr(address as *const c_void, &mut info) } == 0 {
            return Place { address, base: 0, object: None, function: None };
        }
        let text = |name: *const c_char| {
            // SAFETY: NULL or a C string, by dladdr(3).
            (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) })
        };
        let object = text(info.dli_fname).map(|name| name.to_string_lossy().into_owned());
        let function = text(info.dli_sname).map(|name| (readable(name), info.dli_saddr as usize));
        Place { address, base: info.dli_fbase as usize, object, function }
    }
}

/// As `addr2line -e OBJECT OFFSET` wants it.
impl fmt::Display for Place {
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

/// The name of a function of C++ as it is written, where the C++ run-time library is at hand.
fn readable(name: &CStr) -> String {
    type Demangle =
        unsafe extern "C" fn(*const c_char, *mut c_char, *mut usize, *mut c_int) -> *mut c_char;
    // SAFETY: a C string.
    let symbol = unsafe { libc::dlsym(libc::RTLD_DEFAULT, c"__cxa_demangle".as_ptr()) };
    let mangled = name.to_string_lossy().into_owned();
    if symbol.is_null() {
        return mangled;
    }
    // SAFETY: a symbol of this name is the function that the C++ ABI defines.
    let demangle = unsafe { std::mem::transmute::<*mut c_void, Demangle>(symbol) };
    let (none, mut status) = (std::ptr::null_mut(), 0);
    // SAFETY: a C string, no buffer, a place for the status.
    let text = unsafe { demangle(name.as_ptr(), none, std::ptr::null_mut(), &mut status) };
    if text.is_null() {
        return mangled;
    }
    // SAFETY: a C string on the heap.
    let readable = unsafe { CStr::from_ptr(text) }.to_string_lossy().into_owned();
    // SAFETY: made by malloc, by the C++ ABI.
    unsafe { libc::free(text.cast()) };
    readable
}

/// Pairs of places of which a worker keeps count; what comes later is counted but not told.
const MOST: usize = 32;
/// Looks at the stack at what seems to be one pair of places.
const ENOUGH: u32 = 8;
const FRAMES: usize = 32;
const NEAREST: usize = 12;
/// `_URC_END_OF_STACK` of unwind.h.
const END_OF_STACK: c_int = 5;
