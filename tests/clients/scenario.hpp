// Scenarios: what a client library does in hooked coroutines, of one worker or of several, compared
// with plain threads.
#pragma once

#include <fastrpc/fastrpc.hpp>

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "check.hpp"
#include "servers.hpp"
#include "workers.hpp"

namespace clients {

// A scenario. It must leak no fd, and no library may wait while it holds a mutex.
#define RUN_SCENARIO(test)                                       \
  do {                                                           \
    std::size_t fds = clients::count_fds();                      \
    RUN(test);                                                   \
    clients::until([&] { return clients::count_fds() == fds; }); \
    CHECK(fastrpc::hook::waits_with_locks() == 0);               \
  } while (0)

inline std::size_t count_fds() {
  std::filesystem::directory_iterator fds("/proc/self/fd");
  return static_cast<std::size_t>(std::distance(begin(fds), end(fds)));
}

// Counts the threads of the process, without resolver threads.
inline std::set<std::string> threads() {
  std::set<std::string> found;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(entry.path() / "comm");
    std::string name;
    if (file >> name && name.find("fastrpc-dns") != 0) found.insert(entry.path());
  }
  return found;
}

// Starts the workers, whose threads and fds are not counted.
inline void start_workers() {
  configure_workers();
  fastrpc::spawn([] { fastrpc::sleep_for(1ms); }).join();
}

// Starts `f()` in a hooked coroutine.
template <typename F>
auto start_hooked(F f) {
  return fastrpc::spawn([f] {
    fastrpc::hook::Guard hooked;
    return f();
  });
}

// Runs `f(i)` in `count` hooked coroutines, and with the numbers that follow in as many plain
// threads, all at the same time.
template <typename F>
void in_both(int count, F f) {
  std::vector<fastrpc::Coroutine<void>> coroutines;
  std::vector<std::thread> bare;
  for (int i = 0; i < count; ++i) {
    coroutines.push_back(start_hooked([f, i] { f(i); }));
    bare.emplace_back([f, i, count] { f(count + i); });
  }
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : bare) thread.join();
}

// Runs `f()`, which returns what it saw as text, in a few hooked coroutines and in a few plain
// threads, while `meanwhile()` runs here. All texts must be equal.
template <typename F, typename Meanwhile>
std::string says_the_same(F f, Meanwhile meanwhile) {
  constexpr int kEach = 3;
  std::vector<fastrpc::Coroutine<std::string>> coroutines;
  std::vector<std::thread> bare;
  std::vector<std::string> said(kEach);
  for (int i = 0; i < kEach; ++i) {
    coroutines.push_back(start_hooked(f));
    bare.emplace_back([f, &place = said[static_cast<std::size_t>(i)]] { place = f(); });
  }
  meanwhile();
  for (auto& thread : bare) thread.join();
  for (auto& coroutine : coroutines) said.push_back(coroutine.join());
  for (const std::string& words : said) {
    if (words == said[0]) continue;
    std::cerr << "in a thread: " << said[0] << "\nelsewhere: " << words << '\n';
    std::exit(1);
  }
  std::cout << "  " << said[0] << '\n';
  return said[0];
}
template <typename F>
std::string says_the_same(F f) {
  return says_the_same(f, [] {});
}

// Runs `f()`, which returns what it saw as text, in a hooked coroutine that is canceled as soon as
// `waits()`.
template <typename F, typename Waits>
std::string says_when_canceled(F f, Waits waits) {
  auto coroutine = start_hooked(f);
  until(waits);
  coroutine.cancel();
  std::string said = coroutine.join();
  std::cout << "  " << said << '\n';
  return said;
}

constexpr int kMany = 200;

// Sizes of payloads: around the limits of buffers, packets and length fields, and 16 MiB.
constexpr std::size_t kSizes[] = {0,     1,     100,   255,     256,     4095,    16384,
                                  65535, 65536, 65537, 1 << 20, 3 << 20, 16 << 20};
constexpr int kSizeCount = sizeof kSizes / sizeof kSizes[0];

