#!/bin/sh
# refused.sh COMPILER [OPTION...]
#
# Compiles programs that are wrong, and looks for the sentence that says so among the first errors.
set -u
failed=0

# refuses SENTENCE [OPTION...] <PROGRAM
refuses() {
    sentence=$1
    shift
    # shellcheck disable=SC2086 # several options
    if errors=$("$compiler" -std=c++17 $options "$@" -fsyntax-only -x c++ - 2>&1); then
        echo "compiles, but should not: $sentence"
        failed=1
    elif ! printf '%s\n' "$errors" | grep 'error:' | head -n 2 | grep -qF "$sentence"; then
        echo "does not say: $sentence"
        printf '%s\n' "$errors" | grep 'error:' | head -n 5 | sed 's/^/  | /'
        failed=1
    fi
}

# wants SENTENCE STATEMENT
wants() {
    refuses "$1" <<END
#include <fastrpc/fastrpc.hpp>
using namespace std::chrono_literals;
void wrong(fastrpc::ThreadPool& pool, fastrpc::Prefork& group) { (void)pool, (void)group, $2; }
END
}

compiler=$1
shift
options=$*

refuses 'fastrpc needs C++17: add -std=c++17 (CMake: target_compile_features(... cxx_std_17))' -std=c++14 <<END
#include <fastrpc/fastrpc.hpp>
END
wants 'fastrpc::spawn(f): f is called without arguments' 'fastrpc::spawn([](int) {})'
wants 'fastrpc::spawn(f): f is called without arguments' 'fastrpc::spawn_detached([](int) {})'
wants 'f returns a value or a pointer, not a reference' \
    'fastrpc::spawn([&]() -> fastrpc::ThreadPool& { return pool; })'
wants 'fastrpc::ThreadPool::run(f), submit(f), post(f): f is called without arguments' \
    'pool.run([](int) {})'
wants 'fastrpc::ThreadPool::run(f), submit(f), post(f): f is called without arguments' \
    'pool.run_for(1s, [](int) {})'
wants 'fastrpc::ThreadPool::run(f), submit(f), post(f): f is called without arguments' \
    'pool.submit([](int) {})'
wants 'fastrpc::ThreadPool::run(f), submit(f), post(f): f is called without arguments' \
    'pool.post([](int) {})'
wants 'fastrpc::blocking(f): f is called without arguments' 'fastrpc::blocking([](int) {})'
wants 'fastrpc::after(time, f) and every(time, f): f is called without arguments' \
    'fastrpc::after(1s, [](int) {})'
wants 'fastrpc::after(time, f) and every(time, f): f is called without arguments' \
    'fastrpc::every(1s, [](int) {})'
wants 'fastrpc::Prefork::run(f): f takes (int index, int listen_fd)' 'group.run([](int) {})'
wants 'fastrpc::set_log(level, f): f takes (fastrpc::LogLevel level' \
    'fastrpc::set_log(fastrpc::LogLevel::warn, [](int) {})'
exit $failed
