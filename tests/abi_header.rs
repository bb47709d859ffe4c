//! The committed C header is what the sources say, and the symbol list is what the header says.
//!
//! `FASTRPC_BLESS=1 cargo test --test abi_header` writes both anew.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

#[test]
fn header_is_generated_from_the_sources() {
    compare("include/fastrpc/fastrpc.h", &generate());
}

#[test]
fn symbol_list_names_every_declared_function() {
    let mut list: String =
        declared_functions(&generate()).into_iter().collect::<Vec<_>>().join("\n");
    list.push('\n');
    compare("tests/symbols.txt", &list);
}

#[test]
fn every_export_of_the_sources_is_in_the_header() {
    let declared = declared_functions(&generate());
    let mut exports = 0;
    for file in sources() {
        let text = fs::read_to_string(&file).unwrap();
        for after in text.split("extern \"C\" fn ").skip(1) {
            let name = after.split(['(', '<']).next().unwrap();
            assert!(declared.contains(name), "{name} of {} is not declared", file.display());
            exports += 1;
        }
        assert_eq!(
            text.matches("#[unsafe(no_mangle)]").count(),
            text.matches("extern \"C\" fn ").count(),
            "{}: each extern \"C\" function is an export",
            file.display()
        );
    }
    assert_eq!(exports, declared.len());
}

fn generate() -> String {
    let root = root();
    let mut config = cbindgen::Config::from_file(root.join("cbindgen.toml")).unwrap();
    config.header = config.header.map(|text| text.trim().to_owned());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for file in sources() {
        builder = builder.with_src(file);
    }
    let mut out = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut out);
    String::from_utf8(out).unwrap()
}

/// The files of the C ABI in the order of the header: `src/ffi/mod.rs` names them.
fn sources() -> Vec<PathBuf> {
    let folder = root().join("src/ffi");
    let text = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let names = text.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(|name| folder.join(format!("{name}.rs"))).collect()
}

fn declared_functions(header: &str) -> BTreeSet<String> {
    let code = header.lines().filter(|l| !l.trim_start().starts_with("//"));
    let mut names = BTreeSet::new();
    for line in code {
        if line.starts_with("typedef") || line.starts_with([' ', '#', '}']) {
            continue;
        }
        let Some((before, _)) = line.split_once('(') else { continue };
        let name = before.rsplit([' ', '*']).next().unwrap_or_default();
        if name.starts_with("fastrpc_") {
            names.insert(name.to_owned());
        }
    }
    names
}

fn compare(path: &str, wanted: &str) {
    let file = root().join(path);
    if std::env::var_os("FASTRPC_BLESS").is_some() {
        fs::write(&file, wanted).unwrap();
    }
    let found = fs::read_to_string(&file).unwrap_or_default();
    let line = found.lines().zip(wanted.lines()).position(|(a, b)| a != b);
    assert!(
        found == wanted,
        "{path} differs from the sources (first at line {:?}); FASTRPC_BLESS=1 writes it anew",
        line.map(|l| l + 1)
    );
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
