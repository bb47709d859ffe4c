#!/bin/sh
# one_object.sh ARCHIVE MAP HOOKS OUTPUT [--strip-debug]
#
# Turns the archive that cargo made into one relocatable object whose only global names are those
# of the version script MAP and of the list HOOKS, one a line, which may be empty. Both libraries
# are made of this object.
#
# Why: a Rust archive carries the Rust standard library with global names (rust_eh_personality,
# __rust_alloc, ...), so a program that links two of them gets duplicate definitions or, worse, a
# silent mix of two allocators. C++ inline functions are no better: sections that are grouped
# under their names would be thrown away in favour of the program's own copies. After this step
# no name of ours can meet a name of theirs.
#
# The tools can be named by the variables NM, LD and OBJCOPY. LD has to be GNU ld.
set -eu

archive=$1 map=$2 hooks=$3 output=$4 strip=${5:-}
: "${NM:=nm}" "${LD:=ld}" "${OBJCOPY:=objcopy}"
work=$output.work
rm -rf "$work"
mkdir -p "$work"

patterns=$(sed -n '/global:/,/local:/s/^ *\([A-Za-z0-9_*?]*\);.*/\1/p' "$map")
[ -n "$patterns" ] || { echo "one_object: no 'global:' names in $map" >&2; exit 1; }
[ -z "$hooks" ] || patterns="$patterns $(cat "$hooks")"

# The standard library comes with LLVM bitcode beside its code. Binutils with an LLVM plugin (Debian
# has one when clang is installed) would read that instead, in vain if it is of another version.
"$OBJCOPY" --remove-section=.llvmbc --remove-section=.llvmcmd "$archive" "$work/code.a"

# What is exported is what has to be kept: everything else lives only if these reach it. Some
# members of the archive have no symbols, and nm says so for each: not worth a line.
"$NM" --defined-only --extern-only -P "$work/code.a" 2>"$work/nm.log" |
    awk 'NF >= 2 && $2 ~ /[TDBRVW]/ { print $1 }' | sort -u >"$work/defined"
set -f
for pattern in $patterns; do
    regex=$(printf '%s\n' "$pattern" | sed 's/\*/.*/g; s/?/./g')
    grep -x -e "$regex" "$work/defined" || true
done | sort -u >"$work/roots"
[ -s "$work/roots" ] || { echo "one_object: $archive exports none of: $patterns" >&2; exit 1; }

sed 's/^/-u /' "$work/roots" >"$work/link"
"$LD" -r --gc-sections --force-group-allocation -o "$work/whole.o" "@$work/link" "$work/code.a"

for pattern in $patterns; do
    printf -- '--keep-global-symbol=%s\n' "$pattern"
done >"$work/keep"
# objcopy makes global and weak symbols local, but not C++'s "unique" ones: weaken those first.
"$NM" --defined-only "$work/whole.o" | awk '$2 == "u" { print "--weaken-symbol=" $3 }' >"$work/weaken"
# The hooks are weak as well: in a program without any shared library libc's own come beside them.
[ -z "$hooks" ] || sed 's/^/--weaken-symbol=/' "$hooks" >>"$work/weaken"
"$OBJCOPY" "@$work/weaken" "$work/whole.o"
"$OBJCOPY" --wildcard ${strip:+"$strip"} "@$work/keep" "$work/whole.o" "$work/local.o"

mv "$work/local.o" "$output"
rm -rf "$work"
