// Locks and queues between coroutines of any worker and plain threads. The waiting coroutine
// suspends, the waiting thread blocks. Waits throw an Error when their coroutine is cancelled.
#pragma once

#include <fastrpc/error.hpp>

#include <condition_variable>
#include <cstring>
#include <mutex>
#include <optional>
#include <type_traits>

namespace fastrpc {

// Lockable and TimedLockable: works with std::lock_guard, unique_lock, scoped_lock. May be held
// while a coroutine waits. Not recursive.
class mutex {
 public:
  mutex() {
    fastrpc_mutex* made = nullptr;
    detail::check(fastrpc_mutex_new(&made)).value();
    handle_.reset(made);
  }

  void lock() { lock(std::nothrow).value(); }
  Result<void> lock(std::nothrow_t) { return detail::check(lock_in(detail::kNever)); }
  [[nodiscard]] bool try_lock() { return lock_in(0) == FASTRPC_OK; }
  void unlock() { detail::check(fastrpc_mutex_unlock(handle_.get())).value(); }

  template <typename Rep, typename Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(lock_in(detail::nanoseconds(time)));
  }
  template <typename Clock, typename Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {
    return detail::check_timed(lock_in(detail::nanoseconds_until(time)));
  }

 private:
  friend class condition_variable;

  fastrpc_status lock_in(std::int64_t timeout) {
    return fastrpc_mutex_lock(handle_.get(), timeout);
  }

  detail::Handle<fastrpc_mutex, fastrpc_mutex_free> handle_;
};

// Like std::condition_variable, for fastrpc::mutex.
class condition_variable {
 public:
  condition_variable() {
    fastrpc_condvar* made = nullptr;
    detail::check(fastrpc_condvar_new(&made)).value();
    handle_.reset(made);
  }

  void notify_one() noexcept { fastrpc_condvar_notify_one(handle_.get()); }
  void notify_all() noexcept { fastrpc_condvar_notify_all(handle_.get()); }

  void wait(std::unique_lock<mutex>& lock) { wait(lock, std::nothrow).value(); }
  Result<void> wait(std::unique_lock<mutex>& lock, std::nothrow_t) {
    return detail::check(wait_in(lock, detail::kNever));
  }
  template <typename Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate done) {
    while (!done()) wait(lock);
  }

  template <typename Clock, typename Duration>
  std::cv_status wait_until(std::unique_lock<mutex>& lock,
                            std::chrono::time_point<Clock, Duration> time) {
    bool told = detail::check_timed(wait_in(lock, detail::nanoseconds_until(time)));
    return told ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  template <typename Clock, typename Duration, typename Predicate>
  bool wait_until(std::unique_lock<mutex>& lock, std::chrono::time_point<Clock, Duration> time,
                  Predicate done) {
    while (!done())
      if (wait_until(lock, time) == std::cv_status::timeout) return done();
    return true;
  }

  template <typename Rep, typename Period>
  std::cv_status wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time) {
    bool told = detail::check_timed(wait_in(lock, detail::nanoseconds(time)));
    return told ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  template <typename Rep, typename Period, typename Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time,
                Predicate done) {
    return wait_until(lock, std::chrono::steady_clock::now() + time, std::move(done));
  }

 private:
  fastrpc_status wait_in(std::unique_lock<mutex>& lock, std::int64_t timeout) {
    return fastrpc_condvar_wait(handle_.get(), lock.mutex()->handle_.get(), timeout);
  }

  detail::Handle<fastrpc_condvar, fastrpc_condvar_free> handle_;
};

// A number of permits.
class semaphore {
 public:
  explicit semaphore(std::size_t permits) {
    fastrpc_semaphore* made = nullptr;
    detail::check(fastrpc_semaphore_new(permits, &made)).value();
    handle_.reset(made);
  }

  void acquire(std::size_t count = 1) { acquire(std::nothrow, count).value(); }
  Result<void> acquire(std::nothrow_t, std::size_t count = 1) {
    return detail::check(acquire_in(count, detail::kNever));
  }
  [[nodiscard]] bool try_acquire(std::size_t count = 1) {
    return acquire_in(count, 0) == FASTRPC_OK;
  }
  template <typename Rep, typename Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> time,
                                     std::size_t count = 1) {
    return detail::check_timed(acquire_in(count, detail::nanoseconds(time)));
  }
  void release(std::size_t count = 1) {
    detail::check(fastrpc_semaphore_release(handle_.get(), count)).value();
  }
  [[nodiscard]] std::size_t available() const { return fastrpc_semaphore_available(handle_.get()); }

 private:
  fastrpc_status acquire_in(std::size_t count, std::int64_t timeout) {
    return fastrpc_semaphore_acquire(handle_.get(), count, timeout);
  }

  detail::Handle<fastrpc_semaphore, fastrpc_semaphore_free> handle_;
};

