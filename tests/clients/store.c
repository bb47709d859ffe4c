// A library between a program and libmemcached.

#include "store.h"

#include <libmemcached/memcached.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

struct store {
  memcached_st* memcached;
};

struct store* store_open(int port, int is_binary, int timeout_ms) {
  struct store* store = malloc(sizeof *store);
  if (store == NULL) return NULL;
  memcached_st* memcached = memcached_create(NULL);
  store->memcached = memcached;
  uint64_t timeout = (uint64_t)timeout_ms;
  memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, (uint64_t)is_binary);
  memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_POLL_TIMEOUT, timeout);
  memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, timeout);
  memcached_behavior_set(memcached, MEMCACHED_BEHAVIOR_SUPPORT_CAS, 1);
  memcached_server_add(memcached, "127.0.0.1", (in_port_t)port);
  return store;
}

void store_close(struct store* store) {
  memcached_free(store->memcached);
  free(store);
}

int store_set(struct store* store, const char* key, const char* value, size_t size) {
  return (int)memcached_set(store->memcached, key, strlen(key), value, size, 0, 0);
}

char* store_get(struct store* store, const char* key, size_t* size, int* error) {
  memcached_return_t code;
  uint32_t flags;
  char* value = memcached_get(store->memcached, key, strlen(key), size, &flags, &code);
  *error = (int)code;
  // For an empty value libmemcached returns NULL.
  if (value == NULL && code == MEMCACHED_SUCCESS) return calloc(1, 1);
  return value;
}

const char* store_error(struct store* store) {
  return memcached_last_error_message(store->memcached);
}

struct memcached_st* store_memcached(struct store* store) {
  return store->memcached;
}
