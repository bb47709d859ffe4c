//! One list of options, and its mirrors: what Rust can set and count, C has too, and what the texts
//! call the default is the default.
#![cfg(feature = "capi")]

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fs;
use std::mem::size_of;
use std::path::Path;

use fastrpc::ffi;

/// A struct of C and the structs of Rust whose fields it has: the folder of each, its name, and what
/// its fields' names begin with in C.
struct Mirror {
    c: &'static str,
    rust: &'static [(&'static str, &'static str, &'static str)],
    /// Fields that only one side has, and why.
    exempt: &'static [(&'static str, &'static str)],
    /// The struct as its _init function leaves it.
    defaults: Option<fn() -> Vec<u8>>,
}

const SIZE: (&str, &str) = ("size", "lets the struct grow");
const RESERVED: (&str, &str) = ("reserved", "fills a gap");

macro_rules! defaults {
    ($struct:path, $init:path) => {
        Some(|| {
            let mut bytes = vec![0; size_of::<$struct>()];
            let pointer: *mut c_void = bytes.as_mut_ptr().cast();
            // SAFETY: as many bytes are writable; _init functions write bytes, aligned or not.
            unsafe { $init(pointer.cast(), bytes.len()) };
            bytes
        })
    };
}

const MIRRORS: &[Mirror] = &[
    Mirror {
        c: "fastrpc_runtime_options",
        rust: &[("rt", "Options", "")],
        exempt: &[SIZE, RESERVED],
        defaults: defaults!(
            ffi::runtime::fastrpc_runtime_options,
            ffi::runtime::fastrpc_runtime_options_init
        ),
    },
    Mirror {
        c: "fastrpc_pool_options",
        rust: &[("pool", "Options", "")],
        exempt: &[SIZE, ("name_size", "is within a str")],
        defaults: defaults!(ffi::pool::fastrpc_pool_options, ffi::pool::fastrpc_pool_options_init),
    },
    Mirror {
        c: "fastrpc_prefork_options",
        rust: &[("process", "Options", "")],
        exempt: &[SIZE],
        defaults: defaults!(
            ffi::process::fastrpc_prefork_options,
            ffi::process::fastrpc_prefork_options_init
        ),
    },
    Mirror {
        c: "fastrpc_server_options",
        rust: &[
            ("server", "ServerOptions", ""),
            ("rpc", "Options", ""),
            ("http", "Options", "http_"),
        ],
        exempt: &[SIZE, ("rpc", "its fields stand for it"), ("http", "its fields stand for it")],
        defaults: defaults!(
            ffi::server::fastrpc_server_options,
            ffi::server::fastrpc_server_options_init
        ),
    },
    Mirror {
        c: "fastrpc_client_options",
        rust: &[("rpc", "ClientOptions", "")],
        exempt: &[SIZE, RESERVED],
        defaults: defaults!(
            ffi::client::fastrpc_client_options,
            ffi::client::fastrpc_client_options_init
        ),
    },
    Mirror {
        c: "fastrpc_call_options",
        rust: &[("rpc", "CallOptions", "")],
        exempt: &[
            SIZE,
            RESERVED,
            ("request_id_size", "is within a str"),
            ("attachment_size", "is within a slice"),
            ("fill", "Rust encodes before it calls"),
            ("fill_user", "as fill"),
        ],
        defaults: defaults!(
            ffi::client_call::fastrpc_call_options,
            ffi::client_call::fastrpc_call_options_init
        ),
    },
    Mirror {
        c: "fastrpc_reply_options",
        rust: &[("rpc", "ReplyOptions", "")],
        exempt: &[
            SIZE,
            RESERVED,
            ("attachment_size", "is within a slice"),
            ("fill", "Rust encodes before it replies"),
            ("fill_user", "as fill"),
        ],
        defaults: defaults!(
            ffi::reply::fastrpc_reply_options,
            ffi::reply::fastrpc_reply_options_init
        ),
    },
    Mirror {
        c: "fastrpc_spawn_options",
        rust: &[("rt", "Builder", "")],
        exempt: &[SIZE, ("name_size", "is within a str")],
        defaults: defaults!(
            ffi::coroutine::fastrpc_spawn_options,
            ffi::coroutine::fastrpc_spawn_options_init
        ),
    },
    Mirror {
        c: "fastrpc_pool_stats",
        rust: &[("pool", "Stats", "")],
        exempt: &[SIZE],
        defaults: None,
    },
    Mirror {
        c: "fastrpc_server_stats",
        rust: &[("", "ServerStats", "")],
        exempt: &[SIZE],
        defaults: None,
    },
    Mirror {
        c: "fastrpc_client_stats",
        rust: &[("rpc", "ClientStats", "")],
        exempt: &[SIZE],
        defaults: None,
    },
    Mirror {
        c: "fastrpc_stop_report",
        rust: &[("", "StopReport", "")],
        exempt: &[SIZE],
        defaults: None,
    },
];