// A count of things that are going on, and a wait until it is 0.
class wait_group {
 public:
  explicit wait_group(std::size_t count = 0) {
    fastrpc_wait_group* made = nullptr;
    detail::check(fastrpc_wait_group_new(&made)).value();
    handle_.reset(made);
    add(count);
  }

  void add(std::size_t count = 1) {
    detail::check(fastrpc_wait_group_add(handle_.get(), count)).value();
  }
  void done() { detail::check(fastrpc_wait_group_done(handle_.get())).value(); }

  void wait() { wait(std::nothrow).value(); }
  Result<void> wait(std::nothrow_t) { return detail::check(wait_in(detail::kNever)); }
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(wait_in(detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> wait_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return detail::check(wait_in(detail::nanoseconds(time)));
  }

 private:
  fastrpc_status wait_in(std::int64_t timeout) {
    return fastrpc_wait_group_wait(handle_.get(), timeout);
  }

  detail::Handle<fastrpc_wait_group, fastrpc_wait_group_free> handle_;
};

// A first-in first-out queue with room for a fixed number; who pushes into a full one waits. Holds
// any type that moves; what is left in it is destroyed with it.
template <typename T>
class queue {
 public:
  explicit queue(std::size_t capacity) {
    fastrpc_queue* made = nullptr;
    detail::check(fastrpc_queue_new(capacity, destroy, &made)).value();
    handle_.reset(made);
  }

  // Throws an Error, is_closed(), once it is closed.
  void push(T item) { push(std::move(item), std::nothrow).value(); }
  Result<void> push(T item, std::nothrow_t) { return detail::check(push_in(item, detail::kNever)); }
  // False if it is full; `item` is as it was then.
  [[nodiscard]] bool try_push(T& item) { return detail::check_timed(push_in(item, 0)); }
  template <typename Rep, typename Period>
  [[nodiscard]] bool push_for(T& item, std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(push_in(item, detail::nanoseconds(time)));
  }

  // Throws an Error, is_closed(), once it is closed and empty.
  [[nodiscard]] T pop() { return pop(std::nothrow).value(); }
  Result<T> pop(std::nothrow_t) {
    void* item = nullptr;
    if (auto popped = detail::check(pop_in(&item, detail::kNever)); !popped) return popped.error();
    return unpack(item);
  }
  [[nodiscard]] std::optional<T> try_pop() { return pop_timed(0); }
  template <typename Rep, typename Period>
  [[nodiscard]] std::optional<T> pop_for(std::chrono::duration<Rep, Period> time) {
    return pop_timed(detail::nanoseconds(time));
  }

  // Lets nothing more in.
  void close() { detail::check(fastrpc_queue_close(handle_.get())).value(); }
  [[nodiscard]] std::size_t size() const { return fastrpc_queue_size(handle_.get()); }

 private:
  // Small plain values travel inside the pointer.
  static constexpr bool kInline = std::is_trivially_copyable_v<T> &&
                                  std::is_default_constructible_v<T> && sizeof(T) <= sizeof(void*);

  static void* pack(T& item) {
    if constexpr (kInline) {
      void* packed = nullptr;
      std::memcpy(&packed, &item, sizeof item);
      return packed;
    } else {
      return new T(std::move(item));
    }
  }

  static T unpack(void* packed) {
    if constexpr (kInline) {
      T item;
      std::memcpy(static_cast<void*>(&item), &packed, sizeof item);
      return item;
    } else {
      std::unique_ptr<T> boxed(static_cast<T*>(packed));
      return std::move(*boxed);
    }
  }

  static void destroy(void* packed) { unpack(packed); }

  fastrpc_status push_in(T& item, std::int64_t timeout) {
    void* packed = pack(item);
    fastrpc_status status = fastrpc_queue_push(handle_.get(), packed, timeout);
    if (status != FASTRPC_OK) item = unpack(packed);
    return status;
  }

  fastrpc_status pop_in(void** item, std::int64_t timeout) {
    return fastrpc_queue_pop(handle_.get(), item, timeout);
  }

  std::optional<T> pop_timed(std::int64_t timeout) {
    void* item = nullptr;
    if (!detail::check_timed(pop_in(&item, timeout))) return std::nullopt;
    return unpack(item);
  }

  detail::Handle<fastrpc_queue, fastrpc_queue_free> handle_;
};

}  // namespace fastrpc
