// Coroutines, locks and timers from C++, and what a switch must not disturb.
#include <fastrpc/fastrpc.hpp>
#include <fastrpc/rpc_client.hpp>
#include <fastrpc/rpc_server.hpp>

#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <exception>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

namespace {

void results_and_exceptions_reach_the_joiner() {
  CHECK(fastrpc::spawn([] { return 7; }).join() == 7);
  auto moved = fastrpc::spawn([] { return std::make_unique<int>(8); }).join();
  CHECK(*moved == 8);
  std::string what;
  try {
    fastrpc::spawn([] { throw std::runtime_error("told"); }).join();
  } catch (const std::runtime_error& error) {
    what = error.what();
  }
  CHECK(what == "told");
  auto failed = fastrpc::spawn([]() -> int { throw std::runtime_error("told"); });
  auto result = failed.join(std::nothrow);
  CHECK(!result.ok() && result.error().text() == "told");
}

// Each coroutine yields inside a catch block: `throw;` must rethrow its own exception.
void exceptions_in_flight_belong_to_the_coroutine() {
  std::vector<fastrpc::Coroutine<bool>> coroutines;
  for (int id = 0; id < 4; ++id) {
    coroutines.push_back(fastrpc::spawn([id] {
      std::string own = "E" + std::to_string(id);
      try {
        throw std::runtime_error(own);
      } catch (const std::exception&) {
        for (int i = 0; i < 3 + id; ++i) fastrpc::yield();
        auto current = std::current_exception();
        fastrpc::sleep_for(1ms);
        if (current != std::current_exception() || std::uncaught_exceptions() != 0) return false;
        try {
          throw;
        } catch (const std::exception& again) {
          return again.what() == own;
        }
      }
      return false;
    }));
  }
  int right = 0;
  for (auto& coroutine : coroutines) right += coroutine.join();
  CHECK(right == 4);
}

thread_local int thread_slot = 0;

void errno_thread_locals_and_mutexes_survive_a_wait() {
  fastrpc::spawn([] {
    thread_slot = 7;
    pthread_t self = pthread_self();
    pthread_mutexattr_t attributes;
    pthread_mutex_t mutex;
    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_settype(&attributes, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&mutex, &attributes);
    CHECK(pthread_mutex_lock(&mutex) == 0);
    auto other = fastrpc::spawn([] { errno = EIO; });
    errno = EAGAIN;
    fastrpc::sleep_for(5ms);
    CHECK(errno == EAGAIN);
    CHECK(thread_slot == 7);
    CHECK(pthread_equal(self, pthread_self()));
    CHECK(pthread_mutex_unlock(&mutex) == 0);
    other.join();
    pthread_mutex_destroy(&mutex);
    pthread_mutexattr_destroy(&attributes);
  }).join();
}

void locks_work_between_threads_and_coroutines() {
  fastrpc::mutex mutex;
  int count = 0;
  auto work = [&] {
    for (int i = 0; i < 1000; ++i) {
      std::lock_guard<fastrpc::mutex> guard(mutex);
      int seen = count;
      if (i % 100 == 0) fastrpc::yield();
      count = seen + 1;
    }
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) coroutines.push_back(fastrpc::spawn(work));
  for (int i = 0; i < 2; ++i) threads.emplace_back(work);
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK(count == 6000);
}

void a_queue_hands_over_between_a_thread_and_a_coroutine() {
  fastrpc::queue<std::unique_ptr<int>> queue(4);
  auto sum = fastrpc::spawn([&queue] {
    int total = 0;
    try {
      for (;;) total += *queue.pop();
    } catch (const fastrpc::Error& error) {
      CHECK(error.is_closed());
    }
    return total;
  });
  for (int i = 1; i <= 100; ++i) queue.push(std::make_unique<int>(i));
  queue.close();
  CHECK(sum.join() == 5050);
}

void locals_are_destroyed_with_their_coroutine() {
  static std::atomic<int> alive{0};
  struct Counted {
    Counted() { ++alive; }
    ~Counted() { --alive; }
    int value = 0;
  };
  static fastrpc::local<Counted> slot;
  for (int i = 0; i < 3; ++i) {
    fastrpc::spawn([i] {
      CHECK(slot.get() == nullptr);
      slot->value = i;
      fastrpc::yield();
      CHECK(slot->value == i && alive == 1);
    }).join();
  }
  CHECK(alive == 0);
}

void cancelling_ends_waits_with_an_error() {
  auto sleeper = fastrpc::spawn([] {
    try {
      fastrpc::sleep_for(100s);
    } catch (const fastrpc::Error& error) {
      return error.is_canceled();
    }
    return false;
  });
  sleeper.cancel();
  CHECK(sleeper.join());
}

void the_original_spelling_runs_inline_in_a_coroutine() {
  fastrpc::wait_group group;
  group.add(1);
  CHECK(fastrpc::ProcessWithNewCro([&group] {
    int ran = 0;
    CHECK(!fastrpc::ProcessWithNewCro([&ran] { ++ran; }));
    CHECK(ran == 1);
    group.done();
  }));
  group.wait();
}

}  // namespace

int main() {
  RUN(results_and_exceptions_reach_the_joiner);
  RUN(exceptions_in_flight_belong_to_the_coroutine);
  RUN(errno_thread_locals_and_mutexes_survive_a_wait);
  RUN(locks_work_between_threads_and_coroutines);
  RUN(a_queue_hands_over_between_a_thread_and_a_coroutine);
  RUN(locals_are_destroyed_with_their_coroutine);
  RUN(cancelling_ends_waits_with_an_error);
  RUN(the_original_spelling_runs_inline_in_a_coroutine);
}
