#!/bin/bash
# tests/package_readme.sh
#
# Types in what README.md shows, C++ and Rust, and runs it against the libraries of build/release
# (which must have been built).

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
[[ -e build/release/libfastrpc.so ]] || die "nothing built in build/release: run 'make build' first"

work=$ROOT/build/readme
prefix=$work/prefix
# In place of the port, which may be taken: a socket. Its path may be short only.
folder=$(mktemp -d /tmp/fastrpc-readme.XXXXXX)
socket=$folder/socket
server=
trap '[[ -z $server ]] || kill "$server"; rm -rf "$folder"' EXIT

main() {
    rm -rf "$work"
    mkdir -p "$work/cpp" "$work/rust/src"
    cmake --install build/release --prefix "$prefix"
    export PKG_CONFIG_PATH=$prefix/lib/pkgconfig LD_LIBRARY_PATH=$prefix/lib
    cpp
    echo "ok      the C++ service and its client"
    static
    echo "ok      the service with the static library"
    with_cmake
    echo "ok      the service by CMake"
    rust
    echo "ok      the Rust service"
    echo "4 passed, 0 failed"
}

# block LANGUAGE TEXT: README's first block in that language that has the text in it.
block() {
    awk -v fence="\`\`\`$1" -v text="$2" '
        inside && /^```/ { inside = 0; if (index(found, text)) { printf "%s", found; exit } }
        inside { found = found $0 "\n" }
        $0 == fence || index($0, fence ",") == 1 { inside = 1; found = "" }' README.md | grep . ||
        die "README.md has no $1 block with '$2'"
}

cpp() {
    block proto EchoService >"$work/cpp/echo.proto"
    block cpp rpc_server.hpp | at_socket >"$work/cpp/server.cc"
    block cpp rpc_client.hpp | at_socket >"$work/cpp/client.cc"
    block cpp fastrpc/server.hpp | at_socket >"$work/cpp/http.cc"
    block sh protoc >"$work/cpp/build"
    (cd "$work/cpp" && bash -e build)
    talk "$work/cpp"
    talk_http "$work/cpp/http" /hello/readme "hello readme"
}

at_socket() {
    local place='"127.0.0.1", 8997'
    awk -v place="$place" -v socket="\"unix:$socket\", 0" '
        (at = index($0, place)) {
            $0 = substr($0, 1, at - 1) socket substr($0, at + length(place)); seen = 1
        }
        { print }
        END { exit !seen }' || die "an example of README.md does not use $place"
}

# talk FOLDER: the client's words are the answer, and there is HTTP on the same port.
talk() {
    start "$1/server"
    local said
    said=$(timeout 20 "$1/client")
    [[ $said == hello ]] || die "the client said '$said', not 'hello'"
    said=$(curl -sS --max-time 20 --unix-socket "$socket" http://readme/)
    [[ $said == hello ]] || die "the page says '$said', not 'hello'"
    stop
}

# talk_http PROGRAM PATH TEXT: the text is at the path.
talk_http() {
    start "$1"
    local said
    said=$(curl -sS --max-time 20 --unix-socket "$socket" "http://readme$2")
    [[ $said == "$3" ]] || die "$2 says '$said', not '$3'"
    stop
}

# start PROGRAM: returns when it listens.
start() {
    rm -f "$socket"
    "$1" &
    server=$!
    for ((i = 0; i < 200; ++i)); do
        [[ -S $socket ]] && break
        sleep 0.1
    done
}

stop() {
    kill -TERM "$server"
    wait "$server" || die "the server ended with status $?"
    server=
}

static() {
    block sh libfastrpc.a >"$work/cpp/build-static"
    rm "$work/cpp/server"
    (cd "$work/cpp" && bash -e build-static)
    if readelf -d "$work/cpp/server" | grep -F libfastrpc; then
        die "the static line links the shared library"
    fi
    talk "$work/cpp"
}

with_cmake() {
    mkdir -p "$work/cmake"
    cp "$work/cpp"/{echo.proto,server.cc} "$work/cmake/"
    block cmake find_package >"$work/cmake/CMakeLists.txt"
    cmake -S "$work/cmake" -B "$work/cmake/build" -DCMAKE_PREFIX_PATH="$prefix"
    cmake --build "$work/cmake/build"
    cp "$work/cmake/build/my_service" "$work/cpp/server"
    talk "$work/cpp"
}

rust() {
    block proto EchoService >"$work/rust/echo.proto"
    block rust compile_protos >"$work/rust/build.rs"
    block rust add_service >"$work/rust/src/main.rs"
    {
        printf '[package]\nname = "readme"\nedition = "2024"\n\n'
        block toml fastrpc-build
        printf '\n[workspace]\n'
    } >"$work/rust/Cargo.toml"
    # The versions that everything else here is tested with.
    cp Cargo.lock "$work/rust/"
    local said
    said=$(cargo run --quiet --manifest-path "$work/rust/Cargo.toml" \
        --config "patch.crates-io.fastrpc.path='$ROOT'" \
        --config "patch.crates-io.fastrpc-build.path='$ROOT/codegen'")
    [[ $said == hello ]] || die "the Rust program said '$said', not 'hello'"
}

main