/// Options whose default C++ writes down, and why.
const LITERALS: &[(&str, &str)] = &[
    ("ServerOptions::destructor_grace", "C has no destructors"),
    ("CallOptions::log_id", "0 is no number"),
];

#[test]
fn c_has_each_field_of_rust_and_no_other() {
    for mirror in MIRRORS {
        let c: Vec<_> = c_fields(mirror.c).into_iter().map(|field| field.name).collect();
        let mut rust = Vec::new();
        for &(folder, name, prefix) in mirror.rust {
            rust.extend(
                rust_fields(folder, name).into_iter().map(|f| format!("{prefix}{}", f.name)),
            );
        }
        let exempt = |name: &String| mirror.exempt.iter().any(|(known, _)| known == name);
        for field in rust.iter().filter(|field| !exempt(field)) {
            assert!(c.contains(field), "{} has no {field}, which Rust has", mirror.c);
        }
        for field in c.iter().filter(|field| !exempt(field)) {
            assert!(rust.contains(field), "Rust has no {field}, which {} has", mirror.c);
        }
        for (field, _) in mirror.exempt {
            let of = [&c, &rust].map(|fields| fields.iter().any(|name| name == field));
            assert!(of[0] != of[1], "{field} of {} needs no exemption", mirror.c);
        }
    }
}

#[test]
fn texts_tell_the_defaults() {
    let mut compared = 0;
    for mirror in MIRRORS {
        let Some(defaults) = mirror.defaults else { continue };
        let bytes = defaults();
        let fields = c_fields(mirror.c);
        let values = values(&fields, &bytes);
        for field in &fields {
            let told = compare(mirror.c, field, &values, &field.name);
            let is_option = !["size", "reserved", "fill_user"].contains(&&*field.name);
            assert!(told == 1 || !is_option, "{}.{}: which default?", mirror.c, field.name);
            compared += told;
        }
        for &(folder, name, prefix) in mirror.rust {
            for field in rust_fields(folder, name).iter().filter(|field| field.is_public) {
                let of = format!("{prefix}{}", field.name);
                if values.contains_key(&of) {
                    compared += compare(&format!("{folder}::{name}"), field, &values, &of);
                }
            }
        }
    }
    assert!(compared > 60, "only {compared} defaults were compared");
}

/// C++ reads defaults from C, so that a field that it does not name cannot be set or seen.
#[test]
fn cpp_has_each_field_of_c() {
    let mut missing = Vec::new();
    for mirror in MIRRORS {
        let files = cpp_headers();
        let files: Vec<_> = files.iter().filter(|text| text.contains(mirror.c)).collect();
        for field in c_fields(mirror.c).iter().filter(|f| !["size", "reserved"].contains(&&*f.name))
        {
            let named = format!(".{}", field.name);
            let is_named = |text: &&String| {
                let mut after = text.split(&named).skip(1);
                after.any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
            };
            if !files.iter().any(is_named) {
                missing.push(format!("{}.{}", mirror.c, field.name));
            }
        }
    }
    assert_eq!(missing, [] as [String; 0], "no C++ header names these");
}

