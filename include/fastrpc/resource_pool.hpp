// A pool of things that are lent out, such as connections to a database.
//
//   auto connection = pool.lease();  // waits for one that is free
//   connection->query("...");        // and goes back at the end of the scope
#pragma once

#include <fastrpc/sync.hpp>

#include <deque>
#include <memory>
#include <mutex>

namespace fastrpc {

// Lends out what was put in: the last that came back first, to whoever has waited longest. The
// things stay yours: the pool deletes none, and must outlive its leases. Any thread.
template <typename T>
class ResourcePool {
 public:
  // Gives a thing back to its pool.
  class Return {
   public:
    explicit Return(ResourcePool* pool = nullptr) : pool_(pool) {}
    void operator()(T* resource) const { pool_->Release(resource); }

   private:
    ResourcePool* pool_;
  };

  // A thing that goes back at the end of the scope.
  using Lease = std::unique_ptr<T, Return>;

  // Waits for a thing: suspends the coroutine, or blocks the thread. Throws an Error if the
  // coroutine is cancelled; never gives NULL.
  [[nodiscard]] T* Get() {
    free_.acquire();
    return take();
  }
  // Gives NULL when the time has passed.
  template <typename Rep, typename Period>
  [[nodiscard]] T* Get(std::chrono::duration<Rep, Period> time) {
    return free_.try_acquire_for(time) ? take() : nullptr;
  }
  // The same, and gives it back by itself.
  [[nodiscard]] Lease lease() { return Lease(Get(), Return(this)); }
  template <typename Rep, typename Period>
  [[nodiscard]] Lease lease(std::chrono::duration<Rep, Period> time) {
    return Lease(Get(time), Return(this));
  }

  // Gives a thing back, or puts a new one in. False for NULL.
  bool Release(T* resource) {
    if (resource == nullptr) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      resources_.push_front(resource);
    }
    free_.release();
    return true;
  }

  // The original's name for putting one in.
  void PutResQue(T* resource) { Release(resource); }
  // A thing if one is free and nobody waits for it, else NULL. Does not wait.
  [[nodiscard]] T* GetResQue() { return free_.try_acquire() ? take() : nullptr; }

  // How many are free at this moment.
  [[nodiscard]] std::size_t size() const { return free_.available(); }

 private:
  // With a permit in hand there is one.
  T* take() {
    std::lock_guard<std::mutex> lock(mutex_);
    T* resource = resources_.front();
    resources_.pop_front();
    return resource;
  }

  std::mutex mutex_;
  std::deque<T*> resources_;
  // As many permits as there are things.
  semaphore free_{0};
};

}  // namespace fastrpc
