#!/bin/bash
# tests/package_install.sh
#
# Tests the package as its users meet it: installs the libraries of build/release (which must have
# been built) into folders of its own and builds programs against them in every way we document.

# shellcheck source=scripts/lib.sh
. "$(dirname "${BASH_SOURCE[0]}")/../scripts/lib.sh"

[[ ${1:-} == -h || ${1:-} == --help ]] && usage && exit
[[ -e build/release/libfastrpc.so ]] || die "nothing built in build/release: run 'make build' first"

version=$(sed -n '0,/^version *= *"\(.*\)"/s//\1/p' Cargo.toml)
consumer=$ROOT/tests/package_consumer
work=$ROOT/build/package
rm -rf "$work"
mkdir -p "$work"

# The package is installed to one place and then moved: nothing in it may remember where it was.
first=$work/first prefix=$work/moved
main() {
    check "installs" install_package
    check "installs what it should and nothing else" files_are_right
    check "respects DESTDIR" respects_destdir
    check "the shared library has its SONAME" soname_is_right
    check "the shared library needs only system libraries" needs_are_right
    mv "$first" "$prefix"
    check "find_package, shared, C++" consume shared-cxx
    check "find_package, static, C++" consume static-cxx -DCONSUMER_LIBRARY=fastrpc::static
    check "find_package, shared, C" consume shared-c -DCONSUMER_LANGUAGES=C
    check "find_package, static, C" consume static-c -DCONSUMER_LANGUAGES=C \
        -DCONSUMER_LIBRARY=fastrpc::static
    check "find_package with protobuf" consume protobuf -DCONSUMER_PROTOBUF=ON
    check "find_package, protobuf, static" consume protobuf-static -DCONSUMER_PROTOBUF=ON \
        -DCONSUMER_LIBRARY=fastrpc::static
    check "find_package, names of 2016" consume compat -DCONSUMER_PROTOBUF=ON -DCONSUMER_COMPAT=ON
    check "find_package, names of 2016, static" consume compat-static -DCONSUMER_PROTOBUF=ON \
        -DCONSUMER_COMPAT=ON -DCONSUMER_LIBRARY=fastrpc::static
    check "find_package, this version" consume this-version -DCONSUMER_VERSION="$version"
    check "find_package refuses a later version" refuse later-version -DCONSUMER_VERSION=0.99
    check "find_package refuses another major version" refuse other-version -DCONSUMER_VERSION=9
    check "find_package says so when there is no protobuf" misses_protobuf
    check "add_subdirectory, shared" consume folder -DCONSUMER_SOURCE="$ROOT"
    check "add_subdirectory, static" consume folder-static -DCONSUMER_SOURCE="$ROOT" \
        -DCONSUMER_LIBRARY=fastrpc::static
    check "pkg-config knows the version" pkg_config_version
    check "pkg-config, shared, C" pkg_config_shared cc c
    check "pkg-config, shared, C++" pkg_config_shared c++ cc
    check "pkg-config, static, C" pkg_config_static cc c
    check "pkg-config, static, C++" pkg_config_static c++ cc
    check "pkg-config, names of 2016" pkg_config_compat
    check "pkg-config, no shared library at all" pkg_config_all_static
    check "lives in one program with other Rust code" beside_other_rust

    printf '%d passed, %d failed\n' "$passed" "$failed"
    ((failed == 0))
}

passed=0 failed=0
# check WHAT COMMAND...: the output is shown if the command fails.
check() {
    local log=$work/log
    # A function called in a condition would run on after an error: hence the shell of its own.
    set +e
    (set -e && "${@:2}") >"$log" 2>&1
    local status=$?
    set -e
    if ((status == 0)); then
        passed=$((passed + 1))
        printf '%sok%s      %s\n' "$green" "$plain" "$1"
    else
        failed=$((failed + 1))
        printf '%sFAILED%s  %s\n' "$red" "$plain" "$1"
        sed 's/^/        /' "$log"
    fi
}

install_package() { cmake --install build/release --prefix "$first"; }

files_are_right() {
    {
        (cd include && find fastrpc -name '*.h' -o -name '*.hpp') | sed 's|^|include/|'
        printf '%s\n' lib/libfastrpc.{a,so,so.0,so."$version"} lib/pkgconfig/fastrpc{,-compat}.pc \
            lib/cmake/fastrpc/fastrpc{Config,ConfigVersion,Targets,Targets-release,Protobuf}.cmake
    } | LC_ALL=C sort >"$work/wanted"
    (cd "$first" && find . ! -type d | sed 's|^\./||' | LC_ALL=C sort) >"$work/found"
    diff -u "$work/wanted" "$work/found"
}

respects_destdir() {
    DESTDIR=$work/stage cmake --install build/release --prefix /opt/fastrpc
    [[ -e $work/stage/opt/fastrpc/include/fastrpc/fastrpc.h ]]
}

