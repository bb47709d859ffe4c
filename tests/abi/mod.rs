//! The C header as it is generated: cbindgen's items, in chapters, one for each module of `src/ffi`.

use std::fs;
use std::path::{Path, PathBuf};

/// A file of `src/ffi` whose exports are in the header. Its first line is the chapter's title.
pub struct Module {
    pub path: PathBuf,
    pub text: String,
}

impl Module {
    pub fn title(&self) -> &str {
        let first = self.text.lines().next().unwrap_or_default();
        let title = first.strip_prefix("//! ").and_then(|line| line.strip_suffix('.'));
        title.unwrap_or_else(|| panic!("{}: no title: {first:?}", self.path.display()))
    }

    /// Where the file declares `name`.
    fn position(&self, name: &str) -> Option<usize> {
        let kinds = ["pub struct ", "pub type ", "pub const ", "extern \"C\" fn "];
        kinds.iter().find_map(|kind| {
            let wanted = format!("{kind}{name}");
            self.text.match_indices(&wanted).map(|(at, _)| at).find(|at| {
                let after = self.text[at + wanted.len()..].chars().next();
                !after.is_some_and(|c| c.is_alphanumeric() || c == '_')
            })
        })
    }
}

/// The chapters of the header, in its order: `src/ffi/mod.rs` names them.
pub fn modules() -> Vec<Module> {
    let folder = root().join("src/ffi");
    let text = fs::read_to_string(folder.join("mod.rs")).unwrap();
    let names = text.lines().filter_map(|l| l.strip_prefix("pub mod ")?.strip_suffix(';'));
    let paths = names.map(|name| folder.join(format!("{name}.rs")));
    paths.map(|path| Module { text: fs::read_to_string(&path).unwrap(), path }).collect()
}

/// The header, generated from the sources.
pub fn header() -> String {
    let modules = modules();
    let (mut front, items, back) = split(&generated(&modules));
    let titles = modules.iter().map(Module::title).enumerate();
    let list: String = titles.map(|(i, title)| format!("//  {:2}. {title}\n", i + 1)).collect();
    front = front.replace("// @CHAPTERS@\n", &list).replace("// @EXAMPLE@\n", &example());

    let mut chapters: Vec<Vec<(bool, usize, String)>> = modules.iter().map(|_| vec![]).collect();
    for item in items {
        let name = name(&item);
        let found = modules.iter().enumerate().find_map(|(i, m)| Some((i, m.position(&name)?)));
        let (chapter, at) = found.unwrap_or_else(|| panic!("{name} is declared nowhere"));
        chapters[chapter].push((is_function(&item), at, item));
    }

    let mut text = front;
    for (i, (module, mut items)) in modules.iter().zip(chapters).enumerate() {
        items.sort();
        text += &format!("\n{RULE}\n// {}. {}\n{RULE}\n\n", i + 1, module.title());
        for (_, _, item) in forward_declarations(&text, &items, &modules).into_iter().chain(items) {
            text += &item;
            text += "\n\n";
        }
        text.pop();
    }
    text + "\n" + &back
}

/// A program that is compiled and run as a test, but for its first line.
fn example() -> String {
    let text = fs::read_to_string(root().join("tests/c/test_example.c")).unwrap();
    let lines = text.lines().skip(1).map(|line| format!("//   {line}"));
    lines.map(|line| line.trim_end().to_owned() + "\n").collect()
}

/// The structs that these items name before any text has declared them.
fn forward_declarations(
    text: &str,
    items: &[(bool, usize, String)],
    modules: &[Module],
) -> Option<(bool, usize, String)> {
    let declares = |text: &str, name: &str| {
        text.contains(&format!("typedef struct {name} "))
            || text.contains(&format!("struct {name}; "))
    };
    let mut declared = text.to_owned();
    let mut missing = String::new();
    for (_, _, item) in items {
        for line in item.lines().filter(|line| !line.trim_start().starts_with("//")) {
            for after in line.split("struct ").skip(1) {
                let name = after.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if !declares(&declared, name) && !declares(item, name) && !declares(&missing, name)
                {
                    let chapter = modules.iter().position(|m| m.position(name).is_some()).unwrap();
                    missing += &format!("struct {name}; // chapter {}\n", chapter + 1);
                }
            }
        }
        declared += item;
    }
    missing.pop().map(|_| (false, 0, missing))
}

fn generated(modules: &[Module]) -> String {
    let mut config = cbindgen::Config::from_file(root().join("cbindgen.toml")).unwrap();
    config.header = config.header.map(|text| text.trim().to_owned());
    let mut builder = cbindgen::Builder::new().with_config(config);
    for module in modules {
        builder = builder.with_src(&module.path);
    }
    let mut out = Vec::new();
    builder.generate().expect("cbindgen reads the sources").write(&mut out);
    String::from_utf8(out).unwrap()
}

/// What comes before the items, the items with their comments, what comes after them. In cbindgen's
/// output there is an empty line between any two items, and none inside of one.
fn split(text: &str) -> (String, Vec<String>, String) {
    let (open, close) = (
        "#ifdef __cplusplus\nextern \"C\" {\n#endif // __cplusplus\n\n",
        "#ifdef __cplusplus\n}  // extern \"C\"\n",
    );
    let (types, rest) = text.split_once(open).expect("where functions begin");
    let (functions, after) = rest.split_once(close).expect("where functions end");
    let at = types.rfind("#include ").expect("includes");
    let at = at + types[at..].find('\n').expect("the end of a line") + 1;
    let items = format!("{}\n\n{functions}", types[at..].trim());
    let items = items.split("\n\n").map(|item| item.trim_matches('\n').to_owned());
    let front = format!("{}\n{}", &types[..at], open.trim_end()) + "\n";
    (front, items.filter(|item| !item.is_empty()).collect(), format!("{close}{after}"))
}

/// What an item declares.
fn name(item: &str) -> String {
    let code: String = code(item).collect::<Vec<_>>().join(" ");
    let name = if let Some(macro_) = code.strip_prefix("#define ") {
        macro_.split(' ').next()
    } else if let Some((_, pointer)) =
        code.strip_prefix("typedef ").and_then(|c| c.split_once("(*"))
        && !code.contains('{')
    {
        pointer.split(')').next()
    } else if code.starts_with("typedef ") {
        code.trim_end_matches(';').rsplit(' ').next()
    } else {
        code.split('(').next().and_then(|before| before.rsplit([' ', '*']).next())
    };
    name.unwrap_or_default().to_owned()
}

fn is_function(item: &str) -> bool {
    let first = code(item).next().unwrap_or_default();
    !first.starts_with("typedef ") && !first.starts_with('#')
}

fn code(item: &str) -> impl Iterator<Item = &str> {
    item.lines().filter(|line| !line.starts_with("//"))
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

const RULE: &str = "// ------------------------------------------------------------------------------------------------";
