//! What the Rust programs of the benchmark share; `arguments.hpp` and `setup.hpp` do the same for
//! the C++ programs and explain why.

use std::collections::HashMap;
use std::fmt::Debug;
use std::str::FromStr;

/// Options of the command line, `--name value` or `--name=value`, each with a default.
pub(crate) struct Arguments(HashMap<String, String>);

impl Arguments {
    pub(crate) fn parse(
        words: impl Iterator<Item = String>,
        options: &[(&str, &str)],
    ) -> Arguments {
        let mut values: HashMap<String, String> =
            options.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let mut words = words;
        while let Some(word) = words.next() {
            let option = word.strip_prefix("--").unwrap_or_else(|| fail(&word));
            let (name, value) = match option.split_once('=') {
                Some((name, value)) => (name, value.to_owned()),
                None => (option, words.next().unwrap_or_else(|| fail(&word))),
            };
            *values.get_mut(name).unwrap_or_else(|| fail(&word)) = value;
        }
        Arguments(values)
    }

    pub(crate) fn get<T: FromStr<Err: Debug>>(&self, name: &str) -> T {
        self.0[name].parse().unwrap_or_else(|_| fail(name))
    }
}

/// Pins this process to `core`; -1 means any core. To be called before the first thread is started,
/// so that all threads inherit it.
pub(crate) fn pin_to_core(core: i64) {
    let Ok(core) = usize::try_from(core) else { return };
    // SAFETY: all zeroes is the empty set.
    let mut set: libc::cpu_set_t = unsafe { std::mem::zeroed() };
    // SAFETY: libc checks the index against the size of the set.
    unsafe { libc::CPU_SET(core, &mut set) };
    // SAFETY: `set` lives through the call, and its true size is given.
    let result = unsafe { libc::sched_setaffinity(0, size_of_val(&set), &raw const set) };
    assert_eq!(result, 0, "core {core}: {}", std::io::Error::last_os_error());
}

fn fail<T>(word: &str) -> T {
    eprintln!("not understood: {word}");
    std::process::exit(2)
}
