//! The hook report: which names lead to the hooks, and which loaded objects bypass them.

use std::ffi::{CStr, CString};
use std::fmt::Write;
use std::ops::Range;
use std::slice;

use crate::sys::loaded_objects;

/// Returns a text for people: which libc functions lead to the hooks in this process, and which loaded
/// objects bypass them.
///
/// It comes from the dynamic linker's tables, which do not show system calls made without libc and
/// calls within libc. Calls of an object that binds lazily are listed as not bound until the first one.
pub fn report() -> String {
    let objects = objects();
    let own = report as *const () as usize;
    let Some(own) = objects.iter().find(|object| object.contains(own)) else {
        return "no report: the dynamic linker does not know the object that contains the hooks\n"
            .to_owned();
    };
    if NAMES.iter().all(|name| find(name) == 0) {
        return "statically linked program: all its calls lead to the hooks, except lookups of hosts\n"
            .to_owned();
    }
    let mut hooked = Vec::new();
    let mut others = Vec::new();
    for name in NAMES {
        let address = find(name);
        if address == 0 {
            // Neither this libc nor anybody else defines it, so nobody can call it.
            continue;
        }
        match objects.iter().find(|object| object.contains(address)) {
            Some(object) if object.base == own.base => hooked.push(*name),
            Some(object) => others.push(format!("{name} ({})", object.name())),
            None => others.push(format!("{name} (unknown object)")),
        }
    }
    let mut text = String::new();
    let resolved = if crate::sys::real::is_resolved() { "at load time" } else { "lazily" };
    // Writing to a string cannot fail, here and below.
    let _ = writeln!(text, "hooks in {}; libc's own functions resolved {resolved}", own.name());
    let _ = writeln!(text, "hooked: {}", list(&hooked));
    let _ = writeln!(text, "defined by others: {}", list(&others));
    let mut clean = true;
    for object in objects.iter().filter(|object| object.base != own.base) {
        let (mut bypassed, mut unbound) = (Vec::new(), Vec::new());
        for (name, address) in object.bindings() {
            match objects.iter().find(|other| other.contains(address)) {
                Some(other) if other.base == own.base => {}
                Some(other) if other.base == object.base => unbound.push(name),
                Some(other) => bypassed.push(format!("{name} ({})", other.name())),
                None => unbound.push(name),
            }
        }
        if !bypassed.is_empty() {
            clean = false;
            let _ =
                writeln!(text, "bypassing the hooks: {} calls {}", object.name(), list(&bypassed));
        }
        if !unbound.is_empty() {
            let _ = writeln!(text, "not bound yet: {} calls {}", object.name(), list(&unbound));
        }
    }
    if clean {
        text.push_str("bypassing the hooks: none\n");
    }
    text
}

fn list<T: AsRef<str>>(names: &[T]) -> String {
    if names.is_empty() {
        return "none".to_owned();
    }
    names.iter().map(AsRef::as_ref).collect::<Vec<&str>>().join(" ")
}

/// Returns the address that the dynamic linker gives a program for `name`, or 0.
fn find(name: &str) -> usize {
    let name = CString::new(name).expect("no NUL in it");
    // SAFETY: a C string.
    unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) as usize }
}

/// The program, or a shared library.
struct Object {
    name: String,
    base: usize,
    /// The address ranges of its segments.
    segments: Vec<Range<usize>>,
    dynamic: *const Entry,
}

/// Elf64_Dyn, an entry of the dynamic section.
#[repr(C)]
struct Entry {
    tag: i64,
    value: u64,
}

/// Elf64_Rela.
#[repr(C)]
struct Relocation {
    offset: u64,
    info: u64,
    addend: i64,
}

/// Elf64_Sym.
#[repr(C)]
struct Symbol {
    name: u32,
    info: u8,
    other: u8,
    section: u16,
    value: u64,
    size: u64,
}

impl Object {
    fn contains(&self, address: usize) -> bool {
        self.segments.iter().any(|segment| segment.contains(&address))
    }

    fn name(&self) -> &str {
        if self.name.is_empty() { "the program" } else { &self.name }
    }

    /// Returns the hooked names that it calls, and the addresses to which they are bound.
    fn bindings(&self) -> Vec<(&'static str, usize)> {
        let (Some(symbols), Some(strings)) = (self.pointer(DT_SYMTAB), self.pointer(DT_STRTAB))
        else {
            return Vec::new();
        };
        let tables = [(DT_RELA, DT_RELASZ), (DT_JMPREL, DT_PLTRELSZ)];
        let mut bindings = Vec::new();
        for (table, size) in tables {
            let (Some(table), Some(size)) = (self.pointer(table), self.entry(size)) else {
                continue;
            };
            let count = size as usize / size_of::<Relocation>();
            // SAFETY: the dynamic section names a table of this size in memory that stays mapped.
            let table = unsafe { slice::from_raw_parts(table as *const Relocation, count) };
            for relocation in table {
                let index = (relocation.info >> 32) as usize;
                let kind = relocation.info as u32;
                if index == 0 || !ADDRESS_KINDS.contains(&kind) {
                    continue;
                }
                // SAFETY: the table has a symbol of this index.
                let symbol = unsafe { &*(symbols as *const Symbol).add(index) };
                // SAFETY: a C string in the string table.
                let name = unsafe { CStr::from_ptr((strings + symbol.name as usize) as *const _) };
                let known = NAMES.iter().find(|known| known.as_bytes() == name.to_bytes());
                if let Some(known) = known {
                    let slot = self.base + relocation.offset as usize;
                    // SAFETY: the slot into which the dynamic linker stored the symbol's address.
                    bindings.push((*known, unsafe { *(slot as *const usize) }));
                }
            }
        }
        bindings.sort_unstable();
        bindings.dedup();
        bindings
    }

