// Hooks from C++: the program's own calls, those of a library that it is linked with, and of one
// that it opens; and the switch.
#include <fastrpc/fastrpc.hpp>

#include <dlfcn.h>
#include <netdb.h>
#include <semaphore.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "suspends.hpp"
#include "workers.hpp"

using namespace std::chrono_literals;

extern "C" int blocking_library_read(int fd);
extern "C" int blocking_library_wait(sem_t* semaphore);
extern "C" void blocking_library_post(sem_t* semaphore);
extern "C" int blocking_library_was_early();

namespace {

const char* opened_library = nullptr;

void the_programs_own_calls_suspend() {
  suspends([](int fd) {
    unsigned char byte = 0;
    return read(fd, &byte, 1) == 1 ? byte : -1;
  });
}

void calls_of_a_linked_library_suspend() {
  suspends([](int fd) { return blocking_library_read(fd); });
}

void calls_of_an_opened_library_suspend() {
  for (int flags : {RTLD_NOW, RTLD_LAZY}) {
    void* library = dlopen(opened_library, flags | RTLD_LOCAL);
    CHECK(library != nullptr);
    auto wait = reinterpret_cast<int (*)(int)>(dlsym(library, "blocking_library_poll"));
    CHECK(wait != nullptr);
    suspends(wait);
    dlclose(library);
  }
}

void the_switch_is_the_coroutines_own() {
  CHECK(!fastrpc::hook::is_enabled());
  CHECK(fastrpc::hook::enable(std::nothrow).error().status() == FASTRPC_ESTATE);
  std::string what;
  try {
    fastrpc::hook::enable();
  } catch (const fastrpc::Error& error) {
    what = error.what();
  }
  CHECK(what.find("in a coroutine") != std::string::npos);
  { fastrpc::hook::Guard nothing_happens; }
  fastrpc::spawn([] {
    CHECK(!fastrpc::hook::is_enabled());
    fastrpc::hook::enable();
    CHECK(fastrpc::hook::is_enabled());
    {
      fastrpc::hook::Guard off(false);
      CHECK(!fastrpc::hook::is_enabled());
    }
    CHECK(fastrpc::hook::is_enabled());
    fastrpc::spawn([] { CHECK(!fastrpc::hook::is_enabled()); }).join();
    fastrpc::hook::disable();
    CHECK(!fastrpc::hook::is_enabled());
  }).join();
}

void plain_threads_block_as_ever() {
  int fds[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
  std::thread peer([fd = fds[1]] {
    usleep(20000);
    CHECK(write(fd, "x", 1) == 1);
  });
  CHECK(blocking_library_read(fds[0]) == 'x');
  peer.join();
  close(fds[0]);
  close(fds[1]);
}

// Two coroutines of a worker, and a thread, each by the program and by a library.
void semaphores_suspend() {
  sem_t go, gone;
  CHECK(sem_init(&go, 0, 0) == 0 && sem_init(&gone, 0, 0) == 0);
  fastrpc::spawn([&] {
    auto other = fastrpc::spawn([&] {
      fastrpc::hook::Guard hooked;
      for (int i = 0; i < 100; ++i) {
        CHECK((i % 2 == 0 ? sem_wait(&go) : blocking_library_wait(&go)) == 0);
        i % 3 == 0 ? void(sem_post(&gone)) : blocking_library_post(&gone);
      }
    });
    fastrpc::hook::Guard hooked;
    for (int i = 0; i < 100; ++i) {
      blocking_library_post(&go);
      CHECK(blocking_library_wait(&gone) == 0);
    }
    other.join();
    std::thread poster([&] { sem_post(&go); });
    CHECK(sem_wait(&go) == 0);
    timespec past{1, 0};
    CHECK(sem_timedwait(&go, &past) == -1 && errno == ETIMEDOUT);
    poster.join();
  }).join();
  CHECK(sem_destroy(&go) == 0 && sem_destroy(&gone) == 0);
}

std::mutex log_lock;
std::string logged;

// A std::mutex held in a wait is reported once for each pair of call sites, and the next coroutine
// that wants it waits for it.
void locks_held_in_waits_are_told_of() {
  fastrpc::set_log(fastrpc::LogLevel::warn,
                   [](fastrpc::LogLevel, std::string_view, std::string_view text) {
                     std::lock_guard<std::mutex> guard(log_lock);
                     logged.append(text).append("\n");
                   });
  std::uint64_t waits = fastrpc::hook::waits_with_locks();
  std::uint64_t deadlocks = fastrpc::hook::deadlocks_averted();
  static std::mutex lock;
  static std::vector<int> order;
  fastrpc::spawn([] {
    auto holder = fastrpc::spawn([] {
      fastrpc::hook::Guard hooked;
      for (int i = 0; i < 3; ++i) {
        std::lock_guard<std::mutex> guard(lock);
        CHECK(usleep(2000) == 0);
        order.push_back(1);
      }
    });
    fastrpc::yield();
    {
      std::unique_lock<std::mutex> guard(lock);
      order.push_back(2);
    }
    holder.join();
  }).join();
  CHECK((order == std::vector<int>{1, 2, 1, 1}));
  CHECK(fastrpc::hook::waits_with_locks() == waits + 3);
  CHECK(fastrpc::hook::deadlocks_averted() == deadlocks + 1);
  for (int i = 0; i < 1000; ++i) {
    fastrpc::sleep_for(10ms);
    std::lock_guard<std::mutex> guard(log_lock);
    if (logged.find("waits at") != std::string::npos &&
        logged.find("It locks at") != std::string::npos)
      break;
  }
  std::lock_guard<std::mutex> guard(log_lock);
  std::printf("%s", logged.c_str());
  CHECK(logged.find("locked it at") != std::string::npos);
  CHECK(logged.find("It locks at") != std::string::npos);
  CHECK(logged.find("pthread_mutex_unlock") == std::string::npos);
  // The wait's stack begins with what was called.
  size_t wait = logged.find("and waits at");
  CHECK(wait != std::string::npos && logged.find("usleep", wait) != std::string::npos);
  // Once, and once more with the whole stack of the lock.
  int told = 0;
  for (size_t at = 0; (at = logged.find("waits while it holds", at)) != std::string::npos; ++at)
    ++told;
  CHECK(told == 1 || told == 2);
}

void hosts_are_looked_up() {
  fastrpc::spawn([] {
    fastrpc::hook::Guard hooked;
    addrinfo* found = nullptr;
    CHECK(getaddrinfo("localhost", "80", nullptr, &found) == 0);
    char name[256];
    CHECK(getnameinfo(found->ai_addr, found->ai_addrlen, name, sizeof name, nullptr, 0, 0) == 0);
    freeaddrinfo(found);
    hostent* entry = gethostbyname("localhost");
    CHECK(entry != nullptr && entry->h_length > 0);
  }).join();
}

void the_report_names_what_is_hooked() {
  std::string report = fastrpc::hook::report();
  CHECK(report.find("hooked: __close ") != std::string::npos);
  bool alone = report.find("defined by others: none\n") != std::string::npos;
#ifdef __SANITIZE_ADDRESS__
  // Those of the sanitizer come first and call ours, which the tests above have seen to suspend.
  CHECK(!alone && report.find(" read (") != std::string::npos);
#else
  CHECK(alone);
#endif
  CHECK(report.find("resolved at load time") != std::string::npos);
}

// Functions that bypass the hooks are listed, with the objects that call them.
void the_report_names_who_calls_past_the_hooks() {
#ifndef __SANITIZE_ADDRESS__  // It forbids the flag.
  void* library = dlopen(opened_library, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
  CHECK(library != nullptr);
  std::string report = fastrpc::hook::report();
  std::size_t line = report.find("bypassing the hooks: " + std::string(opened_library) + " calls ");
  CHECK(line != std::string::npos);
  std::string calls = report.substr(line, report.find('\n', line) - line);
  for (const char* name : {" poll (", " recv (", " sem_wait ("})
    CHECK(calls.find(name) != std::string::npos);
  dlclose(library);
  CHECK(fastrpc::hook::report().find(opened_library) == std::string::npos);
#endif
}

void calls_before_main_are_libcs() {
  CHECK(blocking_library_was_early());
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(argc == 2);
  opened_library = argv[1];
  configure_workers();
  RUN(the_programs_own_calls_suspend);
  RUN(calls_of_a_linked_library_suspend);
  RUN(calls_of_an_opened_library_suspend);
  RUN(the_switch_is_the_coroutines_own);
  RUN(plain_threads_block_as_ever);
  RUN(semaphores_suspend);
  RUN(locks_held_in_waits_are_told_of);
  RUN(hosts_are_looked_up);
  RUN(the_report_names_what_is_hooked);
  RUN(the_report_names_who_calls_past_the_hooks);
  RUN(calls_before_main_are_libcs);
}
