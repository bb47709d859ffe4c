//! Which modules of this crate a module may name, by the first comment of its file:
//! `// What it may call: net, rt.`

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::sources::sources;
use crate::tree::{read, root};

const CONTRACT: &str = "// What it may call:";

/// The modules without such a line yet, and what they may name.
const OTHERS: &[(&str, &[&str])] = &[
    ("setters", &[]),
    ("slab", &[]),
    ("sys", &[]),
    ("wheel", &[]),
    ("wire", &[]),
    ("net", &["sys", "rt"]),
    ("sync", &["sys", "rt"]),
    ("pool", &["sys", "rt", "sync"]),
    ("process", &["sys", "rt", "net"]),
    ("hook", &["sys", "rt", "pool"]),
];

/// The modules that a module may name; whether its own file says so.
pub struct Contract {
    pub may_call: Vec<String>,
    pub is_declared: bool,
}

/// Returns the contract of each top-level module.
pub fn contracts() -> &'static BTreeMap<String, Contract> {
    static CONTRACTS: LazyLock<BTreeMap<String, Contract>> = LazyLock::new(|| {
        let modules = sources().iter().map(|source| source.module.clone());
        modules.map(|module| (module.clone(), contract(&module))).collect()
    });
    &CONTRACTS
}

fn contract(module: &str) -> Contract {
    let mut file = format!("src/{module}/mod.rs");
    if !root().join(&file).is_file() {
        file = format!("src/{module}.rs");
    }
    if let Some(may_call) = declared(&read(&file)) {
        return Contract { may_call, is_declared: true };
    }
    let Some((_, names)) = OTHERS.iter().find(|(name, _)| *name == module) else {
        panic!("{file} has no line \"{CONTRACT} ...\"");
    };
    Contract { may_call: names.iter().map(|n| n.to_string()).collect(), is_declared: false }
}

/// The names in the line, which may go on in the next ones and ends with a full stop.
pub fn declared(text: &str) -> Option<Vec<String>> {
    let (_, after) = text.split_once(CONTRACT)?;
    let said = after.split('.').next()?.replace("\n//", " ");
    let names = said.split(',').map(|name| name.trim().trim_matches('`').to_owned());
    Some(names.filter(|name| name != "nothing").collect())
}
