// Queries in a closed loop on each of many connections, by one thread or one coroutine for each:
// the same source makes both programs, and only that of the coroutines is linked to fastrpc.
#pragma once

#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#ifdef BENCH_COROUTINES
#include <fastrpc/coroutine.hpp>
#include <fastrpc/hook.hpp>
#endif

#include "measure.hpp"
#include "setup.hpp"

namespace bench {

struct QueryOptions {
  std::string host;
  std::uint16_t port;
  std::size_t connections;
  double warmup;   // seconds
  double seconds;  // measured, after the warm-up
  bool by_turns;   // one thread has all the connections, and uses one after the other
};

inline QueryOptions ParseQueries(int argc, char** argv, const char* purpose) {
  Arguments arguments(argc, argv, purpose,
                      {{"core", "-1", "run on this core alone; -1: anywhere"},
                       {"host", "127.0.0.1", "the server's address"},
                       {"port", "0", "the server's port"},
                       {"connections", "1", "connections, each with a loop of its own"},
                       {"warmup", "0.3", "seconds before measuring"},
                       {"seconds", "1", "seconds of measuring"},
                       {"style", "", "by-turns: one thread uses all connections in turn"}});
  PinToCore(arguments.Integer("core"));
  return {arguments.Text("host"),
          static_cast<std::uint16_t>(arguments.Integer("port")),
          static_cast<std::size_t>(arguments.Integer("connections")),
          arguments.Number("warmup"),
          arguments.Number("seconds"),
          arguments.Text("style") == "by-turns"};
}

// A figure of this process, in bytes: "VmRSS", "VmSize".
inline std::size_t MemoryOf(const char* name) {
  std::FILE* status = std::fopen("/proc/self/status", "r");
  if (status == nullptr) return 0;
  char line[256];
  std::size_t kilobytes = 0;
  std::string format = std::string(name) + ": %zu";
  while (std::fgets(line, sizeof line, status) != nullptr &&
         std::sscanf(line, format.c_str(), &kilobytes) != 1) {
  }
  std::fclose(status);
  return kilobytes * 1024;
}

// One connection's counts. Made, and its memory touched, before memory is measured.
struct Lane {
  Histogram histogram;
  std::uint64_t calls = 0;
  std::uint64_t errors = 0;
};

// Client: made with QueryOptions it connects, and ends the program if it cannot; `bool Query()`
// does one query, and says whether the answer was right.
template <typename Client>
class Queries {
 public:
  explicit Queries(const QueryOptions& options) : options_(options), lanes_(options.connections) {}

  void Run() {
    // What is needed but once shall not count as a connection's.
    Start([this] {
      if (!Client(options_).Query()) ++lanes_[0].errors;
    }).join();
    std::size_t resident = MemoryOf("VmRSS");
    std::size_t space = MemoryOf("VmSize");
    std::vector<Runner> runners;
    for (std::size_t i = 0; i < (options_.by_turns ? 1 : options_.connections); ++i) {
      runners.push_back(Start([this, i] { Loop(i); }));
    }
    while (ready_.load() < runners.size()) usleep(1000);
    GoFirst();

    Nanos begin = Now() + Seconds(options_.warmup);
    Nanos end = begin + Seconds(options_.seconds);
    end_.store(end);
    begin_.store(begin);
    SleepUntil(begin);
    Nanos woke = Now();
    Nanos cpu = ReadClock(CLOCK_PROCESS_CPUTIME_ID);
    SleepUntil(end);
    // It may be late by now, and counts as a share of the time.
    double busy = static_cast<double>(ReadClock(CLOCK_PROCESS_CPUTIME_ID) - cpu) /
                  static_cast<double>(Now() - woke);
    resident = MemoryOf("VmRSS") - resident;
    space = MemoryOf("VmSize") - space;
    over_.store(true);
    for (Runner& runner : runners) runner.join();
    Print(busy, resident, space);
  }

 private:
  static Nanos Seconds(double seconds) { return static_cast<Nanos>(seconds * 1e9); }

  static void SleepUntil(Nanos time) {
    for (Nanos now = Now(); now < time; now = Now()) {
      usleep(static_cast<useconds_t>((time - now) / 1000 + 1));
    }
  }

  // At real-time priority: before the runners, to look at the clocks in time.
  static void GoFirst() {
    sched_param param{};
    if (sched_getscheduler(0) != SCHED_FIFO || sched_getparam(0, &param) != 0) return;
    ++param.sched_priority;
    sched_setscheduler(0, SCHED_FIFO, &param);
  }

#ifdef BENCH_COROUTINES
  using Runner = fastrpc::Coroutine<void>;

  template <typename F>
  static Runner Start(F run) {
    return fastrpc::spawn([run] {
      fastrpc::hook::Guard hooked;
      run();
    });
  }
#else
  using Runner = std::thread;

  template <typename F>
  static Runner Start(F run) {
    return std::thread(run);
  }
#endif

  // Not inlined: the same loop in both programs.
  __attribute__((noinline)) void Loop(std::size_t first) {
    std::vector<std::unique_ptr<Client>> clients(options_.by_turns ? lanes_.size() : 1);
    for (auto& client : clients) {
      client = std::make_unique<Client>(options_);
      if (!client->Query()) ++lanes_[first].errors;
    }
    ++ready_;
    for (std::size_t turn = 0; !over_.load(std::memory_order_relaxed);
         turn = turn + 1 == clients.size() ? 0 : turn + 1) {
      Lane& lane = lanes_[first + turn];
      Nanos start = Now();
      bool right = clients[turn]->Query();
      Nanos now = Now();
      if (!right) ++lane.errors;
      if (now >= begin_.load(std::memory_order_relaxed) &&
          now < end_.load(std::memory_order_relaxed)) {
        ++lane.calls;
        lane.histogram.Record(now - start, 1);
      }
    }
  }

  void Print(double busy, std::size_t resident, std::size_t space) {
    Lane all;
    for (Lane& lane : lanes_) {
      all.histogram.Add(lane.histogram);
      all.calls += lane.calls;
      all.errors += lane.errors;
    }
    auto connections = static_cast<double>(options_.connections);
    std::printf(
        "{\"calls\": %llu, \"seconds\": %.6f, \"p50_us\": %.3f, \"p99_us\": %.3f, "
        "\"client_cpu_us\": %.4f, \"resident_bytes\": %.0f, \"address_bytes\": %.0f, "
        "\"errors\": %llu}\n",
        static_cast<unsigned long long>(all.calls), options_.seconds,
        all.histogram.Percentile(50) / 1e3, all.histogram.Percentile(99) / 1e3,
        busy * options_.seconds * 1e6 / static_cast<double>(std::max<std::uint64_t>(all.calls, 1)),
        static_cast<double>(resident) / connections, static_cast<double>(space) / connections,
        static_cast<unsigned long long>(all.errors));
    std::fflush(stdout);
  }

  const QueryOptions options_;
  std::vector<Lane> lanes_;
  std::atomic<std::size_t> ready_{0};
  std::atomic<Nanos> begin_{std::numeric_limits<Nanos>::max()};
  std::atomic<Nanos> end_{0};
  std::atomic<bool> over_{false};
};

}  // namespace bench
