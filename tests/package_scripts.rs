//! The scripts, the Makefile and what names them fit each other.

#[path = "common/tree.rs"]
mod tree;

use std::collections::BTreeSet;

use tree::{files, read, root};

/// Commands that are on every Debian machine, or come with Rust.
const EVERYWHERE: &[&str] = &["cargo", "cat", "rustc", "sh"];

#[test]
fn steps_have_a_name_and_a_function() {
    let script = read("scripts/test");
    for step in steps() {
        let function = format!("\nstep_{step}() {{");
        assert!(script.contains(&function), "scripts/test has no function step_{step}");
    }
    for file in files("scripts/steps") {
        let call = format!("{{ {}; }}", file.display());
        let name = file.file_name().unwrap().to_str().unwrap();
        assert!(steps().contains(name), "{} is no step of scripts/test", file.display());
        assert!(script.contains(&call), "scripts/test does not run {}", file.display());
    }
}

#[test]
fn steps_that_are_run_exist() {
    let mut runs = 0;
    for file in ["Makefile", "CONTRIBUTING.md", "README.md", ".ci/run"].map(Into::into) {
        runs += run_steps(&file);
    }
    runs += files("docs").iter().map(run_steps).sum::<usize>();
    runs += files("tests")
        .iter()
        .filter(|f| f.ends_with("CMakeLists.txt"))
        .map(run_steps)
        .sum::<usize>();
    assert!(runs > 1, "nothing runs scripts/test with a step");
}

fn run_steps(file: &std::path::PathBuf) -> usize {
    let text = read(file);
    let mut runs = 0;
    for (at, found) in text.match_indices("scripts/test ") {
        let said = text[at + found.len()..].split(['\n', '`', '.', ',', ';', '#']).next().unwrap();
        let mut names = said.split_whitespace().take_while(|word| is_step(word)).peekable();
        runs += usize::from(names.peek().is_some());
        for name in names {
            assert!(steps().contains(name), "{}: scripts/test has no step {name}", file.display());
        }
    }
    runs
}

/// Whether the word is a step's name, not an option, a placeholder or a sentence's.
fn is_step(word: &str) -> bool {
    !["is", "and", "installs", "has", "runs"].contains(&word)
        && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
}

#[test]
fn make_targets_run_scripts_that_exist() {
    let makefile = read("Makefile");
    let mut runs = 0;
    for line in makefile.lines().filter_map(|line| line.strip_prefix("\t@scripts/")) {
        let script = format!("scripts/{}", line.split_whitespace().next().unwrap());
        assert!(root().join(&script).is_file(), "the Makefile runs {script}");
        runs += 1;
    }
    assert!(runs > 5);
}

#[test]
fn make_targets_that_docs_name_exist() {
    let makefile = read("Makefile");
    for file in ["README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/performance.md"] {
        let text = read(file);
        for (at, found) in text.match_indices("make ") {
            // Only what is typed: in a block, or between backticks.
            if !text[..at].ends_with(['`', '\n']) {
                continue;
            }
            let target = text[at + found.len()..].split(|c: char| !c.is_ascii_lowercase()).next();
            let rule = format!("\n{}:", target.unwrap());
            assert!(makefile.contains(&rule), "{file}: the Makefile has no target{rule}");
        }
    }
}

/// What a step or a test runs is installed by scripts/setup: nothing is there by luck.
#[test]
fn commands_that_tests_need_are_installed() {
    let installed = installed_commands();
    let mut missing = Vec::new();
    for (file, command) in needed_commands() {
        if !installed.contains(&command) && !EVERYWHERE.contains(&command.as_str()) {
            missing.push(format!("{file} needs {command}"));
        }
    }
    assert_eq!(missing, [] as [String; 0], "not in the tables of scripts/setup");
}

/// The commands in the tables of scripts/setup.
fn installed_commands() -> BTreeSet<String> {
    let script = read("scripts/setup");
    let mut commands = BTreeSet::new();
    for (at, _) in script.match_indices("\npackages_").chain(script.match_indices("\ncomponents_"))
    {
        let table = script[at..].split('\'').nth(1).expect("a table in quotes");
        for line in table.lines() {
            commands.extend(line.split_whitespace().skip(1).map(str::to_owned));
        }
    }
    assert!(commands.len() > 10, "scripts/setup has no tables");
    // Programs of PostgreSQL's package that are in no PATH.
    assert!(script.contains("\npostgresql\n"));
    commands.extend(["initdb", "pg_isready", "postgres"].map(str::to_owned));
    commands
}

/// Each command that a script, CMake, Python or a test in Rust looks for, and where.
fn needed_commands() -> BTreeSet<(String, String)> {
    let mut needed = BTreeSet::new();
    let all = files("scripts").into_iter().chain(files("tests")).chain(files("codegen"));
    let kinds = [None, Some("txt"), Some("py"), Some("rs")];
    for file in all.filter(|f| kinds.contains(&f.extension().and_then(|e| e.to_str()))) {
        if file.ends_with("package_scripts.rs") {
            continue;
        }
        // Long lines may go on.
        let text = read(&file).replace("\\\n", " ");
        let mut need = |command: &str| {
            needed.insert((file.display().to_string(), command.to_owned()));
        };
        for line in text.lines().map(str::trim_start) {
            if let Some(commands) = line.strip_prefix("needs ") {
                commands.split_whitespace().for_each(&mut need);
            }
            if let Some(found) = line.strip_prefix("find_program(") {
                found.split([' ', ')']).skip(1).take(1).for_each(&mut need);
            }
        }
        for call in ["Command::new(\"", " find(\"", "[find(\"", "(find(\"", "subprocess.run([\""] {
            for (at, found) in text.match_indices(call) {
                let rest = &text[at + found.len()..];
                rest.split('"').take(1).filter(|name| !name.contains('/')).for_each(&mut need);
            }
        }
    }
    assert!(needed.len() > 20, "only {needed:?}");
    needed
}

fn steps() -> BTreeSet<String> {
    let script = read("scripts/test");
    let table = script.split("\nsteps='").nth(1).expect("a table of steps");
    let table = table.split('\'').next().unwrap();
    table.lines().map(|line| line.split_whitespace().next().unwrap().to_owned()).collect()
}
