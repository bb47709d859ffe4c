//! Which modules of this crate a module may name, by the first comment of its file:
//! `// What it may call: net, rt.`

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::sources::sources;
use crate::tree::{read, root};

const CONTRACT: &str = "// What it may call:";

/// Returns the modules that each top-level module may name.
pub fn contracts() -> &'static BTreeMap<String, Vec<String>> {
    static CONTRACTS: LazyLock<BTreeMap<String, Vec<String>>> = LazyLock::new(|| {
        let modules = sources().iter().map(|source| source.module.clone());
        modules.map(|module| (module.clone(), contract(&module))).collect()
    });
    &CONTRACTS
}

fn contract(module: &str) -> Vec<String> {
    let mut file = format!("src/{module}/mod.rs");
    if !root().join(&file).is_file() {
        file = format!("src/{module}.rs");
    }
    declared(&read(&file)).unwrap_or_else(|| panic!("{file} has no \"{CONTRACT} ...\""))
}

/// The names in the line, which may go on in the next ones and ends with a full stop.
pub fn declared(text: &str) -> Option<Vec<String>> {
    let (_, after) = text.split_once(CONTRACT)?;
    let said = after.split('.').next()?.replace("\n//", " ");
    let names = said.split(',').map(|name| name.trim().trim_matches('`').to_owned());
    Some(names.filter(|name| name != "nothing").collect())
}