/// A default that C++ wrote down itself would go its own way.
#[test]
fn options_of_cpp_have_no_literals() {
    let mut found = Vec::new();
    for text in cpp_headers() {
        for options in text.split("\nstruct ").skip(1) {
            let (name, after) = options.split_once([' ', ';']).unwrap();
            if !name.ends_with("Options") {
                continue;
            }
            let body = after.split("\n};").next().unwrap();
            let code: String = body.lines().filter(|l| !l.trim_start().starts_with("//")).collect();
            for field in code.split(';').filter(|field| field.contains('=')) {
                let (left, value) = field.split_once('=').unwrap();
                let field = format!("{name}::{}", left.trim().rsplit(' ').next().unwrap());
                let value = value.replace("!= 0", "");
                let is_literal = value.contains(|c: char| c.is_ascii_digit())
                    || ["true", "false"].contains(&value.trim());
                if is_literal && !LITERALS.iter().any(|(known, _)| *known == field) {
                    found.push(field);
                }
            }
        }
    }
    assert_eq!(found, [] as [String; 0], "defaults come from the _options_init functions of C");
}

#[test]
fn texts_are_read() {
    let number = |number| Some(Told::Number(number));
    assert_eq!(default_of("Beyond, 431. Default 32 KiB."), number(32 << 10));
    assert_eq!(default_of("Default 50 ms; it doubles"), number(50_000_000));
    assert_eq!(default_of("Default 0: as the options say."), number(0));
    assert_eq!(default_of("Is off if below 0. Default -1: the own."), number(-1));
    assert_eq!(default_of("How many may wait; 10,000 by default."), number(10_000));
    assert_eq!(
        default_of("Ends, with 2; 15 seconds by default, more than"),
        number(15_000_000_000)
    );
    assert_eq!(default_of("Default: the number of processors."), Some(Told::Processors));
    assert_eq!(default_of("What names begin with. Default \"pool\"."), Some(Told::Text));
    assert_eq!(default_of("Passed to `fill`."), None);
}

/// Compares what the text of a field tells. Returns how many defaults that were: one, or none.
fn compare(of: &str, field: &Field, values: &BTreeMap<String, i64>, name: &str) -> usize {
    let Some(told) = default_of(&field.text) else { return 0 };
    let wanted = values[name];
    let same = match told {
        Told::Number(number) => number == wanted,
        Told::Text => true,
        Told::Processors => {
            wanted == std::thread::available_parallelism().map_or(1, |n| n.get() as i64)
        }
    };
    assert!(same, "{of}.{}: it is {wanted}, the text tells {told:?}", field.name);
    1
}

#[derive(Debug)]
struct Field {
    name: String,
    kind: String,
    text: String,
    is_public: bool,
}

#[derive(Debug, PartialEq)]
enum Told {
    /// A number, a time in nanoseconds, a switch.
    Number(i64),
    /// What no number can say.
    Text,
    Processors,
}

/// What a text calls the default: `Default 64 MiB.` or `64 MiB by default`.
fn default_of(text: &str) -> Option<Told> {
    let told = if let Some((_, after)) = text.split_once("Default") {
        after.trim_start_matches([':', ' '])
    } else if text.contains("By default ") {
        return Some(Told::Text);
    } else {
        let (before, after) = text.split_once("by default")?;
        let ends = |text: &str| text.rfind(['.', ';']).map_or(0, |at| at + 1);
        let before = before[ends(before)..].trim();
        if before.is_empty() { after.trim_start() } else { before }
    };
    value(told)
}

fn value(told: &str) -> Option<Told> {
    let mut words = told.split([' ', ';', ':']).map(|word| word.trim_end_matches(['.', ',']));
    let first = words.next()?.replace(',', "");
    let unit = words.next().unwrap_or_default();
    if told.contains("processor") {
        return Some(Told::Processors);
    }
    let number = match &*first {
        "none" | "NULL" | "false" | "FASTRPC_COMPRESS_NONE" | "FASTRPC_PROTOCOL_BAIDU_STD" => 0,
        "baidu_std" => 0,
        "true" => 1,
        "off" => -1,
        quoted if quoted.starts_with('"') => return Some(Told::Text),
        number => number.parse::<i64>().ok()?,
    };
    let scale = match unit {
        "ms" => 1_000_000,
        "s" | "seconds" => 1_000_000_000,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        _ => 1,
    };
    Some(Told::Number(number * scale))
}

