// libmemcached, through a library of ours: test_memcached SERVER.
#include <libmemcached/memcached.h>

#include <cstdlib>
#include <iomanip>
#include <memory>
#include <sstream>
#include <string>

#include "scenario.hpp"
#include "store.h"

using namespace clients;

namespace {

struct CloseStore {
  void operator()(store* open) const { store_close(open); }
};
struct FreeResult {
  void operator()(memcached_result_st* result) const { memcached_result_free(result); }
};
using Store = std::unique_ptr<store, CloseStore>;
using Result = std::unique_ptr<memcached_result_st, FreeResult>;

constexpr int kPatience = 60000;

int port = 0;

Store open(int number, int way, int timeout) {
  Store opened(store_open(number, way % 2, timeout));
  CHECK(opened);
  return opened;
}

// In turn by the text protocol and by the binary one.
Store dial(int i = 0) {
  Store opened = open(port, i, kPatience);
  CHECK(memcached_version(store_memcached(opened.get())) == MEMCACHED_SUCCESS);
  return opened;
}

void set(const Store& opened, const std::string& key, const std::string& value) {
  int code = store_set(opened.get(), key.c_str(), value.data(), value.size());
  if (code != MEMCACHED_SUCCESS) {
    std::cerr << store_error(opened.get()) << '\n';
    std::exit(1);
  }
}

std::string get(const Store& opened, const std::string& key) {
  std::size_t size = 0;
  int code = 0;
  char* value = store_get(opened.get(), key.c_str(), &size, &code);
  if (value == nullptr) {
    std::cerr << store_error(opened.get()) << '\n';
    std::exit(1);
  }
  std::string copy(value, size);
  std::free(value);
  return copy;
}

// Returns the message of a get that must fail.
std::string failed_get(const Store& opened) {
  std::size_t size = 0;
  int code = 0;
  CHECK(store_get(opened.get(), "key", &size, &code) == nullptr);
  // The message begins with the handle's address.
  std::string said = store_error(opened.get());
  return "error " + std::to_string(code) + ": " + said.substr(said.find(") ") + 2);
}

std::string key(const char* name, int i, int j = 0) {
  return name + std::to_string(i) + ":" + std::to_string(j);
}

// This server has no slow command.
void many_work_at_a_time_on_one_thread() {
  many_at_a_time(dial, [](const Store& opened, int i) {
    for (int j = 0; j < 20; ++j) {
      std::string value = random_bytes(static_cast<std::size_t>(i * 10 + j));
      set(opened, key("many", i), value);
      CHECK(get(opened, key("many", i)) == value);
    }
  });
}

void payloads_of_all_sizes_come_back() {
  in_both(kSizeCount, [](int i) {
    std::string value = random_bytes(kSizes[i % kSizeCount]);
    Store opened = dial(i);
    set(opened, key("payload", i), value);
    CHECK(get(opened, key("payload", i)) == value);
  });
}

void many_keys_are_asked_for_at_once() {
  in_both(4, [](int i) {
    constexpr int kKeys = 500;
    Store opened = dial(i);
    memcached_st* memcached = store_memcached(opened.get());
    std::vector<std::string> keys;
    for (int j = 0; j < kKeys; ++j) {
      keys.push_back(key("among", i, j));
      set(opened, keys.back(), keys.back() + std::string(1000, 'x'));
    }
    std::vector<const char*> names;
    std::vector<std::size_t> sizes;
    for (const std::string& name : keys) {
      names.push_back(name.data());
      sizes.push_back(name.size());
    }
    CHECK(memcached_mget(memcached, names.data(), sizes.data(), names.size()) == MEMCACHED_SUCCESS);
    int found = 0;
    memcached_return_t code;
    while (Result result{memcached_fetch_result(memcached, nullptr, &code)}) {
      std::string name(memcached_result_key_value(result.get()),
                       memcached_result_key_length(result.get()));
      std::string value(memcached_result_value(result.get()),
                        memcached_result_length(result.get()));
      CHECK(value == name + std::string(1000, 'x'));
      ++found;
    }
    CHECK(found == kKeys);
  });
}

// Each increments the same number by compare-and-swap, and tries again when another was faster.
void changes_are_not_lost() {
  set(dial(), "number", "0");
  in_both(4, [](int i) {
    Store opened = dial(i);
    memcached_st* memcached = store_memcached(opened.get());
    const char* name = "number";
    std::size_t size = 6;
    for (int done = 0; done < 25;) {
      CHECK(memcached_mget(memcached, &name, &size, 1) == MEMCACHED_SUCCESS);
      memcached_return_t code;
      std::string value;
      std::uint64_t unique = 0;
      while (Result result{memcached_fetch_result(memcached, nullptr, &code)}) {
        value.assign(memcached_result_value(result.get()), memcached_result_length(result.get()));
        unique = memcached_result_cas(result.get());
      }
      value = std::to_string(std::stoi(value) + 1);
      code = memcached_cas(memcached, name, size, value.data(), value.size(), 0, 0, unique);
      CHECK(code == MEMCACHED_SUCCESS || code == MEMCACHED_DATA_EXISTS);
      if (code == MEMCACHED_SUCCESS) ++done;
    }
  });
  CHECK(get(dial(), "number") == "200");
}

void a_read_timeout_is_the_clients() {
  Port silent(Port::kSilent);
  for (int way : {0, 1})
    says_the_same([=, number = silent.number()] { return failed_get(open(number, way, 100)); });
}

void a_refused_connection_is_reported() {
  Port refused(Port::kRefused);
  says_the_same([number = refused.number()] { return failed_get(open(number, 0, kPatience)); });
}

// Counts connections to the server with bytes that it has not read.
int unread() {
  std::ifstream table("/proc/net/tcp");
  std::ostringstream wanted;
  wanted << ':' << std::hex << std::uppercase << std::setw(4) << std::setfill('0') << port;
  int count = 0;
  for (std::string number, local, peer, state, queues; table >> number >> local >> peer >> state;) {
    table >> queues;
    bool has_some = queues.size() == 17 && queues.substr(9) != "00000000";
    // 01 is a connection, 0A a listener.
    if (local.find(wanted.str()) == 8 && state == "01" && has_some) ++count;
    std::getline(table, queues);
  }
  return count;
}

void a_killed_server_ends_what_waits(Process& server) {
  server.freeze();
  says_the_same([] { return failed_get(open(port, 0, kPatience)); },
                [&server] {
                  until([] { return unread() == 6; });
                  server.stop();
                });
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  start_workers();
  Folder folder;
  Process server;
  auto start = [&](int number) {
    return Process(folder, {argv[1], "-u", "root", "-l", "127.0.0.1", "-U", "0", "-p",
                            std::to_string(number), "-I", "32m", "-m", "1024", "-c", "1000"});
  };
  port = start_on_free_port(folder, server, start, [](int number) {
    Store opened = open(number, 0, kPatience);
    return memcached_version(store_memcached(opened.get())) == MEMCACHED_SUCCESS;
  });
  RUN_SCENARIO(many_work_at_a_time_on_one_thread);
  RUN_SCENARIO(payloads_of_all_sizes_come_back);
  RUN_SCENARIO(many_keys_are_asked_for_at_once);
  RUN_SCENARIO(changes_are_not_lost);
  RUN_SCENARIO(a_read_timeout_is_the_clients);
  RUN_SCENARIO(a_refused_connection_is_reported);
  auto a_killed_server = [&] { a_killed_server_ends_what_waits(server); };
  RUN_SCENARIO(a_killed_server);
}
