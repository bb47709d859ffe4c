//! The laws of `docs/architecture.md` that a compiler does not know: who may name whom.
//!
//! They hold for what is shipped: items under `#[cfg(test)]` are left out.

mod layering;
#[path = "common/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use layering::code::{code_of, crate_names, has_word, names_after, names_path};
use layering::contract::{contracts, declared};
use layering::sources::{Source, child, shipped, sources};
use tree::{files, read};

/// Layer 0: formats and structures, without system calls, coroutines or `unsafe`.
const LAYER_0: &[&str] = &["slab", "wheel", "wire"];

/// Test modules of layer 0 that are files of their own; they may read recorded data.
const TEST_FILES: &[&str] = &["/golden.rs", "/properties.rs", "/tests.rs"];

/// Where code is called from C although it is neither `ffi` nor `hook`, and why.
const CALLED_FROM_C: &[(&str, &str)] = &[
    ("rt/lock_check/report.rs", "walks along stacks"),
    ("rt/signal.rs", "a signal handler"),
    ("rt/start.rs", "pthread_atfork calls back"),
    ("rt/fiber/stack.rs", "a signal handler"),
    ("rt/fiber/context.rs", "the C++ runtime's exception state, saved at a switch"),
    ("sys/loaded_objects.rs", "walks along loaded objects"),
    ("sys/raw.rs", "stands in for libc's functions"),
    ("sys/raw_lock.rs", "the same for semaphores and locks"),
    ("sys/raw_rwlock.rs", "the same for readers and writers"),
    ("sys/real.rs", "the types of libc's functions, and a constructor"),
];

#[test]
fn each_module_names_only_those_below_it() {
    assert_eq!(broken_by_sources(names_upwards), [] as [String; 0]);
}

/// A contract that allows what is not done says nothing about the module.
#[test]
fn each_module_names_all_that_it_declares() {
    let mut unused = Vec::new();
    for (module, may_call) in contracts() {
        let of_module = sources().iter().filter(|source| source.module == *module);
        let named: BTreeSet<String> = of_module.flat_map(|s| crate_names(&s.code)).collect();
        let names = may_call.iter().filter(|name| !named.contains(*name));
        unused.extend(names.map(|name| format!("{module} declares {name} and does not name it")));
    }
    assert_eq!(unused, [] as [String; 0]);
}

/// Calls go down only: the contracts make no circle.
#[test]
fn the_modules_are_layers() {
    let mut open: BTreeSet<&String> = contracts().keys().collect();
    while !open.is_empty() {
        let calls_open =
            |name: &&String| contracts()[*name].iter().any(|callee| open.contains(callee));
        let left: BTreeSet<&String> = open.iter().copied().filter(calls_open).collect();
        assert!(left.len() < open.len(), "each of these calls another one of them: {left:?}");
        open = left;
    }
}

#[test]
fn rpc_client_and_server_never_name_each_other() {
    assert_eq!(broken_by_sources(names_other_side), [] as [String; 0]);
}

#[test]
fn only_rt_names_the_engine() {
    assert_eq!(broken_by_sources(names_engine), [] as [String; 0]);
}

#[test]
fn only_ffi_and_hook_face_c() {
    assert_eq!(broken_by_sources(faces_c), [] as [String; 0]);
}

#[test]
fn layer_0_is_pure() {
    assert_eq!(broken_by_sources(impure), [] as [String; 0]);
}

#[test]
fn protobuf_is_named_in_installed_cpp_headers_alone() {
    let mut broken = Vec::new();
    for folder in ["src", "cpp", "include"] {
        for file in files(folder) {
            let installed = folder == "include" && file.extension().is_some_and(|e| e == "hpp");
            let includes =
                |l: &str| l.trim_start().starts_with('#') && l.contains("google/protobuf");
            if !installed && read(&file).lines().any(includes) {
                broken.push(file.display().to_string());
            }
        }
    }
    assert_eq!(broken, [] as [String; 0]);
}

