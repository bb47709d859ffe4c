//! The laws of `docs/architecture.md` that a compiler does not know: who may name whom.
//!
//! They hold for what is shipped: items under `#[cfg(test)]` are left out.

use std::fs;
use std::path::{Path, PathBuf};

/// Each top-level module and the modules of this crate that it may name. Calls go down only; a new
/// module needs a line here.
const LAYERS: &[(&str, &[&str])] = &[
    ("setters", &[]),
    ("slab", &[]),
    ("sys", &[]),
    ("wheel", &[]),
    ("wire", &[]),
    ("rt", &["sys", "wheel"]),
    ("net", &["sys", "rt"]),
    ("sync", &["sys", "rt"]),
    ("pool", &["sys", "rt", "sync"]),
    ("process", &["sys", "rt", "net"]),
    ("http", &["sys", "rt", "net", "sync", "wire"]),
    ("rpc", &["slab", "sys", "rt", "net", "sync", "wire", "http", "process"]),
    ("hook", &["sys", "rt", "pool"]),
    ("ffi", &["rt", "net", "sync", "rpc", "http", "pool", "process", "hook"]),
];

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
    let mut seen = 0;
    for folder in ["src", "cpp", "include"] {
        for file in files(&root().join(folder)) {
            seen += 1;
            let installed = folder == "include" && file.extension().is_some_and(|e| e == "hpp");
            let text = fs::read_to_string(&file).unwrap();
            let includes =
                |l: &str| l.trim_start().starts_with('#') && l.contains("google/protobuf");
            if !installed && text.lines().any(includes) {
                broken.push(file.display().to_string());
            }
        }
    }
    assert!(seen > 0);
    assert_eq!(broken, [] as [String; 0]);
}

#[test]
fn the_laws_can_be_broken() {
    let upwards = |module, code| names_upwards(module, "", &code_of(code));
    assert!(upwards("rt", "use crate::net::Stream;").is_some());
    assert!(upwards("rt", "use crate::{sys::syscall, rpc::{Server, Client}};").is_some());
    assert!(upwards("nowhere", "").is_some());
    assert!(upwards("rpc", "use crate::{net::{Addr, Stream}, rt};").is_none());
    assert!(upwards("rt", "// crate::net is above").is_none());
    assert!(upwards("rt", "macro_rules! m { () => { $crate::rt::f() } }").is_none());

    let side = |file, code| names_other_side("rpc", file, &code_of(code));
    assert!(side("rpc/client/frames.rs", "use crate::rpc::server::Call;").is_some());
    assert!(side("rpc/client/frames.rs", "use crate::rpc::{Error, Server};").is_some());
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

fn names_upwards(module: &str, _file: &str, code: &str) -> Option<String> {
    let Some((_, below)) = LAYERS.iter().find(|(name, _)| *name == module) else {
        return Some(format!("module {module} has no line in LAYERS"));
    };
    let known = |name: &&String| LAYERS.iter().any(|(module, _)| module == name);
    let named = crate_names(code);
    let up = named.iter().filter(known).find(|n| *n != module && !below.contains(&n.as_str()))?;
    Some(format!("{module} names crate::{up}"))
}

/// `rpc/client` and `rpc/server` name neither each other nor what `rpc` has from there.
fn names_other_side(_module: &str, file: &str, code: &str) -> Option<String> {
    let sides = [("rpc/client/", "server"), ("rpc/server/", "client")];
    let (_, other) = sides.into_iter().find(|(folder, _)| file.starts_with(folder))?;
    let face = code_of(&fs::read_to_string(root().join("src/rpc/mod.rs")).unwrap());
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

// ---- reading the sources ------------------------------------------------------------------------

fn broken_by_sources(law: Law) -> Vec<String> {
    let src = root().join("src");
    let files: Vec<PathBuf> =
        files(&src).into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")).collect();
    assert!(files.len() > 1, "no sources below {}", src.display());
    let sources: Vec<(PathBuf, String, Vec<String>)> = files
        .into_iter()
        .map(|path| {
            let (code, tests) = shipped(&code_of(&fs::read_to_string(&path).unwrap()));
            (path, code, tests)
        })
        .collect();
    let tests: Vec<PathBuf> =
        sources.iter().flat_map(|(p, _, tests)| tests.iter().map(|t| child(p, t))).collect();
    let mut broken = Vec::new();
    for (path, code, _) in &sources {
        if tests.iter().any(|t| path.with_extension("").starts_with(t)) {
            continue;
        }
        let file = path.strip_prefix(&src).unwrap().to_str().unwrap();
        let module = file.split('/').next().unwrap().trim_end_matches(".rs");
        if module != "lib" {
            broken.extend(law(module, file, code).map(|what| format!("src/{file}: {what}")));
        }
    }
    broken
}

/// The code without the items under `#[cfg(test)]`, and the names of those that are `mod name;`.
fn shipped(code: &str) -> (String, Vec<String>) {
    const TEST: &str = "#[cfg(test)]";
    let (mut kept, mut modules, mut rest) = (String::new(), Vec::new(), code);
    while let Some(at) = rest.find(TEST) {
        kept.push_str(&rest[..at]);
        let item = &rest[at + TEST.len()..];
        let end = item_end(item);
        if let Some(name) = item[..end].trim().strip_prefix("mod ") {
            modules.extend(name.strip_suffix(';').map(str::to_owned));
        }
        rest = &item[end..];
    }
    kept.push_str(rest);
    (kept, modules)
}

/// Where an item ends: at its semicolon, or behind its last brace.
fn item_end(item: &str) -> usize {
    let mut depth = 0;
    for (at, c) in item.char_indices() {
        match c {
            ';' if depth == 0 => return at + 1,
            '{' => depth += 1,
            '}' => depth -= 1,
            _ => continue,
        }
        if depth == 0 {
            return at + 1;
        }
    }
    item.len()
}

/// Where the module `name` of a file lies, without its extension.
fn child(file: &Path, name: &str) -> PathBuf {
    let folder = file.with_extension("");
    if folder.ends_with("mod") || folder.ends_with("lib") {
        folder.with_file_name(name)
    } else {
        folder.join(name)
    }
}

/// The text without comments, and without the contents of strings except in `extern "C"`.
fn code_of(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        let skip = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            block_comment(rest)
        } else if next == '"' {
            let end = string(rest);
            code.push_str(if code.trim_end().ends_with("extern") { &rest[..end] } else { "\"\"" });
            end
        } else if let Some(end) = raw_string(rest).filter(|_| !code.ends_with(is_word)) {
            code.push_str("\"\"");
            end
        } else if next == '\'' {
            character(rest)
        } else {
            code.push(next);
            next.len_utf8()
        };
        rest = &rest[skip..];
    }
    code
}

fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if text[at..].starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().unwrap().len_utf8();
        }
    }
    at
}

fn string(text: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

fn raw_string(text: &str) -> Option<usize> {
    let after = text.strip_prefix('r')?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    Some(text.len() - body.len() + body.find(&end)? + end.len())
}

/// A character, or the tick of a lifetime.
fn character(text: &str) -> usize {
    let mut chars = text.char_indices().skip(1);
    match chars.next() {
        Some((_, '\\')) => {
            text.char_indices().skip(3).find(|(_, c)| *c == '\'').map(|(at, _)| at + 1)
        }
        _ => chars.next().filter(|(_, c)| *c == '\'').map(|(at, _)| at + 1),
    }
    .unwrap_or(1)
}

/// The modules in `crate::name` and `crate::{name::..., name}`.
fn crate_names(code: &str) -> Vec<String> {
    names_after(code, "crate::")
}

/// What stands first behind `prefix`, alone or in a group.
fn names_after(code: &str, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in code.match_indices(prefix) {
        if code[..at].ends_with(is_word) {
            continue;
        }
        let after = &code[at + prefix.len()..];
        let Some(group) = after.strip_prefix('{') else {
            names.push(first_word(after));
            continue;
        };
        let (mut depth, mut start) = (0, true);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth == 0 => break,
                '}' => depth -= 1,
                ',' if depth == 0 => start = true,
                _ if start && is_word(c) => {
                    names.push(first_word(&group[at..]));
                    start = false;
                }
                _ => {}
            }
        }
    }
    names
}

fn first_word(text: &str) -> String {
    text.chars().take_while(|c| is_word(*c)).collect()
}

/// Whether the code has `path::` or `use path`, as a path of its own.
fn names_path(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = &code[..at];
        let after = &code[at + path.len()..];
        if before.ends_with(is_word) || before.ends_with("::") || after.starts_with(is_word) {
            return false;
        }
        after.trim_start().starts_with("::")
            || before.trim_end().ends_with("use")
            || before.trim_end().ends_with("extern crate")
    })
}

fn has_word(code: &str, word: &str) -> bool {
    code.match_indices(word).any(|(at, _)| {
        !code[..at].ends_with(is_word) && !code[at + word.len()..].starts_with(is_word)
    })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
