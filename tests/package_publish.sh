#!/bin/bash
# tests/package_publish.sh
#
# Publishes each crate as far as that goes without uploading it: packages it, builds the package with
# all features, and looks for what its users need. Without a network, cargo works on what it has.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit

log=$ROOT/build/logs/publish.log
mkdir -p "$(dirname "$log")"

main() {
    listed_paths_exist
    publish fastrpc --features capi,hook
    contains fastrpc src/lib.rs cpp/callback.cc cpp/callback.h build.rs include/fastrpc/fastrpc.h \
        include/fastrpc/fastrpc.hpp README.md CHANGELOG.md LICENSE-MIT LICENSE-APACHE
    lacks fastrpc tests/ benches/ fuzz/ scripts/ .ci/
    publish fastrpc-build
    contains fastrpc-build src/lib.rs README.md LICENSE-MIT LICENSE-APACHE
    say "both crates could be published"
}

# What Cargo.toml lists for the package is there: a name that is not is ignored silently.
listed_paths_exist() {
    local path
    while read -r path; do
        [[ -e ./$path ]] || die "Cargo.toml includes '$path', which does not exist"
    done < <(sed -n '/^include = \[/,/^\]/s/^ *"\(.*\)",*$/\1/p' Cargo.toml)
}

publish() {
    local crate=$1
    shift
    say "packaging $crate"
    # The index is needed to publish; what cargo has already is enough to package.
    if ! cargo publish --dry-run --allow-dirty -p "$crate" "$@" >"$log" 2>&1; then
        if grep -qE 'failed to (download|fetch|query)|Could not resolve|network' "$log"; then
            warn "no registry: packaging $crate offline"
            quietly "$log" cargo package --offline --allow-dirty -p "$crate" "$@"
        else
            tail -n 40 "$log" >&2
            die "failed: cargo publish --dry-run -p $crate (all of its output: ${log#"$ROOT/"})"
        fi
    fi
}

files() { cargo package --list --allow-dirty -p "$1" 2>/dev/null; }

contains() {
    local crate=$1 list path
    shift
    list=$(files "$crate")
    for path in "$@"; do
        grep -qxF "$path" <<<"$list" || die "the package of $crate lacks $path"
    done
}

lacks() {
    local crate=$1 list path
    shift
    list=$(files "$crate")
    for path in "$@"; do
        ! grep -q "^$path" <<<"$list" || die "the package of $crate has $path"
    done
}

main
