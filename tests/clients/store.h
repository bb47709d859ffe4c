// A library between a program and libmemcached. It is not linked with fastrpc.
#ifndef STORE_H
#define STORE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store;

// A store at a port of this host, whose answers are waited for so many milliseconds.
struct store* store_open(int port, int is_binary, int timeout_ms);
void store_close(struct store* store);

// 0, or a number of libmemcached's.
int store_set(struct store* store, const char* key, const char* value, size_t size);
// To be freed by free(); NULL if there is none, and then `error` says why.
char* store_get(struct store* store, const char* key, size_t* size, int* error);

// What the last call said of itself.
const char* store_error(struct store* store);

// What it stands on.
struct memcached_st* store_memcached(struct store* store);

#ifdef __cplusplus
}
#endif

#endif
