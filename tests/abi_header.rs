//! The committed C header is what the sources say, and the symbol list is what the header says.
//!
//! `FASTRPC_BLESS=1 cargo test --test abi_header` writes both anew.

use std::collections::BTreeSet;
use std::fs;

mod abi;

#[test]
fn header_is_generated_from_the_sources() {
    compare("include/fastrpc/fastrpc.h", &abi::header());
}

#[test]
fn symbol_list_names_every_declared_function() {
    let mut list: String =
        declared_functions(&abi::header()).into_iter().collect::<Vec<_>>().join("\n");
    list.push('\n');
    compare("tests/symbols.txt", &list);
}

#[test]
fn every_export_of_the_sources_is_in_the_header() {
    let declared = declared_functions(&abi::header());
    let mut exports = 0;
    for abi::Module { path, text } in abi::modules() {
        for after in text.split("extern \"C\" fn ").skip(1) {
            let name = after.split(['(', '<']).next().unwrap();
            assert!(declared.contains(name), "{name} of {} is not declared", path.display());
            exports += 1;
        }
        assert_eq!(
            text.matches("#[unsafe(no_mangle)]").count(),
            text.matches("extern \"C\" fn ").count(),
            "{}: each extern \"C\" function is an export",
            path.display()
        );
    }
    assert_eq!(exports, declared.len());
}

/// A function's first line is a sentence that begins with a verb; what it waits for is said.
#[test]
fn every_function_says_what_it_does_and_whether_it_waits() {
    let header = abi::header();
    for (name, doc) in functions_with_docs(&header) {
        let verb = doc.split([' ', ',', ':']).next().unwrap();
        let is_verb = verb.starts_with(|c: char| c.is_ascii_uppercase()) && verb.ends_with('s');
        assert!(is_verb, "{name} does not begin with what it does: {doc}");
        let waits = [
            "may suspend",
            "never suspends",
            "suspends if",
            "blocks.",
            "As fastrpc_",
            "as fastrpc_",
        ];
        assert!(waits.iter().any(|text| doc.contains(text)), "{name}: does it wait? {doc}");
    }
}

/// Documents name what is there: the table of names above all.
#[test]
fn documents_name_what_the_header_has() {
    let header = abi::header();
    let words = |text: &str| -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("fastrpc_")).map(str::to_owned).collect()
    };
    let known = words(&header);
    for file in ["CONTRIBUTING.md", "docs/http.md", "docs/hooks.md"] {
        let text = fs::read_to_string(abi::root().join(file)).unwrap();
        let unknown: Vec<_> = words(&text).into_iter().filter(|w| !known.contains(w)).collect();
        let unknown: Vec<_> = unknown.iter().filter(|word| !word.ends_with('_')).collect();
        assert!(unknown.is_empty(), "{file} names {unknown:?}, which the header lacks");
    }
}

/// The functions that the header declares, and the comment before each, its lines joined.
fn functions_with_docs(header: &str) -> Vec<(String, String)> {
    let declared = declared_functions(header);
    let (mut found, mut doc) = (Vec::new(), String::new());
    for line in header.lines().filter(|line| !line.starts_with(' ')) {
        if let Some(text) = line.strip_prefix("//") {
            doc += text.trim_start();
            doc.push(' ');
            continue;
        }
        let Some((before, _)) = line.split_once('(') else {
            doc.clear();
            continue;
        };
        let name = before.rsplit([' ', '*']).next().unwrap_or_default();
        if declared.contains(name) {
            found.push((name.to_owned(), doc.clone()));
        }
        doc.clear();
    }
    assert_eq!(found.len(), declared.len());
    found
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
    let file = abi::root().join(path);
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
