// A library between a program and libmemcached. It is not linked with fastrpc.
#ifndef STORE_H
#define STORE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

struct store;

// Opens a store at a port of this host, with a time-out in milliseconds.
struct store* store_open(int port, int is_binary, int timeout_ms);
void store_close(struct store* store);

// Returns 0, or an error number of libmemcached.
int store_set(struct store* store, const char* key, const char* value, size_t size);
// Returns a value to be freed by free(), or NULL and sets `error`.
char* store_get(struct store* store, const char* key, size_t* size, int* error);

// Returns the message of the last call.
const char* store_error(struct store* store);

// Returns the libmemcached handle underneath.
struct memcached_st* store_memcached(struct store* store);

#ifdef __cplusplus
}
#endif

#endif
