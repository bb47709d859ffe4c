//! The names of a service's methods in Rust.

use std::collections::HashSet;

/// The names of a method.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Names {
    /// In the trait, and of the blocking call.
    pub(crate) plain: String,
    /// Of the call with a callback.
    pub(crate) with_callback: String,
    /// Of the constant that describes it.
    pub(crate) constant: String,
}

/// Returns the names of methods, given prost's, in the same order. All are different.
pub(crate) fn of_methods<'a>(methods: impl Iterator<Item = &'a str> + Clone) -> Vec<Names> {
    // The client's constructor.
    let mut taken = HashSet::from(["new".to_owned()]);
    let mut free = |mut name: String| {
        while !taken.insert(bare(&name).to_owned()) {
            name = format!("{}_", bare(&name));
        }
        name
    };
    // All plain names first: a method gets its own before another's callback takes it.
    let plain: Vec<String> = methods.map(|name| free(name.to_owned())).collect();
    plain
        .into_iter()
        .map(|plain| {
            let with_callback = free(format!("{}_async", bare(&plain).trim_end_matches('_')));
            let constant = bare(&plain).to_uppercase();
            Names { plain, with_callback, constant }
        })
        .collect()
}

fn bare(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(methods: &[&str]) -> Vec<[String; 3]> {
        of_methods(methods.iter().copied())
            .into_iter()
            .map(|names| [names.plain, names.with_callback, names.constant])
            .collect()
    }

    #[test]
    fn plain_names_stay() {
        assert_eq!(
            names(&["echo", "slow_echo"]),
            [["echo", "echo_async", "ECHO"], ["slow_echo", "slow_echo_async", "SLOW_ECHO"]]
        );
    }

    #[test]
    fn keywords() {
        assert_eq!(
            names(&["r#type", "self_"]),
            [["r#type", "type_async", "TYPE"], ["self_", "self_async", "SELF_"]]
        );
    }

    #[test]
    fn taken_names_get_an_underscore() {
        assert_eq!(
            names(&["echo", "echo", "echo_async", "new"]),
            [
                ["echo", "echo_async_", "ECHO"],
                ["echo_", "echo_async__", "ECHO_"],
                ["echo_async", "echo_async_async", "ECHO_ASYNC"],
                ["new_", "new_async", "NEW_"],
            ]
        );
    }

    #[test]
    fn a_raw_name_is_taken_without_its_prefix() {
        assert_eq!(names(&["r#type", "r#type"])[1][0], "type_");
    }
}
