//! The version is written in Cargo.toml. What has to repeat it says the same.
//!
//! CMake and pkg-config take it from there: tests/package_install.sh asks the installed package.

use std::fs;

const VERSION: &str = env!("CARGO_PKG_VERSION");
const MAJOR: &str = env!("CARGO_PKG_VERSION_MAJOR");
const MINOR: &str = env!("CARGO_PKG_VERSION_MINOR");
const PATCH: &str = env!("CARGO_PKG_VERSION_PATCH");

#[test]
fn header_macros() {
    let header = read("include/fastrpc/fastrpc.h");
    for (part, value) in [("MAJOR", MAJOR), ("MINOR", MINOR), ("PATCH", PATCH)] {
        let line = format!("#define FASTRPC_VERSION_{part} {value}");
        assert!(header.lines().any(|l| l == line), "fastrpc.h has no line '{line}'");
    }
}

/// They are released together, and name each other's version.
#[test]
fn crates_of_the_workspace() {
    for (file, needs) in [
        ("codegen/Cargo.toml", &[][..]),
        ("codegen/testing/Cargo.toml", &["fastrpc", "fastrpc-build"]),
        ("tests/cpp/Cargo.toml", &[]),
        ("tests/ffi_outside/Cargo.toml", &["fastrpc"]),
        ("examples/rust/Cargo.toml", &["fastrpc", "fastrpc-build"]),
    ] {
        let manifest = read(file);
        let own = format!("version = \"{VERSION}\"");
        assert!(manifest.lines().any(|l| l == own), "{file} does not say '{own}'");
        let rust = format!("rust-version = \"{}\"", env!("CARGO_PKG_RUST_VERSION"));
        assert!(manifest.lines().any(|l| l == rust), "{file} does not say '{rust}'");
        for name in needs {
            let need = format!("{name} = {{ version = \"{VERSION}\", path = ");
            assert!(manifest.contains(&need), "{file} does not say '{need}'");
        }
    }
}

#[test]
fn cmake_has_no_number_of_its_own() {
    let file = read("CMakeLists.txt");
    assert!(file.contains("fastrpc_manifest_value(version fastrpc_version)"));
    assert!(file.contains("project(fastrpc VERSION \"${fastrpc_version}\""));
}

#[test]
fn symbol_version_is_the_major_version() {
    let node = format!("FASTRPC_{MAJOR} {{");
    assert!(read("cmake/fastrpc.map").lines().any(|l| l == node), "no node '{node}'");
}

#[test]
fn changelog_knows_this_version() {
    let heading = format!("## {VERSION}");
    let changelog = read("CHANGELOG.md");
    assert!(changelog.lines().any(|l| l.starts_with(&heading)), "no heading '{heading}'");
}

#[test]
fn what_users_are_told_to_ask_for() {
    for file in ["README.md", "examples/CMakeLists.txt"] {
        let text = read(file);
        let asked: Vec<&str> = text
            .match_indices("find_package(fastrpc ")
            .map(|(at, found)| text[at + found.len()..].split([' ', ')']).next().unwrap())
            .collect();
        assert!(!asked.is_empty(), "{file} has no find_package(fastrpc VERSION ...)");
        for version in asked {
            assert_eq!(version, format!("{MAJOR}.{MINOR}"), "{file}");
        }
    }
    for file in ["README.md", "codegen/src/lib.rs"] {
        for crate_name in ["fastrpc", "fastrpc-build"] {
            let wanted = format!("{crate_name} = \"{MAJOR}.{MINOR}\"");
            assert!(read(file).contains(&wanted), "{file} does not say '{wanted}'");
        }
    }
}

#[test]
fn age_of_rust() {
    let wanted = env!("CARGO_PKG_RUST_VERSION");
    let said = format!("Rust {wanted}");
    assert!(read("README.md").contains(&said), "README.md does not say '{said}'");
}

fn read(path: &str) -> String {
    let file = format!("{}/{path}", env!("CARGO_MANIFEST_DIR"));
    fs::read_to_string(&file).unwrap_or_else(|e| panic!("{file}: {e}"))
}
