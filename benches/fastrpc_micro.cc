// What the runtime's operations cost through the C++ headers: micro.rs has the crate's own.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/hook.hpp>
#include <fastrpc/sync.hpp>
#include <fastrpc/tp_mgr.hpp>

#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <functional>
#include <vector>

#include "common/measure.hpp"
#include "common/setup.hpp"

namespace {

constexpr std::size_t kRepetitions = 7;

// Nanoseconds of one operation: the median of several repetitions, each of `times` operations.
template <typename F>
void Report(const char* name, std::size_t times, F run) {
  std::array<double, kRepetitions> values{};
  for (double& value : values) {
    bench::Nanos begin = bench::Now();
    run();
    value = static_cast<double>(bench::Now() - begin) / static_cast<double>(times);
  }
  std::sort(values.begin(), values.end());
  std::printf("{\"%s\": %.1f}\n", name, values[kRepetitions / 2]);
}

void Yield(std::size_t coroutines, std::size_t each) {
  std::vector<fastrpc::Coroutine<void>> yielding;
  for (std::size_t i = 0; i < coroutines; ++i) {
    yielding.push_back(fastrpc::spawn([each] {
      for (std::size_t j = 0; j < each; ++j) fastrpc::yield();
    }));
  }
  for (auto& coroutine : yielding) coroutine.join();
}

// Two that hand a permit to and fro.
void HandOver(std::size_t rounds) {
  fastrpc::semaphore to(0);
  fastrpc::semaphore fro(0);
  auto other = fastrpc::spawn([&] {
    for (std::size_t i = 0; i < rounds; ++i) {
      to.acquire();
      fro.release();
    }
  });
  for (std::size_t i = 0; i < rounds; ++i) {
    to.release();
    fro.acquire();
  }
  other.join();
}

void SpawnAndJoin(std::size_t times) {
  for (std::size_t i = 0; i < times; ++i) fastrpc::spawn([] {}).join();
}

void RunInPool(std::size_t times) {
  static fastrpc::TPMgr pool(1);
  for (std::size_t i = 0; i < times; ++i) pool.TPRun([] {});
}

// libc's own functions, past the hooks.
struct Libc {
  Libc() {
    void* libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);
    if (libc == nullptr) return;
    read = reinterpret_cast<decltype(read)>(dlsym(libc, "read"));
    write = reinterpret_cast<decltype(write)>(dlsym(libc, "write"));
  }

  ssize_t (*read)(int, void*, size_t) = nullptr;
  ssize_t (*write)(int, const void*, size_t) = nullptr;
};

// One of several ways to do the same. They take turns, and the fastest turn of each counts: what
// slows the machine meanwhile slows single turns.
struct Way {
  const char* name;
  std::function<void()> run;
};

void Compare(std::size_t times, std::vector<Way> ways) {
  std::vector<double> best(ways.size(), 1e18);
  for (int turn = 0; turn < 100; ++turn) {
    for (std::size_t i = 0; i < ways.size(); ++i) {
      bench::Nanos begin = bench::Now();
      ways[i].run();
      auto took = static_cast<double>(bench::Now() - begin) / static_cast<double>(times);
      best[i] = std::min(best[i], took);
    }
  }
  for (std::size_t i = 0; i < ways.size(); ++i) {
    std::printf("{\"%s\": %.1f}\n", ways[i].name, best[i]);
  }
}

constexpr std::size_t kCalls = 20'000;

// The cheapest call there is: what a hook adds to it shows.
template <typename Read>
void ReadNothing(Read read) {
  char byte;
  for (std::size_t i = 0; i < kCalls; ++i) {
    if (read(-1, &byte, 1) != -1) std::abort();
  }
}

// A byte that need not be waited for.
template <typename Read, typename Write>
void Through(int to, int from, Read read, Write write) {
  char byte = 'x';
  for (std::size_t i = 0; i < kCalls; ++i) {
    if (write(to, &byte, 1) != 1 || read(from, &byte, 1) != 1) std::abort();
  }
}

// By turns in a plain thread, in a coroutine with hooks off, and in one with hooks on.
void CompareHooks() {
  static const Libc libc;
  if (libc.read == nullptr || libc.write == nullptr) return;
  auto in_coroutine = [](bool hooked, auto run) {
    return [hooked, run] {
      fastrpc::spawn([&] {
        fastrpc::hook::Guard guard(hooked);
        run();
      }).join();
    };
  };
  Compare(kCalls, {{"libc_read_ns", in_coroutine(false, [] { ReadNothing(libc.read); })},
                   {"hooks_thread_read_ns", [] { ReadNothing(::read); }},
                   {"hooks_off_read_ns", in_coroutine(false, [] { ReadNothing(::read); })}});

  int pair[2], ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0 || pipe(ends) != 0) std::abort();
  auto compare = [&](const char* bare, const char* hooked, int to, int from) {
    Compare(kCalls, {{bare, in_coroutine(false, [=] { Through(to, from, libc.read, libc.write); })},
                     {hooked, in_coroutine(true, [=] { Through(to, from, ::read, ::write); })}});
  };
  compare("libc_socket_ns", "hooks_on_socket_ns", pair[0], pair[1]);
  compare("libc_pipe_ns", "hooks_on_pipe_ns", ends[1], ends[0]);
}

}  // namespace

int main(int argc, char** argv) {
  bench::Arguments arguments(argc, argv, "The runtime's own operations, through the C++ headers.",
                             {{"core", "0", "run on this core alone; -1: anywhere"}});
  bench::PinToCore(arguments.Integer("core"));
  fastrpc::spawn([] {
    Report("cpp_yield_ns", 1'000'000, [] { Yield(2, 500'000); });
    Report("cpp_semaphore_ns", 1'000'000, [] { HandOver(500'000); });
    Report("cpp_spawn_join_ns", 500'000, [] { SpawnAndJoin(500'000); });
    Report("cpp_tprun_ns", 20'000, [] { RunInPool(20'000); });
  }).join();
  CompareHooks();
}
