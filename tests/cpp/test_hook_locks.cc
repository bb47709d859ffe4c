// The locks of C++ by the option `hook_locks`: std::mutex and its kin suspend hooked coroutines, in
// any mix with plain threads.
#include <fastrpc/fastrpc.hpp>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <shared_mutex>
#include <string>
#include <thread>
#include <vector>

#include "check.hpp"

using namespace std::chrono_literals;

namespace {

// A queue as it is in any textbook.
class Queue {
 public:
  void push(int item) {
    std::unique_lock<std::mutex> lock(mutex_);
    space_.wait(lock, [this] { return items_.size() < 3; });
    items_.push_back(item);
    filled_.notify_one();
  }
  int pop() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (!filled_.wait_for(lock, 5s, [this] { return !items_.empty(); })) {
    }
    int item = items_.front();
    items_.pop_front();
    lock.unlock();
    space_.notify_one();
    return item;
  }

 private:
  std::mutex mutex_;
  std::condition_variable filled_, space_;
  std::deque<int> items_;
};

void a_queue_between_coroutines_and_threads() {
  constexpr int count = 2000;
  Queue queue;
  std::atomic<long> sum{0};
  auto produce = [&] {
    for (int i = 1; i <= count; ++i) queue.push(i);
  };
  auto consume = [&] {
    for (int i = 1; i <= count; ++i) sum += queue.pop();
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < 4; ++i) {
    coroutines.push_back(fastrpc::spawn(produce));
    coroutines.push_back(fastrpc::spawn(consume));
  }
  std::thread producer(produce), consumer(consume);
  for (auto& coroutine : coroutines) coroutine.join();
  producer.join();
  consumer.join();
  CHECK(sum == 5L * count * (count + 1) / 2);
}

void a_lock_that_a_thread_holds_suspends() {
  std::timed_mutex mutex;
  std::atomic<bool> waits{false};
  mutex.lock();
  auto waiter = fastrpc::spawn([&] {
    CHECK(!mutex.try_lock());
    CHECK(!mutex.try_lock_for(5ms));
    CHECK(!mutex.try_lock_until(std::chrono::steady_clock::now() + 5ms));
    waits = true;
    mutex.lock();
    mutex.unlock();
  });
  while (!waits) std::this_thread::sleep_for(1ms);
  // Its worker is free.
  for (std::size_t i = 0; i < fastrpc::worker_count(); ++i)
    fastrpc::spawn([] { fastrpc::sleep_for(1ms); }).join();
  mutex.unlock();
  waiter.join();
}

void a_recursive_mutex_is_one_coroutines() {
  std::recursive_mutex mutex;
  int inside = 0;
  fastrpc::spawn([&] {
    std::vector<fastrpc::Coroutine<void>> coroutines;
    for (int i = 0; i < 20; ++i) {
      coroutines.push_back(fastrpc::spawn([&] {
        std::lock_guard<std::recursive_mutex> outer(mutex);
        std::lock_guard<std::recursive_mutex> inner(mutex);
        CHECK(++inside == 1);
        fastrpc::yield();
        CHECK(--inside == 0);
      }));
    }
    for (auto& coroutine : coroutines) coroutine.join();
  }).join();
}

void everybody_wakes() {
  std::mutex mutex;
  std::condition_variable_any changed;
  bool go = false;
  std::atomic<int> gone{0};
  auto wait = [&] {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return go; });
    ++gone;
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < 50; ++i) coroutines.push_back(fastrpc::spawn(wait));
  std::vector<std::thread> threads;
  for (int i = 0; i < 3; ++i) threads.emplace_back(wait);
  std::this_thread::sleep_for(20ms);
  CHECK(gone == 0);
  {
    std::lock_guard<std::mutex> lock(mutex);
    go = true;
  }
  changed.notify_all();
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK(gone == 53);
}

// Writers are alone, readers are not; with the lock in their hands they wait.
void readers_and_writers_wait_for_each_other() {
  std::shared_timed_mutex mutex;
  std::atomic<int> readers{0}, most{0};
  std::atomic<bool> writes{false};
  auto read = [&] {
    for (int i = 0; i < 20; ++i) {
      std::shared_lock<std::shared_timed_mutex> lock(mutex);
      CHECK(!writes);
      int now = ++readers;
      for (int before = most; before < now && !most.compare_exchange_weak(before, now);) {
      }
      std::this_thread::sleep_for(1ms);
      --readers;
    }
  };
  auto write = [&] {
    for (int i = 0; i < 20; ++i) {
      std::unique_lock<std::shared_timed_mutex> lock(mutex, std::defer_lock);
      while (!lock.try_lock_for(50ms)) {
      }
      CHECK(!writes.exchange(true) && readers == 0);
      std::this_thread::sleep_for(1ms);
      writes = false;
    }
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  for (int i = 0; i < 8; ++i) coroutines.push_back(fastrpc::spawn(read));
  for (int i = 0; i < 2; ++i) coroutines.push_back(fastrpc::spawn(write));
  std::thread reader(read), writer(write);
  for (auto& coroutine : coroutines) coroutine.join();
  reader.join();
  writer.join();
  CHECK(most > 1);
}

}  // namespace

int main() {
  fastrpc::RuntimeOptions options;
  const char* workers = std::getenv("FASTRPC_TEST_WORKERS");
  options.workers = workers != nullptr ? std::stoul(workers) : 1;
  options.hook = true;
  options.hook_locks = true;
  fastrpc::configure(options);
  RUN(a_queue_between_coroutines_and_threads);
  RUN(a_lock_that_a_thread_holds_suspends);
  RUN(a_recursive_mutex_is_one_coroutines);
  RUN(everybody_wakes);
  RUN(readers_and_writers_wait_for_each_other);
}
