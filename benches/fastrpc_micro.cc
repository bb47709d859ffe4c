// What the runtime's operations cost through the C++ headers: micro.rs has the crate's own.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/sync.hpp>

#include <algorithm>
#include <array>
#include <cstdio>
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

}  // namespace

int main(int argc, char** argv) {
  bench::Arguments arguments(argc, argv, "The runtime's own operations, through the C++ headers.",
                             {{"core", "0", "run on this core alone; -1: anywhere"}});
  bench::PinToCore(arguments.Integer("core"));
  fastrpc::spawn([] {
    Report("cpp_yield_ns", 1'000'000, [] { Yield(2, 500'000); });
    Report("cpp_semaphore_ns", 1'000'000, [] { HandOver(500'000); });
    Report("cpp_spawn_join_ns", 500'000, [] { SpawnAndJoin(500'000); });
  }).join();
}
