//! The files of this tree, for the tests that read them.

use std::fs;
use std::path::{Path, PathBuf};

/// Returns the directory of Cargo.toml.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the text of a file.
pub fn read(path: impl AsRef<Path>) -> String {
    let file = root().join(path);
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{}: {e}", file.display()))
}

/// Returns all files of the tree below `folder`, relative to the root, without what builds have made.
pub fn files(folder: &str) -> Vec<PathBuf> {
    let made: Vec<String> =
        read(".gitignore").lines().map(|line| line.trim_start_matches('/').to_owned()).collect();
    let mut found = Vec::new();
    collect(&root().join(folder), &made, &mut found);
    found.sort();
    assert!(!found.is_empty(), "no files below {folder}");
    found
}

fn collect(folder: &Path, made: &[String], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display())) {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if made.iter().any(|made| made == name) || name == ".git" {
            continue;
        }
        if path.is_dir() {
            collect(&path, made, found);
        } else {
            found.push(path.strip_prefix(root()).unwrap().to_owned());
        }
    }
}
