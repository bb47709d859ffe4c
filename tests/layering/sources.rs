//! The sources of the library, without what is compiled for tests alone.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use super::code::code_of;
use crate::tree::{files, read};

/// A file of `src`: the module that it is of, its path below `src`, and its code.
pub struct Source {
    pub module: String,
    pub file: String,
    pub code: String,
}

/// Returns all that is shipped, except for `lib.rs`.
pub fn sources() -> &'static [Source] {
    static SOURCES: LazyLock<Vec<Source>> = LazyLock::new(read_all);
    &SOURCES
}

fn read_all() -> Vec<Source> {
    let mut tests = Vec::new();
    let mut sources = Vec::new();
    for path in files("src").into_iter().filter(|f| f.extension().is_some_and(|e| e == "rs")) {
        let (code, test_modules) = shipped(&code_of(&read(&path)));
        tests.extend(test_modules.iter().map(|name| child(&path, name)));
        let file = path.strip_prefix("src").unwrap().to_str().unwrap().to_owned();
        let module = file.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        sources.push(Source { module, file, code });
    }
    let is_test = |source: &Source| {
        let path = Path::new("src").join(&source.file).with_extension("");
        tests.iter().any(|test: &PathBuf| path.starts_with(test))
    };
    sources.retain(|source| source.module != "lib" && !is_test(source));
    assert!(sources.len() > 1, "no sources below src");
    sources
}

/// The code without the items under `#[cfg(test)]`, and the names of those that are `mod name;`.
pub fn shipped(code: &str) -> (String, Vec<String>) {
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
pub fn child(file: &Path, name: &str) -> PathBuf {
    let folder = file.with_extension("");
    if folder.ends_with("mod") || folder.ends_with("lib") {
        folder.with_file_name(name)
    } else {
        folder.join(name)
    }
}