/// The fields of a struct of the header.
fn c_fields(name: &str) -> Vec<Field> {
    let header = fs::read_to_string(root().join("include/fastrpc/fastrpc.h")).unwrap();
    let (_, after) = header.split_once(&format!("typedef struct {name} {{\n")).expect(name);
    let (body, _) = after.split_once("\n}").expect(name);
    fields(body, "// ", |line| {
        let (kind, name) = line.trim_end_matches(';').rsplit_once([' ', '*'])?;
        Some((name.to_owned(), if line.contains('*') { "pointer" } else { kind }.to_owned(), true))
    })
}

/// The fields of a struct of the crate: those that are public, and of a builder all.
fn rust_fields(folder: &str, name: &str) -> Vec<Field> {
    let start = format!("pub struct {name}");
    let is_builder = name == "Builder";
    let mut found = Vec::new();
    visit(&root().join("src").join(folder), &mut |text| {
        for (at, _) in text.match_indices(&start) {
            let after = &text[at + start.len()..];
            if after.starts_with([' ', '<']) {
                let (_, body) = after.split_once("{\n").expect(name);
                found.push(body.split_once("\n}").expect(name).0.to_owned());
            }
        }
    });
    assert_eq!(found.len(), 1, "{folder} has one {name}");
    fields(&found[0], "/// ", |line| {
        let is_public = line.starts_with("pub ");
        let (name, kind) =
            line.trim_start_matches("pub ").trim_end_matches(',').split_once(": ")?;
        let is_field = is_public || is_builder && !line.starts_with("pub(");
        is_field.then(|| (name.to_owned(), kind.to_owned(), is_public))
    })
}

fn fields(
    body: &str,
    comment: &str,
    read: impl Fn(&str) -> Option<(String, String, bool)>,
) -> Vec<Field> {
    let (mut fields, mut text) = (Vec::new(), String::new());
    for line in body.lines().map(str::trim) {
        if let Some(more) = line.strip_prefix(comment) {
            text += &format!("{more} ");
        } else if let Some((name, kind, is_public)) = read(line) {
            fields.push(Field { name, kind, text: std::mem::take(&mut text), is_public });
        } else {
            text.clear();
        }
    }
    fields
}

/// What the fields hold: numbers as they are, pointers as whether there is one.
fn values(fields: &[Field], bytes: &[u8]) -> BTreeMap<String, i64> {
    let mut values = BTreeMap::new();
    let mut at = 0_usize;
    for field in fields {
        let size = match &*field.kind {
            "int32_t" => 4,
            "size_t" | "uint64_t" | "int64_t" | "pointer" | "fastrpc_fill_function" => 8,
            other => panic!("{}: how large is a {other}?", field.name),
        };
        at = at.next_multiple_of(size);
        let value = match size {
            4 => i32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap()).into(),
            _ => i64::from_ne_bytes(bytes[at..at + 8].try_into().unwrap()),
        };
        values.insert(field.name.clone(), value);
        at += size;
    }
    assert_eq!(at.next_multiple_of(8), bytes.len(), "the layout of {fields:?}");
    values
}

/// The installed C++ headers, but for those of the original's names.
fn cpp_headers() -> Vec<String> {
    let folder = root().join("include/fastrpc");
    let mut texts = Vec::new();
    for folder in [folder.clone(), folder.join("detail")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|e| e == "hpp") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts
}

fn visit(path: &Path, f: &mut dyn FnMut(&str)) {
    for entry in fs::read_dir(path).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            visit(&path, f);
        } else if path.extension().is_some_and(|e| e == "rs") {
            f(&fs::read_to_string(&path).unwrap());
        }
    }
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}