    fn entry(&self, tag: i64) -> Option<u64> {
        let mut entry = self.dynamic;
        loop {
            // SAFETY: the section ends with an entry of tag 0, at which this stops.
            let current = unsafe { entry.as_ref() }?;
            if current.tag == 0 {
                return None;
            }
            if current.tag == tag {
                return Some(current.value);
            }
            entry = entry.wrapping_add(1);
        }
    }

    /// Returns an entry that is an address. glibc has added the base to it where the section is
    /// writable.
    fn pointer(&self, tag: i64) -> Option<usize> {
        let value = self.entry(tag)? as usize;
        Some(if self.contains(value) { value } else { self.base + value })
    }
}

fn objects() -> Vec<Object> {
    let mut list = Vec::new();
    loaded_objects::find(|object| {
        let dynamic = object.headers.iter().find(|header| header.p_type == libc::PT_DYNAMIC);
        list.push(Object {
            name: object.name.to_string_lossy().into_owned(),
            base: object.base,
            segments: object.segments().collect(),
            dynamic: dynamic.map_or(0, |header| object.place(header).start) as *const Entry,
        });
        None::<()>
    });
    list
}

const DT_PLTRELSZ: i64 = 2;
const DT_STRTAB: i64 = 5;
const DT_SYMTAB: i64 = 6;
const DT_RELA: i64 = 7;
const DT_RELASZ: i64 = 8;
const DT_JMPREL: i64 = 23;

/// The relocation types that store a symbol's address: absolute, GLOB_DAT, JUMP_SLOT.
#[cfg(target_arch = "x86_64")]
const ADDRESS_KINDS: [u32; 3] = [1, 6, 7];
#[cfg(target_arch = "aarch64")]
const ADDRESS_KINDS: [u32; 3] = [257, 1025, 1026];

/// The hooked names, sorted.
const NAMES: &[&str] = &[
    "__close",
    "__connect",
    "__poll",
    "__poll_chk",
    "__ppoll_chk",
    "__read",
    "__read_chk",
    "__recv_chk",
    "__recvfrom_chk",
    "__send",
    "__write",
    "accept",
    "accept4",
    "clock_nanosleep",
    "close",
    "connect",
    "dup2",
    "dup3",
    "epoll_pwait",
    "epoll_pwait2",
    "epoll_wait",
    "getaddrinfo",
    "gethostbyaddr",
    "gethostbyaddr_r",
    "gethostbyname",
    "gethostbyname2",
    "gethostbyname2_r",
    "gethostbyname_r",
    "getnameinfo",
    "nanosleep",
    "poll",
    "ppoll",
    "pselect",
    "pthread_cond_broadcast",
    "pthread_cond_clockwait",
    "pthread_cond_signal",
    "pthread_cond_timedwait",
    "pthread_cond_wait",
    "pthread_mutex_clocklock",
    "pthread_mutex_lock",
    "pthread_mutex_timedlock",
    "pthread_mutex_trylock",
    "pthread_mutex_unlock",
    "pthread_rwlock_clockrdlock",
    "pthread_rwlock_clockwrlock",
    "pthread_rwlock_rdlock",
    "pthread_rwlock_timedrdlock",
    "pthread_rwlock_timedwrlock",
    "pthread_rwlock_tryrdlock",
    "pthread_rwlock_trywrlock",
    "pthread_rwlock_unlock",
    "pthread_rwlock_wrlock",
    "read",
    "readv",
    "recv",
    "recvfrom",
    "recvmmsg",
    "recvmsg",
    "select",
    "sem_clockwait",
    "sem_post",
    "sem_timedwait",
    "sem_wait",
    "send",
    "sendfile",
    "sendfile64",
    "sendmmsg",
    "sendmsg",
    "sendto",
    "sleep",
    "usleep",
    "write",
    "writev",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn the_sources_the_list_of_symbols_and_the_report_agree() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let list = fs::read_to_string(root.join("tests/symbols_hook.txt")).unwrap();
        assert_eq!(list.lines().collect::<Vec<_>>(), NAMES, "sorted by bytes");
        let mut defined = BTreeSet::new();
        for text in sources(&root.join("src/hook")) {
            for item in text.split("#[unsafe(no_mangle)]\n").skip(1) {
                let name = item.split(" fn ").nth(1).unwrap().split('(').next().unwrap();
                assert!(defined.insert(name.to_owned()), "{name} is there twice");
            }
        }
        assert_eq!(defined.iter().map(String::as_str).collect::<Vec<_>>(), NAMES);
    }

    fn sources(folder: &Path) -> Vec<String> {
        let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let text = |path: PathBuf| match path.is_dir() {
            true => sources(&path),
            false => vec![fs::read_to_string(path).unwrap()],
        };
        paths.flat_map(text).collect()
    }

    #[test]
    fn this_program_is_hooked() {
        let report = report();
        let hooked = report.lines().find_map(|line| line.strip_prefix("hooked: ")).unwrap();
        // glibc lacks some on some machines.
        let names: Vec<_> = NAMES.iter().copied().filter(|name| find(name) != 0).collect();
        assert!(names.contains(&"read") && names.len() + 2 > NAMES.len(), "{names:?}");
        assert_eq!(hooked.split(' ').collect::<Vec<_>>(), names, "{report}");
        assert!(report.contains("defined by others: none\n"), "{report}");
    }
}
