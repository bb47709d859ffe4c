// What servers and the client of the push fan-out agree on.
#pragma once

#include <cstdio>
#include <string>

#include "measure.hpp"

namespace bench {

// A call with this message: from now on the connection gets pushes.
constexpr char kJoin[] = "join";
// A call with this message: push to all.
constexpr char kGo[] = "go";

// What is pushed: the time, and as much as makes it this long. A frame ends with it.
constexpr std::size_t kPushed = 64;
constexpr std::size_t kDigits = 20;

inline std::string Stamp() {
  char digits[kDigits + 1];
  std::snprintf(digits, sizeof digits, "%020llu", static_cast<unsigned long long>(Now()));
  return std::string(digits, kDigits).append(kPushed - kDigits, 'x');
}

}  // namespace bench
