/* Checks that say what was not so. */
#ifndef FASTRPC_TESTS_C_CHECK_H_
#define FASTRPC_TESTS_C_CHECK_H_

#include <fastrpc/fastrpc.h>

#include <stdio.h>
#include <stdlib.h>

#define CHECK(condition)                                                      \
  do {                                                                        \
    if (!(condition)) {                                                       \
      fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
      exit(1);                                                                \
    }                                                                         \
  } while (0)

/* Calls a function and compares the status it returns. */
#define RETURNS(wanted, call)                                                            \
  do {                                                                                   \
    fastrpc_status returned = (call);                                                    \
    if (returned != (wanted)) {                                                          \
      fprintf(stderr, "%s:%d: %s: \"%s\", not " #wanted "\n", __FILE__, __LINE__, #call, \
              fastrpc_status_text(returned));                                            \
      exit(1);                                                                           \
    }                                                                                    \
  } while (0)

#endif
