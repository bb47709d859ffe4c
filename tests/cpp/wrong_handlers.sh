#!/bin/bash
# tests/cpp/wrong_handlers.sh COMPILER [OPTION...]
#
# Compiles wrong_handlers.cc, which must fail, and compares what the compiler says with what the file
# wants: for each wrong call one assertion, with the signature that would be right.

set -u
source=$(dirname "${BASH_SOURCE[0]}")/wrong_handlers.cc
said=$(LC_ALL=C "$@" -fsyntax-only "$source" 2>&1) && echo "it compiled" && exit 1
wanted=$(sed -n 's|^ *// error: ||p' "$source")
status=0
while IFS= read -r text; do
    want=$(grep -cFx -- "$text" <<<"$wanted")
    have=$(grep -E 'error: static assertion failed|error: static_assert failed' <<<"$said" |
        grep -cF -- "$text")
    ((have == want)) && continue
    echo "$have assertions, not $want, say: $text"
    status=1
done < <(sort -u <<<"$wanted")
((status == 0)) || echo "$said"
exit $status
