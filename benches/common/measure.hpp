// Counts calls, latencies and CPU time over exactly one interval that begins after a warm-up.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "setup.hpp"

namespace bench {

using Nanos = std::uint64_t;

inline Nanos ReadClock(clockid_t clock) {
  timespec time{};
  if (clock_gettime(clock, &time) != 0) {
    std::perror("clock_gettime");
    std::exit(2);
  }
  return static_cast<Nanos>(time.tv_sec) * 1'000'000'000 + static_cast<Nanos>(time.tv_nsec);
}

inline Nanos Now() {
  return ReadClock(CLOCK_MONOTONIC);
}

// Latencies in buckets that grow with the value: 128 to each power of two, so no percentile is off
// by more than 0.8 %, and recording costs a shift and an addition.
class Histogram {
 public:
  Histogram() : counts_((64 - kBits + 1) << kBits) {}

  void Record(Nanos value, std::uint32_t times) {
    counts_[Index(value)] += times;
    total_ += times;
  }

  void Add(const Histogram& other) {
    for (std::size_t i = 0; i < counts_.size(); ++i) counts_[i] += other.counts_[i];
    total_ += other.total_;
  }

  double Percentile(double percent) const {
    if (total_ == 0) return 0;
    auto rank = static_cast<std::uint64_t>(static_cast<double>(total_) * percent / 100);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < counts_.size(); ++i) {
      seen += counts_[i];
      if (seen > rank || seen == total_) return Middle(i);
    }
    return 0;
  }

 private:
  static constexpr int kBits = 7;

  static std::size_t Index(Nanos value) {
    if (value >> kBits == 0) return value;
    int shift = 63 - __builtin_clzll(value) - kBits;
    return (static_cast<std::size_t>(shift) << kBits) + (value >> shift);
  }

  static double Middle(std::size_t index) {
    std::size_t group = index >> kBits;
    if (group < 2) return static_cast<double>(index);
    std::size_t shift = group - 1;
    Nanos low = static_cast<Nanos>(index - (shift << kBits)) << shift;
    return static_cast<double>(low) + static_cast<double>(Nanos{1} << shift) / 2;
  }

  std::vector<std::uint32_t> counts_;
  std::uint64_t total_ = 0;
};

// For one thread: a client tells it of every answer, and stops when Done() says so.
class Measurement {
 public:
  explicit Measurement(const ClientOptions& options)
      : seconds_(Seconds(options.seconds)), begin_(Now() + Seconds(options.warmup)) {
    if (options.server_pid != 0) {
      has_server_ = clock_getcpuclockid(options.server_pid, &server_clock_) == 0;
      if (!has_server_) {
        std::fprintf(stderr, "cannot read the CPU time of process %d\n", options.server_pid);
        std::exit(2);
      }
    }
  }

  // `times` calls that began at `start` were answered by `now`.
  void Answered(Nanos start, Nanos now, std::uint32_t times = 1) {
    if (measuring_) {
      calls_ += times;
      histogram_.Record(now - start, times);
    }
  }

  // A call ended in an error or in an answer that is not the request's echo. Counted in the
  // warm-up too: a benchmark of failures is worth nothing.
  void Failed() { ++errors_; }

  // Once after each batch of answers. The interval begins and ends here, between two batches.
  bool Done(Nanos now) {
    if (now < begin_ || done_) return done_;
    if (!measuring_) {
      measuring_ = true;
      server_cpu_ = ServerCpu();
      client_cpu_ = ReadClock(CLOCK_PROCESS_CPUTIME_ID);
      begin_ = Now();
    } else if (now - begin_ >= seconds_) {
      measuring_ = false;
      done_ = true;
      end_ = now;
      server_cpu_ = ServerCpu() - server_cpu_;
      client_cpu_ = ReadClock(CLOCK_PROCESS_CPUTIME_ID) - client_cpu_;
    }
    return done_;
  }

  void Print() const {
    double calls = static_cast<double>(std::max<std::uint64_t>(calls_, 1));
    std::printf("{\"calls\": %llu, \"seconds\": %.6f, \"p50_us\": %.3f, \"p99_us\": %.3f, ",
                static_cast<unsigned long long>(calls_), static_cast<double>(end_ - begin_) / 1e9,
                histogram_.Percentile(50) / 1e3, histogram_.Percentile(99) / 1e3);
    if (has_server_) {
      std::printf("\"server_cpu_us\": %.4f, ", static_cast<double>(server_cpu_) / 1e3 / calls);
    }
    std::printf("\"client_cpu_us\": %.4f, \"errors\": %llu}\n",
                static_cast<double>(client_cpu_) / 1e3 / calls,
                static_cast<unsigned long long>(errors_));
    std::fflush(stdout);
  }

 private:
  static Nanos Seconds(double seconds) { return static_cast<Nanos>(seconds * 1e9); }
  Nanos ServerCpu() const { return has_server_ ? ReadClock(server_clock_) : 0; }

  Histogram histogram_;
  Nanos seconds_;
  Nanos begin_;
  Nanos end_ = 0;
  std::uint64_t calls_ = 0;
  std::uint64_t errors_ = 0;
  Nanos server_cpu_ = 0;
  Nanos client_cpu_ = 0;
  clockid_t server_clock_ = 0;
  bool has_server_ = false;
  bool measuring_ = false;
  bool done_ = false;
};

}  // namespace bench