// `size` random bytes, the same each time.
inline std::string random_bytes(std::size_t size) {
  std::mt19937_64 random(size);
  std::string bytes(size + 8, '\0');
  for (std::size_t i = 0; i < size; i += 8) {
    std::uint64_t word = random();
    bytes.replace(i, 8, reinterpret_cast<const char*>(&word), 8);
  }
  bytes.resize(size);
  return bytes;
}

// Ticks every 10 ms, in a coroutine, and records its worst delay.
class Ticker {
 public:
  Ticker() : coroutine_(fastrpc::spawn([this] { tick(); })) {}
  // Stops it.
  std::chrono::microseconds worst() {
    done_ = true;
    coroutine_.join();
    return worst_;
  }

 private:
  void tick() {
    std::ifstream schedule("/proc/thread-self/schedstat");
    auto delay = delayed(schedule);
    while (!done_) {
      auto due = Clock::now() + 10ms;
      fastrpc::sleep_for(10ms);
      auto late = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - due);
      // Not counted: the time for which the worker waited for a processor.
      auto now = delayed(schedule);
      worst_ = std::max(worst_, late - (now - delay));
      delay = now;
    }
  }
  static std::chrono::microseconds delayed(std::ifstream& schedule) {
    long long ran = 0, waited = 0;
    schedule.clear();
    schedule.seekg(0);
    schedule >> ran >> waited;
    return std::chrono::microseconds(waited / 1000);
  }

  std::atomic<bool> done_{false};
  std::chrono::microseconds worst_{0};
  fastrpc::Coroutine<void> coroutine_;
};

// A barrier: many wait until all have arrived.
class Gate {
 public:
  explicit Gate(int count) : missing_(count) {}
  // The last to arrive takes the time.
  void pass() {
    if (--missing_ == 0) opened_ = Clock::now();
    while (missing_ > 0) {
      if (fastrpc::hook::is_enabled()) {
        fastrpc::sleep_for(5ms);
      } else {
        usleep(5000);
      }
    }
  }
  [[nodiscard]] bool is_open() const { return missing_ == 0; }
  [[nodiscard]] Clock::time_point opened() const { return opened_; }

 private:
  std::atomic<int> missing_;
  Clock::time_point opened_;
};

// 200 of `connect()`, and then, all at a time, of `query(connection)`, which takes its server
// 100 ms: on the workers' threads alone, within two seconds, while a ticker runs. On a busy machine
// the time of as many threads is the limit.
template <typename Connect, typename Query>
void many_at_a_time(Connect connect, Query query) {
  using Milliseconds = std::chrono::duration<double, std::milli>;
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    auto before = threads();
    std::atomic<int> moved{0};
    std::mutex lock;
    std::set<pid_t> used;
    Gate gate(kMany);
    std::vector<fastrpc::Coroutine<void>> coroutines;
    for (int i = 0; i < kMany; ++i) {
      coroutines.push_back(start_hooked([&, i] {
        pid_t id = gettid();
        auto connection = connect(i);
        gate.pass();
        query(connection, i);
        if (gettid() != id) ++moved;
        std::lock_guard<std::mutex> guard(lock);
        used.insert(id);
      }));
    }
    until([&] { return gate.is_open(); });
    Ticker ticker;
    usleep(50000);
    // Some of them may have been ending.
    auto now = threads();
    bool alone = std::includes(before.begin(), before.end(), now.begin(), now.end());
    for (auto& coroutine : coroutines) coroutine.join();
    Milliseconds time = Clock::now() - gate.opened();
    Milliseconds late = ticker.worst();
    CHECK(moved == 0);
    CHECK(used.size() == fastrpc::worker_count());
    CHECK(alone);

    Gate bare_gate(kMany);
    std::vector<std::thread> bare;
    for (int i = 0; i < kMany; ++i) {
      bare.emplace_back([&, i] {
        auto connection = connect(i);
        bare_gate.pass();
        query(connection, i);
      });
    }
    for (auto& one : bare) one.join();
    Milliseconds bare_time = Clock::now() - bare_gate.opened();

    std::printf("  %d coroutines: %.0f ms, a ticker late by at most %.1f ms; threads: %.0f ms\n",
                kMany, time.count(), late.count(), bare_time.count());
    if ((time < 2s || time < 2 * bare_time) && late <= 20ms) return;
    CHECK(tries < kTries);
  }
}

}  // namespace clients
