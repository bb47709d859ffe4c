# Sourced by the scripts beside it: where things are, and how they speak.
# shellcheck shell=bash

set -euo pipefail
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cd "$ROOT"

# All builds of this tree share cargo's work.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$ROOT/target}
# Cargo, in a shell that began before it was installed; servers, for whoever is not root.
for folder in "${CARGO_HOME:-$HOME/.cargo}/bin" /usr/sbin; do
    [[ :$PATH: == *":$folder:"* ]] || PATH=$PATH:$folder
done

# shellcheck disable=SC2034 # not every script uses every color
bold='' green='' red='' yellow='' plain=''
if [[ -t 1 && -z ${NO_COLOR:-} ]]; then
    # shellcheck disable=SC2034
    bold=$'\e[1m' green=$'\e[32m' red=$'\e[31m' yellow=$'\e[33m' plain=$'\e[0m'
fi

say() { printf '%s%s:%s %s\n' "$bold" "${0##*/}" "$plain" "$*"; }
warn() { printf '%s%s: %s%s\n' "$yellow" "${0##*/}" "$*" "$plain" >&2; }
die() {
    printf '%s%s: %s%s\n' "$red" "${0##*/}" "$*" "$plain" >&2
    exit 1
}

# The usage text is the comment at the top of the script, up to the first empty line.
usage() { sed -n '2,/^$/s/^# \{0,1\}//p' "$0"; }

# quietly LOG COMMAND...: the output goes to the log; of a failure its end is shown.
quietly() {
    local log=$1
    shift
    mkdir -p "$(dirname "$log")"
    { : >"$log"; } 2>/dev/null || die "cannot write $log"
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        die "failed: $* (all of its output: ${log#"$ROOT/"})"
    fi
}

# configure PREFIX [CMAKE-ARGUMENT...]: the release build, in build/release.
configure() {
    cmake -S . -B build/release -DCMAKE_BUILD_TYPE=Release -DCMAKE_INSTALL_PREFIX="$1" \
        -DFASTRPC_CARGO_TARGET_DIR="$CARGO_TARGET_DIR" "${@:2}"
}

build() { cmake --build build/release --parallel "$(nproc)"; }

# An absolute path, of something that need not exist yet. Make does not expand a tilde.
absolute() {
    local path=${1/#\~\//$HOME/}
    realpath -m -- "$path"
}

# skip WHY [optional]: ends a step that has not what it needs; in CI, where scripts/setup has run,
# that is a failure.
skip() {
    echo "skipped: $1"
    [[ ${CI:-} != true || ${2:-} == optional ]]
    exit
}

# needs COMMAND...: skips the step if one of them is not here.
needs() {
    local command
    for command in "$@"; do
        command -v "$command" >/dev/null || skip "no $command here: scripts/setup --test installs it"
    done
}
