// Pools and queues between coroutines and threads: order, deadlines, and nothing lost.
#include <fastrpc/coroutine.hpp>
#include <fastrpc/que_mgr.hpp>
#include <fastrpc/resource_pool.hpp>

#include <atomic>
#include <thread>
#include <vector>

#include "check.hpp"
#include "workers.hpp"

using fastrpc::ResourcePool;
using namespace std::chrono_literals;

namespace {

struct Resource {
  std::atomic<int> users{0};
};

void what_came_back_last_goes_out_first() {
  ResourcePool<int> pool;
  int a = 1, b = 2;
  CHECK(pool.GetResQue() == nullptr);
  pool.PutResQue(&a);
  pool.PutResQue(&b);
  CHECK_EQ(pool.size(), 2);
  CHECK(pool.Get() == &b && pool.GetResQue() == &a && pool.GetResQue() == nullptr);
  CHECK(pool.Release(&a) && !pool.Release(nullptr));
  CHECK(pool.Get() == &a && pool.size() == 0);
}

void who_waits_longest_is_served_first() {
  ResourcePool<int> pool;
  constexpr int kWaiters = 20;
  std::vector<int> order;
  fastrpc::mutex mutex;
  std::atomic<int> waiting{0};
  std::vector<fastrpc::Coroutine<void>> waiters;
  fastrpc::SpawnOptions first_worker;
  first_worker.worker = 0;
  for (int i = 0; i < kWaiters; ++i) {
    waiters.push_back(fastrpc::spawn(first_worker, [&, i] {
      ++waiting;
      int* got = pool.Get();
      std::lock_guard<fastrpc::mutex> lock(mutex);
      CHECK(got != nullptr);
      order.push_back(i);
    }));
  }
  // Behind all of them on their worker: they wait by then.
  fastrpc::spawn(first_worker, [&] { CHECK_EQ(waiting, kWaiters); }).join();
  int resource = 0;
  for (int i = 0; i < kWaiters; ++i) {
    pool.Release(&resource);
    waiters[static_cast<std::size_t>(i)].join();
  }
  for (int i = 0; i < kWaiters; ++i) CHECK_EQ(order[static_cast<std::size_t>(i)], i);
}

void a_wait_ends_with_its_time_or_its_coroutine() {
  ResourcePool<int> pool;
  auto begin = std::chrono::steady_clock::now();
  CHECK(pool.Get(20ms) == nullptr);
  CHECK(std::chrono::steady_clock::now() - begin >= 20ms);
  CHECK(!pool.lease(1ms));
  auto waiter = fastrpc::spawn([&pool] {
    try {
      (void)pool.Get();
    } catch (const fastrpc::Error& error) {
      return error.is_canceled();
    }
    return false;
  });
  waiter.cancel();
  CHECK(waiter.join());
  int resource = 0;
  pool.Release(&resource);
  CHECK_EQ(pool.Get(1s), &resource);
}

void a_lease_gives_back_at_the_end_of_its_scope() {
  ResourcePool<Resource> pool;
  Resource resource;
  pool.PutResQue(&resource);
  {
    auto lease = pool.lease();
    lease->users = 1;
    CHECK(lease.get() == &resource && pool.size() == 0);
    auto moved = std::move(lease);
    CHECK(pool.size() == 0 && !pool.lease(1ms));
  }
  CHECK_EQ(pool.size(), 1);
  try {
    auto lease = pool.lease();
    throw 5;
  } catch (int) {
  }
  CHECK_EQ(pool.size(), 1);
}

void nobody_shares_between_coroutines_and_threads() {
  ResourcePool<Resource> pool;
  Resource resources[3];
  for (auto& resource : resources) pool.PutResQue(&resource);
  std::atomic<int> served{0};
  auto work = [&](int rounds) {
    for (int i = 0; i < rounds; ++i) {
      auto lease = pool.lease();
      CHECK_EQ(++lease->users, 1);
      if (i % 16 == 0) fastrpc::yield();
      CHECK_EQ(--lease->users, 0);
      ++served;
    }
  };
  std::vector<fastrpc::Coroutine<void>> coroutines;
  std::vector<std::thread> threads;
  for (int i = 0; i < 50; ++i) coroutines.push_back(fastrpc::spawn([&work] { work(100); }));
  for (int i = 0; i < 3; ++i) threads.emplace_back(work, 300);
  for (auto& coroutine : coroutines) coroutine.join();
  for (auto& thread : threads) thread.join();
  CHECK(served == 5900 && pool.size() == 3);
}

void a_queue_of_closures_hands_work_to_a_thread() {
  fastrpc::QueMgr queue;
  std::atomic<int> sum{0};
  std::thread worker([&queue] {
    for (int i = 0; i < 100; ++i) queue.GetQueue()->Run();
  });
  fastrpc::spawn([&] {
    for (int i = 1; i <= 100; ++i) queue.PutQueue(fastrpc::NewClosure([&sum, i] { sum += i; }));
  }).join();
  worker.join();
  CHECK_EQ(sum, 5050);
  CHECK(queue.GetQueue(1ms) == nullptr);
}

void closures_that_are_left_are_deleted() {
  auto held = std::make_shared<int>(1);
  {
    fastrpc::QueMgr queue;
    for (int i = 0; i < 10; ++i) queue.PutQueue(fastrpc::NewClosure([held] {}));
    CHECK_EQ(held.use_count(), 11);
  }
  CHECK_EQ(held.use_count(), 1);
}

}  // namespace

int main() {
  configure_workers();
  RUN(what_came_back_last_goes_out_first);
  RUN(who_waits_longest_is_served_first);
  RUN(a_wait_ends_with_its_time_or_its_coroutine);
  RUN(a_lease_gives_back_at_the_end_of_its_scope);
  RUN(nobody_shares_between_coroutines_and_threads);
  RUN(a_queue_of_closures_hands_work_to_a_thread);
  RUN(closures_that_are_left_are_deleted);
}
