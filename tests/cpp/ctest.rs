//! The C and C++ tests as tests of cargo's: configures and builds with CMake what is asked for, in
//! `target/cpp-tests`, and runs each test of ctest's as one of its own.
//!
//!     cargo test -p fastrpc-cpp-tests [--no-default-features] [-- NAME]
//!
//! The libraries are debug builds, which share cargo's work with the Rust tests.

use std::env;
use std::fs::{self, File};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use libtest_mimic::{Arguments, Failed, Trial};
use serde_json::Value;

/// Set in the process that configures: the cmake crate tells a build script's cargo what it does, on
/// standard output, where a list of tests is expected from us.
const CONFIGURE: &str = "FASTRPC_CPP_TESTS_CONFIGURE";

fn main() -> ExitCode {
    if env::var_os(CONFIGURE).is_some() {
        configure();
        return ExitCode::SUCCESS;
    }
    let arguments = Arguments::from_args();
    for program in ["cmake", "ctest", "c++", "protoc"] {
        if Command::new(program).arg("--version").output().is_err() {
            return skip(program);
        }
    }
    let lock = lock();
    let configured = Command::new(env::current_exe().expect("knows itself"))
        .env(CONFIGURE, "1")
        .output()
        .expect("starts");
    if !configured.status.success() {
        eprint!("{}", String::from_utf8_lossy(&configured.stdout));
        eprint!("{}", String::from_utf8_lossy(&configured.stderr));
        return ExitCode::FAILURE;
    }
    let tests = tests();
    let asked_for = tests.iter().filter(|test| matches(&arguments, &test.name));
    if !arguments.list && !build(asked_for) {
        return ExitCode::FAILURE;
    }
    drop(lock);
    let trials =
        tests.into_iter().map(|test| Trial::test(test.name.clone(), move || run(&test.name)));
    libtest_mimic::run(&arguments, trials.collect()).exit_code()
}

/// As in scripts/test: where `scripts/setup --test` has run, a missing program is a failure.
fn skip(program: &str) -> ExitCode {
    eprintln!("skipped: no {program} here: scripts/setup --test installs it");
    ExitCode::from(u8::from(env::var("CI").is_ok_and(|ci| ci == "true")))
}

/// A test of ctest's, and the target that makes its program.
struct Test {
    name: String,
    target: String,
}

fn configure() {
    let hooks = if cfg!(feature = "hook") { "ON" } else { "OFF" };
    let host = format!("{}-unknown-linux-gnu", env::consts::ARCH);
    cmake::Config::new(root())
        .host(&host)
        .target(&host)
        .profile("Debug")
        .out_dir(out())
        .define("FASTRPC_TESTS", "ON")
        .define("FASTRPC_HOOKS", hooks)
        .define("FASTRPC_CARGO_TARGET_DIR", target_dir())
        // Nothing is built yet: which targets are wanted is known when the tests are.
        .build_target("help")
        .build();
}

/// Returns the tests that need neither a sanitizer nor valgrind.
fn tests() -> Vec<Test> {
    let output = Command::new("ctest")
        .args(["--show-only=json-v1", "--label-regex", "^plain$", "--test-dir"])
        .arg(tree())
        .output()
        .expect("ctest starts");
    let all: Value = serde_json::from_slice(&output.stdout).expect("ctest says JSON");
    let commands = commands(&tree());
    let tests = all["tests"].as_array().into_iter().flatten();
    let tests: Vec<Test> = tests.filter_map(|value| test(value, &commands)).collect();
    assert!(!tests.is_empty(), "ctest knows no test in {}", tree().display());
    tests
}

/// ctest's JSON has no command of a program that is not built yet: its file for each folder has.
fn test(value: &Value, commands: &str) -> Option<Test> {
    let name = value["name"].as_str()?.to_owned();
    let after = commands.split_once(&format!("add_test({name} "));
    let after = after.or_else(|| commands.split_once(&format!("add_test([=[{name}]=] ")))?.1;
    let words = after.lines().next()?.split('"').skip(1).step_by(2).map(Path::new);
    // An emulator, or a script that runs several programs, may come first.
    let program = words.into_iter().find(|path| path.starts_with(tree()));
    let target = program.and_then(Path::file_name).map_or("all".into(), |n| n.to_string_lossy());
    Some(Test { name, target: target.into_owned() })
}

/// The files in which CMake tells ctest what the tests of each folder are.
fn commands(folder: &Path) -> String {
    let mut text = fs::read_to_string(folder.join("CTestTestfile.cmake")).unwrap_or_default();
    for entry in fs::read_dir(folder).expect("a folder of the build tree") {
        let path = entry.expect("an entry").path();
        if path.join("CTestTestfile.cmake").is_file() {
            text += &commands(&path);
        }
    }
    text
}

/// Whether libtest's arguments ask for the test.
fn matches(arguments: &Arguments, name: &str) -> bool {
    let is = |wanted: &String| if arguments.exact { name == wanted } else { name.contains(wanted) };
    arguments.filter.as_ref().is_none_or(is) && !arguments.skip.iter().any(is)
}

/// Builds the programs of the tests; says what the compiler said if it fails.
fn build<'a>(tests: impl Iterator<Item = &'a Test>) -> bool {
    let mut targets: Vec<&str> = tests.map(|test| test.target.as_str()).collect();
    targets.sort_unstable();
    targets.dedup();
    if targets.is_empty() {
        return true;
    }
    if targets.contains(&"all") {
        targets = vec!["all"];
    }
    let jobs = std::thread::available_parallelism().map_or(1, |n| n.get());
    let status = Command::new("cmake")
        .arg("--build")
        .arg(tree())
        .args(["--parallel", &jobs.to_string(), "--target"])
        .args(targets)
        .stdout(Stdio::null())
        .status();
    status.expect("cmake starts").success()
}

fn run(name: &str) -> Result<(), Failed> {
    let output = Command::new("ctest")
        .args(["--output-on-failure", "--no-tests=error", "--timeout", "300", "--test-dir"])
        .arg(tree())
        .args(["--tests-regex", &format!("^{name}$")])
        .output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(String::from_utf8_lossy(&output.stdout).into_owned().into())
}

/// One process at a time configures and builds: test runners may start several of us.
fn lock() -> File {
    fs::create_dir_all(out()).expect("a folder below target");
    let file = File::create(out().join("lock")).expect("a file below target");
    // SAFETY: an fd of our own; the lock ends with it.
    assert_eq!(unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX) }, 0);
    file
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().expect("the workspace")
}

fn target_dir() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

fn out() -> PathBuf {
    target_dir().join(if cfg!(feature = "hook") { "cpp-tests" } else { "cpp-tests-no-hooks" })
}

fn tree() -> PathBuf {
    out().join("build")
}
