// The library's log, for tests that look at what it says.
#pragma once

#include <fastrpc/coroutine.hpp>
#include <fastrpc/runtime.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

class Records {
 public:
  // Takes the library's records up to `level` from here on.
  void listen(fastrpc::LogLevel level = fastrpc::LogLevel::warn) {
    fastrpc::set_log(
        level, [this](fastrpc::LogLevel, std::string_view, std::string_view text) { add(text); });
  }
  // Whether there is a record of these two parts, now or soon; it is forgotten then.
  bool says(std::string_view what, std::string_view why = "") {
    for (int i = 0; i < 3000; ++i) {
      if (take(what, why)) return true;
      fastrpc::sleep_for(std::chrono::milliseconds(10));
    }
    auto [w, y] = std::pair(std::string(what), std::string(why));
    std::fprintf(stderr, "no record of '%s' and '%s'\n", w.c_str(), y.c_str());
    return false;
  }
  // The same of this very moment.
  bool take(std::string_view what, std::string_view why = "") {
    std::lock_guard<std::mutex> guard(lock_);
    auto found = std::find_if(lines_.begin(), lines_.end(), [&](const std::string& line) {
      return line.find(what) != line.npos && line.find(why) != line.npos;
    });
    if (found == lines_.end()) return false;
    lines_.erase(found);
    return true;
  }

 private:
  void add(std::string_view text) {
    std::lock_guard<std::mutex> guard(lock_);
    lines_.emplace_back(text);
  }

  std::mutex lock_;
  std::vector<std::string> lines_;
};

// Leaked: workers may write to it until the very end.
inline Records& records() {
  static auto* records = new Records;
  return *records;
}