#[test]
fn the_laws_can_be_broken() {
    let upwards = |module, code| names_upwards(module, "", &code_of(code));
    let contract = |text| declared(text).unwrap();
    assert_eq!(contract("//! A.\n\n// What it may call: net,\n// `rt`. Not b.\n"), ["net", "rt"]);
    assert_eq!(contract("// What it may call: nothing.\n"), [] as [String; 0]);
    assert!(declared("//! A module.\n").is_none());

    assert!(upwards("rt", "use crate::net::Stream;").is_some());
    assert!(upwards("rt", "use crate::{sys::syscall, rpc::{Server, Client}};").is_some());
    assert!(upwards("rpc", "use crate::{net::{Addr, Stream}, rt};").is_none());
    assert!(upwards("rt", "// crate::net is above").is_none());
    assert!(upwards("rt", "macro_rules! m { () => { $crate::rt::f() } }").is_none());

    let side = |file, code| names_other_side("rpc", file, &code_of(code));
    assert!(side("rpc/client/frames.rs", "use crate::rpc::server::Call;").is_some());
    assert!(side("rpc/client/frames.rs", "use crate::rpc::{Call, Error};").is_some());
    assert!(side("rpc/server/conn.rs", "use super::super::client;").is_some());
    assert!(side("rpc/server/conn.rs", "use crate::rpc::{Error, io::WriteQueue};").is_none());
    assert!(side("rpc/service.rs", "use super::server::Call;").is_none());

    let engine = |module, code| names_engine(module, "", &code_of(code));
    assert!(engine("net", "use may::net::TcpStream;").is_some());
    assert!(engine("net", "fn f() { generator ::yield_with(1) }").is_some());
    assert!(engine("net", "/* may::net */ fn dismay() { dismay::f(\"may::x\") }").is_none());
    assert!(engine("rt", "use may::coroutine;").is_none());

    let c = |module, file, code| faces_c(module, file, &code_of(code));
    assert!(c("net", "net/mod.rs", "extern \"C\" fn f() {}").is_some());
    assert!(c("rt", "rt/fiber/stack.rs", "extern \"C\" fn on_signal() {}").is_none());
    assert!(c("rt", "rt/fiber/stack.rs", "#[unsafe(no_mangle)] extern \"C\" fn f() {}").is_some());
    assert!(c("ffi", "ffi/mod.rs", "#[unsafe(no_mangle)] extern \"C\" fn f() {}").is_none());

    let pure = |code| impure("wire", "", &code_of(code));
    assert!(pure("fn f() { unsafe { g() } }").is_some());
    assert!(pure("use std::net::TcpStream;").is_some());
    assert!(
        pure("#![forbid(unsafe_code)] const C: [char; 2] = ['\"', '\\'']; // unsafe").is_none()
    );
}

#[test]
fn what_is_under_test_is_left_out() {
    let code = "fn a() {} #[cfg(test)] mod x; fn b() {} #[cfg(test)] mod t { fn c() {} } fn d() {}";
    let (kept, modules) = shipped(code);
    assert_eq!(kept, "fn a() {}  fn b() {}  fn d() {}");
    assert_eq!(modules, ["x"]);
    assert_eq!(child(Path::new("src/wire/mod.rs"), "x"), Path::new("src/wire/x"));
    assert_eq!(child(Path::new("src/wire.rs"), "x"), Path::new("src/wire/x"));
}

// ---- the laws: each says what is wrong with a file, if anything is ------------------------------

type Law = fn(module: &str, file: &str, code: &str) -> Option<String>;

fn broken_by_sources(law: Law) -> Vec<String> {
    let break_it =
        |s: &Source| law(&s.module, &s.file, &s.code).map(|what| format!("src/{}: {what}", s.file));
    sources().iter().filter_map(break_it).collect()
}

fn names_upwards(module: &str, _file: &str, code: &str) -> Option<String> {
    let contracts = contracts();
    let below = &contracts[module];
    let named = crate_names(code);
    let mut modules = named.iter().filter(|name| contracts.contains_key(*name));
    let up = modules.find(|name| *name != module && !below.contains(name))?;
    Some(format!("{module} names crate::{up}"))
}

/// `rpc/client` and `rpc/server` name neither each other nor what `rpc` has from there.
fn names_other_side(_module: &str, file: &str, code: &str) -> Option<String> {
    let sides = [("rpc/client/", "server"), ("rpc/server/", "client")];
    let (_, other) = sides.into_iter().find(|(folder, _)| file.starts_with(folder))?;
    let face = code_of(&read("src/rpc/mod.rs"));
    let exported = names_after(&face, &format!("self::{other}::"));
    assert!(!exported.is_empty(), "rpc exports nothing of its {other}");
    let of_rpc = ["crate::rpc::", "super::super::"];
    let mut named = of_rpc.iter().flat_map(|prefix| names_after(code, prefix));
    let found = named.find(|name| name == other || exported.contains(name))?;
    Some(format!("{file} names {found} of rpc's {other}"))
}

fn names_engine(module: &str, _file: &str, code: &str) -> Option<String> {
    let engine = ["may", "generator"].into_iter().find(|name| names_path(code, name))?;
    (module != "rt").then(|| format!("{module} names {engine}"))
}

fn faces_c(module: &str, file: &str, code: &str) -> Option<String> {
    if ["ffi", "hook"].contains(&module) {
        return None;
    }
    if has_word(code, "no_mangle") || has_word(code, "export_name") {
        return Some(format!("{file} exports a name"));
    }
    let allowed = CALLED_FROM_C.iter().any(|(path, _)| *path == file);
    (code.contains("extern \"C") && !allowed).then(|| format!("{file} has extern \"C\""))
}

fn impure(module: &str, file: &str, code: &str) -> Option<String> {
    let is_test = TEST_FILES.iter().any(|name| file.ends_with(name));
    if !LAYER_0.contains(&module) || is_test {
        return None;
    }
    let code = code.split("#[cfg(test)]\nmod tests {").next().unwrap_or(code);
    let names = ["libc", "may", "std::net", "std::fs", "std::thread", "std::os", "std::process"];
    let name = names.into_iter().find(|name| names_path(code, name));
    let name = name.or_else(|| has_word(code, "unsafe").then_some("unsafe"))?;
    Some(format!("{module} is layer 0 and has {name}"))
}
