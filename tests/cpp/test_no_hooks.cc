// A library that was built without hooks: what would switch them says so or does nothing, and calls
// of libc are libc's.
#include <fastrpc/compat/coroutine.h>
#include <fastrpc/fastrpc.hpp>

#include <dlfcn.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <new>

#include "check.hpp"

using namespace std::chrono_literals;

namespace {

void the_switch_says_that_there_are_none() {
  CHECK(fastrpc::hook::enable(std::nothrow).error().status() == FASTRPC_ESTATE);
  fastrpc::spawn([] {
    CHECK(!fastrpc::hook::is_enabled());
    CHECK(fastrpc::hook::enable(std::nothrow).error().status() == FASTRPC_ESTATE);
    CHECK(fastrpc::hook::disable(std::nothrow).error().status() == FASTRPC_ESTATE);
    {
      fastrpc::hook::Guard nothing_happens;
      CHECK(!fastrpc::hook::is_enabled());
    }
    // The names of 2016 have no way to say it.
    co_enable_hook_sys();
    CHECK(!co_is_enable_sys_hook());
    co_disable_hook_sys();
  }).join();
  CHECK(fastrpc::hook::report() == "fastrpc was built without hooks\n");
  CHECK(fastrpc::hook::waits_with_locks() == 0 && fastrpc::hook::deadlocks_averted() == 0);
}

// The option and the environment would have hooked all coroutines.
void a_call_of_libc_blocks_the_worker() {
  std::atomic<bool> done{false};
  std::atomic<int> ticks{0};
  auto ticker = fastrpc::spawn([&] {
    while (!done) {
      fastrpc::sleep_for(1ms);
      ++ticks;
    }
  });
  fastrpc::spawn([&] {
    co_enable_hook_sys();
    int before = ticks;
    CHECK(usleep(50000) == 0);
    CHECK(ticks == before);
    // Ours suspends.
    while (ticks == before) fastrpc::sleep_for(5ms);
  }).join();
  done = true;
  ticker.join();
}

// To whatever else they lead.
void no_name_of_libc_is_ours() {
  Dl_info own{};
  CHECK(dladdr(reinterpret_cast<void*>(&fastrpc_hook_enable), &own) != 0);
  for (const char* name : {"read", "connect", "poll", "usleep", "getaddrinfo", "sem_post",
                           "pthread_mutex_lock", "pthread_rwlock_rdlock", "pthread_cond_wait"}) {
    void* address = dlsym(RTLD_DEFAULT, name);
    Dl_info found{};
    CHECK(address != nullptr && dladdr(address, &found) != 0);
    CHECK(found.dli_fbase != own.dli_fbase);
  }
}

}  // namespace

int main() {
  setenv("FASTRPC_HOOK", "1", 1);
  setenv("FASTRPC_HOOK_LOCKS", "1", 1);
  fastrpc::RuntimeOptions options;
  options.workers = 1;
  options.hook = true;
  options.hook_locks = true;
  fastrpc::configure(options);
  RUN(the_switch_says_that_there_are_none);
  RUN(a_call_of_libc_blocks_the_worker);
  RUN(no_name_of_libc_is_ours);
}