soname_is_right() {
    readelf -d "$first/lib/libfastrpc.so" | grep -F "soname: [libfastrpc.so.${version%%.*}]"
}

needs_are_right() {
    readelf -d "$first/lib/libfastrpc.so" | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' >"$work/needs"
    cat "$work/needs"
    ! grep -vE '^(libc|libm|libstdc\+\+|libgcc_s|libpthread|libdl|librt|ld-linux.*)\.so' \
        "$work/needs"
}

# consume NAME [CMAKE-ARGUMENT...]: builds the consumer and runs it.
consume() {
    cmake -S "$consumer" -B "$work/$1" -DCMAKE_PREFIX_PATH="$prefix" -DCMAKE_BUILD_TYPE=Release \
        "${@:2}"
    cmake --build "$work/$1" --parallel "$(nproc)"
    says_version "$work/$1/consumer"
}

says_version() {
    local said
    said=$("$@")
    [[ $said == "$version" ]] || { echo "$* said '$said', not $version" && false; }
}

# refuse NAME CMAKE-ARGUMENT...: configuring must fail for want of a suitable version.
refuse() {
    if cmake -S "$consumer" -B "$work/$1" -DCMAKE_PREFIX_PATH="$prefix" "${@:2}" \
        >"$work/refused" 2>&1; then
        echo "find_package took it" && false
    fi
    grep -F "compatible with" "$work/refused"
}

misses_protobuf() {
    if cmake -S "$consumer" -B "$work/no-protobuf" -DCMAKE_PREFIX_PATH="$prefix" \
        -DCONSUMER_PROTOBUF=ON -DCMAKE_DISABLE_FIND_PACKAGE_Protobuf=ON \
        -DCMAKE_DISABLE_FIND_PACKAGE_protobuf=ON >"$work/refused" 2>&1; then
        echo "find_package found protobuf" && false
    fi
    grep -F "needs Protobuf" "$work/refused"
}

pkg_config() { PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config "$@" fastrpc; }

pkg_config_version() {
    [[ $(pkg_config --modversion) == "$version" ]]
    # pkgconf may write the way it went; the folder is what counts.
    [[ $(realpath "$(pkg_config --variable=prefix)") == "$prefix" ]]
}

# pkg_config_shared COMPILER EXTENSION
pkg_config_shared() {
    local flags libs program=$work/pkg-shared-$2
    read -ra flags < <(pkg_config --cflags)
    read -ra libs < <(pkg_config --libs)
    "$1" "${flags[@]}" "$consumer/consumer.$2" "${libs[@]}" -o "$program"
    readelf -d "$program" | grep -F 'libfastrpc.so.0'
    LD_LIBRARY_PATH=$prefix/lib says_version "$program"
}

# pkg_config_static COMPILER EXTENSION: as README says.
pkg_config_static() {
    local flags libs program=$work/pkg-static-$2
    read -ra flags < <(pkg_config --cflags)
    read -ra libs < <(pkg_config --static --libs | sed 's/-lfastrpc/-l:libfastrpc.a/')
    "$1" "${flags[@]}" "$consumer/consumer.$2" "${libs[@]}" -o "$program"
    if readelf -d "$program" | grep -F 'libfastrpc'; then
        echo "it is linked with the shared library" && false
    fi
    says_version "$program"
}

pkg_config_compat() {
    local flags program=$work/pkg-compat
    # Protobuf's own file brings what its headers need.
    read -ra flags < <(PKG_CONFIG_PATH=$prefix/lib/pkgconfig pkg-config --cflags --libs \
        fastrpc-compat protobuf)
    c++ "$consumer/compat.cc" "${flags[@]}" -o "$program"
    LD_LIBRARY_PATH=$prefix/lib says_version "$program"
}

# Weak references to the C++ library would be left empty here, and only here.
pkg_config_all_static() {
    local flags libs program=$work/all-static
    read -ra flags < <(pkg_config --cflags)
    read -ra libs < <(pkg_config --static --libs)
    c++ -static "${flags[@]}" "$consumer/consumer.cc" "${libs[@]}" -o "$program"
    says_version "$program"
}

beside_other_rust() {
    local flags libs order other=$work/libother.a
    rustc --edition 2024 -O "$consumer/other.rs" -o "$other"
    read -ra flags < <(pkg_config --cflags)
    read -ra libs < <(pkg_config --static --libs | sed 's/-lfastrpc/-l:libfastrpc.a/')
    # In either order: a linker takes the first definition that it meets.
    for order in first last; do
        local all=("$other" "${libs[@]}")
        [[ $order == first ]] || all=("${libs[@]}" "$other")
        cc -DWITH_OTHER "${flags[@]}" "$consumer/consumer.c" "${all[@]}" -o "$work/both-$order"
        says_version "$work/both-$order"
    done
}

main
