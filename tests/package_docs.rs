//! Documents fit the tree: folders, files, links, kinds of tests, the two READMEs; each source says what it is.

#[path = "common/tree.rs"]
mod tree;

use std::collections::BTreeSet;
use std::path::Path;

use tree::{files, read, root};

const ARCHITECTURE: &str = "docs/architecture.md";

/// Each folder of the tree, and of two levels of `src`, has its line in the picture.
#[test]
fn the_picture_of_the_folders_is_the_tree() {
    let drawn = drawn_folders();
    let wanted: BTreeSet<String> = files(".").iter().flat_map(|file| folders_of(file)).collect();
    let missing: Vec<_> = wanted.difference(&drawn).collect();
    let gone: Vec<_> = drawn.iter().filter(|folder| !root().join(folder).is_dir()).collect();
    assert!(missing.is_empty() && gone.is_empty(), "not drawn: {missing:?}; gone: {gone:?}");
}

/// The folders in the block below the heading: `name/`, indented below the one that it is in.
fn drawn_folders() -> BTreeSet<String> {
    let text = read(ARCHITECTURE);
    let section = text.split("\n## Folders\n").nth(1).expect("a section about the folders");
    let block = section.split("```").nth(1).expect("a picture");
    let mut above: Vec<(usize, String)> = Vec::new();
    let mut drawn = BTreeSet::new();
    for line in block.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        let Some(name) = name.strip_suffix('/') else { continue };
        let depth = line.len() - line.trim_start().len();
        assert!(line.split_whitespace().nth(1).is_some(), "{name}/ has no word about it");
        above.retain(|(of, _)| *of < depth);
        let path = above.last().map_or(name.to_owned(), |(_, above)| format!("{above}/{name}"));
        drawn.insert(path.clone());
        above.push((depth, path));
    }
    drawn
}

/// The folders that a file is in: of `src` two levels, else one.
fn folders_of(file: &Path) -> Vec<String> {
    let file = file.strip_prefix(".").unwrap_or(file);
    let levels = if file.starts_with("src") { 3 } else { 1 };
    let parents = file.ancestors().skip(1).filter(|p| !p.as_os_str().is_empty());
    let near = parents.filter(|parent| parent.components().count() <= levels);
    near.map(|parent| parent.display().to_string()).filter(|path| !path.starts_with('.')).collect()
}

#[test]
fn paths_in_the_table_of_where_to_look_exist() {
    let text = read(ARCHITECTURE);
    let section = text.split("\n## Where to look\n").nth(1).expect("a section");
    let mut seen = 0;
    for line in section.split("\n## ").next().unwrap().lines().filter(|l| l.starts_with('|')) {
        let place = line.trim_end_matches([' ', '|']).rsplit('|').next().unwrap();
        for path in place.split('`').skip(1).step_by(2) {
            assert!(root().join(path).exists(), "{ARCHITECTURE} sends the reader to {path}");
            seen += 1;
        }
    }
    assert!(seen > 20);
}

#[test]
fn links_lead_to_files() {
    let mut seen = 0;
    for file in markdown() {
        // Every second part is a block of code, where `](` may be a lambda.
        let text: String = read(&file).split("```").step_by(2).collect();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let path = target.split('#').next().unwrap();
            if path.is_empty() || path.contains("://") {
                continue;
            }
            let found = root().join(&file).with_file_name(path);
            assert!(found.exists(), "{} links to {target}", file.display());
            seen += 1;
        }
    }
    assert!(seen > 10);
}

fn markdown() -> Vec<std::path::PathBuf> {
    files(".").into_iter().filter(|f| f.extension().is_some_and(|e| e == "md")).collect()
}

/// CONTRIBUTING lists the kinds of tests: what the names of the files in `tests` start with.
#[test]
fn kinds_of_tests_are_listed() {
    let text = read("CONTRIBUTING.md");
    let (_, item) = text.split_once("file starts with its kind:").expect("the list of kinds");
    let item = item.split("\n- ").next().unwrap();
    let listed: BTreeSet<String> = item
        .split('`')
        .skip(1)
        .step_by(2)
        .filter_map(|name| name.strip_suffix('_').map(str::to_owned))
        .collect();
    let tests = files("tests").into_iter().chain(files("codegen/tests"));
    let of_tests = |file: &std::path::PathBuf| file.parent().is_some_and(|p| p.ends_with("tests"));
    let kinds: BTreeSet<String> = tests
        .filter(of_tests)
        .filter(|file| file.extension().is_some_and(|e| e == "rs" || e == "sh"))
        .map(|file| {
            file.file_name().unwrap().to_str().unwrap().split('_').next().unwrap().to_owned()
        })
        .collect();
    assert_eq!(listed, kinds, "CONTRIBUTING.md, and the files in tests");
}

/// The first line of each source is a comment that says what is in it.
#[test]
fn sources_begin_with_what_they_are() {
    let folders =
        ["src", "include", "cpp", "codegen", "tests", "examples", "benches", "scripts", "cmake"];
    let mut silent = Vec::new();
    for file in folders.iter().flat_map(|folder| files(folder)) {
        let kind = file.extension().and_then(|e| e.to_str()).unwrap_or_default();
        let is_source = ["rs", "h", "hpp", "c", "cc", "py", "sh", "cmake"].contains(&kind);
        if !is_source && !file.starts_with("scripts") && !file.ends_with("CMakeLists.txt") {
            continue;
        }
        let text = read(&file);
        let first = text.lines().find(|line| !line.starts_with("#!/")).unwrap_or_default();
        let marks = ["//! ", "// ", "/* ", "# ", "\"\"\""];
        let said = marks.iter().find_map(|mark| first.strip_prefix(mark)).unwrap_or_default();
        if said.trim().len() < 5 {
            silent.push(format!("{}: {first}", file.display()));
        }
    }
    assert!(silent.is_empty(), "no first line says what is in\n{}", silent.join("\n"));
}

/// README.zh-CN.md has the headings of README.md, in number and level, and its very blocks of code.
#[test]
fn the_two_readmes_have_the_same_parts() {
    let (english, chinese) = (parts("README.md"), parts("README.zh-CN.md"));
    for (english, chinese) in english.iter().zip(&chinese) {
        assert_eq!(english, chinese, "README.md, and README.zh-CN.md");
    }
    assert_eq!(english.len(), chinese.len(), "headings, blocks and tables");
}

/// The levels of headings, the blocks of code, and the number of columns of each row of a table.
fn parts(file: &str) -> Vec<String> {
    let text = read(file);
    let mut parts = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if line.starts_with("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            parts.push(format!("{line}\n{}", block.join("\n")));
        } else if line.starts_with('#') {
            parts.push(line.chars().take_while(|c| *c == '#').collect());
        } else if line.starts_with('|') {
            parts.push(format!("{} columns", line.matches('|').count()));
        }
    }
    parts
}
