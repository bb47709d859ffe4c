// How many workers a test has: each is run with 1 and with 4.
#pragma once

#include <fastrpc/runtime.hpp>

#include <cstdlib>

// To be called first in main().
inline void configure_workers() {
  fastrpc::RuntimeOptions options;
  if (const char* wanted = std::getenv("FASTRPC_TEST_WORKERS"))
    options.workers = std::strtoul(wanted, nullptr, 10);
  fastrpc::configure(options);
}
