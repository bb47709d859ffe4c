// A pool of reusable resources, such as database connections.
//
//   fastrpc::ResourcePool<Connection> pool;
//   pool.add(&connection);
//   auto lease = pool.lease();  // waits for one that is free
//   lease->query("...");        // and goes back at the end of the scope
//
// The pool does not own the resources: it deletes none, and must outlive its leases. Any thread and
// any coroutine may use it; lease() waits: it suspends the coroutine, or blocks the thread.
#pragma once

#include <fastrpc/detail/original_resource_pool.hpp>
#include <fastrpc/sync.hpp>

#include <chrono>
#include <deque>
#include <memory>
#include <mutex>

namespace fastrpc {

// Leases the most recently returned resource (LIFO) to the longest waiter (FIFO).
template <typename T>
class ResourcePool : public detail::OriginalResourcePool<ResourcePool<T>, T> {
 public:
  // Deleter that returns a resource to its pool.
  class Return {
   public:
    explicit Return(ResourcePool* pool = nullptr) : pool_(pool) {}
    void operator()(T* resource) const { pool_->add(resource); }

   private:
    ResourcePool* pool_;
  };

  // A leased resource, returned to the pool at the end of the scope.
  using Lease = std::unique_ptr<T, Return>;

  // Adds a resource. Returns false for NULL.
  bool add(T* resource) {
    if (resource == nullptr) return false;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      resources_.push_front(resource);
    }
    free_.release();
    return true;
  }

  // Waits for a resource. Never returns an empty lease; throws an Error if the coroutine is
  // canceled.
  [[nodiscard]] Lease lease() { return lease(std::nothrow).value(); }
  Result<Lease> lease(std::nothrow_t) { return taken(free_.acquire(std::nothrow)); }
  // Returns an empty lease on a timeout.
  template <typename Rep, typename Period>
  [[nodiscard]] Lease lease(std::chrono::duration<Rep, Period> time) {
    return free_.try_acquire_for(time) ? take() : Lease();
  }
  template <typename Rep, typename Period>
  Result<Lease> lease(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return taken(free_.try_acquire_for(time, std::nothrow));
  }
  // Returns an empty lease unless a resource is free and has no waiters. Never suspends.
  [[nodiscard]] Lease try_lease() { return free_.try_acquire() ? take() : Lease(); }

  // Returns how many resources are free at the moment.
  [[nodiscard]] std::size_t size() const { return free_.available(); }

 private:
  Result<Lease> taken(const Result<void>& acquired) {
    if (!acquired) return acquired.error();
    return take();
  }

  // Requires a permit, so that there is a resource.
  Lease take() {
    std::lock_guard<std::mutex> lock(mutex_);
    T* resource = resources_.front();
    resources_.pop_front();
    return Lease(resource, Return(this));
  }

  std::mutex mutex_;
  std::deque<T*> resources_;
  // One permit per free resource.
  semaphore free_{0};
};

}  // namespace fastrpc
