// With an allocator of its own that locks mutexes of pthreads, a program works as with any other;
// with `hook_locks` too, for locks within the allocator do not suspend.
#include <fastrpc/fastrpc.hpp>

#include <semaphore.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

extern "C" unsigned long locking_allocator_calls();

namespace {

void allocate_a_lot() {
  std::vector<std::string> texts;
  for (int i = 0; i < 300; ++i) {
    texts.emplace_back(static_cast<std::size_t>(20 + i), 'x');
    if (i % 50 == 0) usleep(100);
    if (i % 3 == 0) texts.erase(texts.begin());
  }
}

void threads_and_coroutines_allocate() {
  unsigned long before = locking_allocator_calls();
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < 40; ++i) coroutines.push_back(fastrpc::spawn(allocate_a_lot));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(allocate_a_lot);
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK(locking_allocator_calls() > before + 10000);
  // No coroutine has waited with the allocator's lock.
  CHECK(fastrpc::hook::waits_with_locks() == 0);
}

// What a wait with a lock leads to takes memory, and the allocator locks.
void a_wait_with_a_lock_is_noted() {
  std::mutex mutex;
  fastrpc::spawn([&] {
    std::lock_guard<std::mutex> lock(mutex);
    usleep(1000);
  }).join();
  CHECK(fastrpc::hook::waits_with_locks() == 1);
}

void a_child_allocates() {
  fastrpc::spawn([] {
    pid_t child = fork();
    if (child == 0) {
      allocate_a_lot();
      sem_t semaphore;
      bool right =
          sem_init(&semaphore, 0, 0) == 0 && sem_post(&semaphore) == 0 && sem_wait(&semaphore) == 0;
      _exit(right ? 0 : 1);
    }
    int status = -1;
    CHECK(waitpid(child, &status, 0) == child && status == 0);
  }).join();
}

}  // namespace

int main(int argc, char** argv) {
  CHECK(locking_allocator_calls() > 0);
  fastrpc::RuntimeOptions options;
  const char* workers = std::getenv("FASTRPC_TEST_WORKERS");
  options.workers = workers != nullptr ? std::stoul(workers) : 1;
  options.hook = true;
  options.hook_locks = argc > 1 && argv[1] == std::string("suspend");
  fastrpc::configure(options);
  RUN(threads_and_coroutines_allocate);
  RUN(a_wait_with_a_lock_is_noted);
  RUN(a_child_allocates);
}
