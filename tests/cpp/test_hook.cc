// Hooks from C++: the program's own calls, those of a library that it is linked with, and of one
// that it opens; the switch; and what a call leaves as it was.
#include <fastrpc/fastrpc.hpp>

#include <dlfcn.h>
#include <netdb.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"
#include "suspends.hpp"
#include "workers.hpp"

using namespace std::chrono_literals;

extern "C" int blocking_library_read(int fd);

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

thread_local int slot = 0;

// After each of many waits the thread and what belongs to it are the same.
void a_wait_changes_nothing_of_the_thread() {
  std::atomic<int> wrong{0};
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < 32; ++i) {
    coroutines.push_back(fastrpc::spawn([&wrong, i] {
      fastrpc::hook::Guard hooked;
      int fds[2];
      CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
      timeval limit{0, 1000};
      setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
      for (int j = 0; j < 50; ++j) {
        pthread_t self = pthread_self();
        long id = syscall(SYS_gettid);
        int* place = &slot;
        char byte;
        errno = i;
        if (j % 2 == 0) {
          if (recv(fds[0], &byte, 1, 0) != -1 || errno != EAGAIN) ++wrong;
        } else {
          if (usleep(500) != 0) ++wrong;
        }
        if (!pthread_equal(self, pthread_self()) || id != syscall(SYS_gettid) || place != &slot)
          ++wrong;
      }
      close(fds[0]);
      close(fds[1]);
    }));
  }
  for (auto& coroutine : coroutines) coroutine.join();
  CHECK(wrong == 0);
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
  CHECK(report.find("taken by others: none\n") != std::string::npos);
  CHECK(report.find("found when it was loaded") != std::string::npos);
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
  RUN(a_wait_changes_nothing_of_the_thread);
  RUN(hosts_are_looked_up);
  RUN(the_report_names_what_is_hooked);
}
