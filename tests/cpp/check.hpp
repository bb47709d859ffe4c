// Checks that say what was not so, and tests that run one after the other.
#pragma once

#include <cstdio>
#include <cstdlib>

#define CHECK(condition)                                                           \
  do {                                                                             \
    if (!(condition)) {                                                            \
      std::fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      std::exit(1);                                                                \
    }                                                                              \
  } while (0)

#define RUN(test)               \
  do {                          \
    std::printf("%s\n", #test); \
    std::fflush(stdout);        \
    test();                     \
  } while (0)

// Whether it means something how long things take: not under valgrind.
inline bool times_count() {
  return std::getenv("FASTRPC_TEST_SLOW") == nullptr;
}
