// Locks, semaphores and queues between coroutines of any worker and plain threads.
//
//   fastrpc::queue<std::string> lines(100);
//   fastrpc::spawn_detached([&] { lines.push("hello"); });
//   std::string line = lines.pop();
//
//   fastrpc::mutex mutex;
//   std::lock_guard<fastrpc::mutex> lock(mutex);  // may be held while the coroutine waits
//
// What waits suspends its coroutine, or blocks its plain thread; the others never suspend. A wait
// throws an Error, is_canceled(), when its coroutine is canceled. Any thread may use an object; it
// must outlive those that wait.
#pragma once

#include <fastrpc/error.hpp>

#include <condition_variable>
#include <cstring>
#include <memory>
#include <mutex>
#include <optional>
#include <type_traits>

namespace fastrpc {

// Lockable and TimedLockable: works with std::lock_guard, unique_lock, scoped_lock. May be held
// while a coroutine waits. Not recursive.
class mutex {
 public:
  mutex() { detail::make<fastrpc_mutex_new>(handle_).value(); }
  static Result<mutex> make(std::nothrow_t) {
    mutex made{detail::Empty()};
    if (auto ok = detail::make<fastrpc_mutex_new>(made.handle_); !ok) return ok.error();
    return made;
  }

  // Waits until it is unlocked, and locks it.
  void lock() { lock(std::nothrow).value(); }
  Result<void> lock(std::nothrow_t) { return detail::check(lock_in(detail::kNever)); }
  // Locks it if that needs no wait.
  [[nodiscard]] bool try_lock() { return lock_in(0) == FASTRPC_OK; }
  // Unlocks it, whoever has locked it. Fails with Status::bad_state if nobody has.
  void unlock() { unlock(std::nothrow).value(); }
  Result<void> unlock(std::nothrow_t) { return detail::check(fastrpc_mutex_unlock(handle_.get())); }

  // Wait no longer than that. Return whether it is locked.
  template <typename Rep, typename Period>
  [[nodiscard]] bool try_lock_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(lock_in(detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> try_lock_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return detail::check(lock_in(detail::nanoseconds(time)));
  }
  template <typename Clock, typename Duration>
  [[nodiscard]] bool try_lock_until(std::chrono::time_point<Clock, Duration> time) {
    return detail::check_timed(lock_in(detail::nanoseconds_until(time)));
  }
  template <typename Clock, typename Duration>
  Result<void> try_lock_until(std::chrono::time_point<Clock, Duration> time, std::nothrow_t) {
    return detail::check(lock_in(detail::nanoseconds_until(time)));
  }

 private:
  friend class condition_variable;

  explicit mutex(detail::Empty) {}

  fastrpc_status lock_in(std::int64_t timeout) {
    return fastrpc_mutex_lock(handle_.get(), timeout);
  }

  detail::Handle<fastrpc_mutex, fastrpc_mutex_free> handle_;
};

// Mirrors std::condition_variable, for fastrpc::mutex. The mutex is locked again when a wait
// returns, also when it fails.
class condition_variable {
 public:
  condition_variable() { detail::make<fastrpc_condvar_new>(handle_).value(); }
  static Result<condition_variable> make(std::nothrow_t) {
    condition_variable made{detail::Empty()};
    if (auto ok = detail::make<fastrpc_condvar_new>(made.handle_); !ok) return ok.error();
    return made;
  }

  void notify_one() noexcept { fastrpc_condvar_notify_one(handle_.get()); }
  void notify_all() noexcept { fastrpc_condvar_notify_all(handle_.get()); }

  // Unlocks, waits for a notification and locks again.
  void wait(std::unique_lock<mutex>& lock) { wait(lock, std::nothrow).value(); }
  Result<void> wait(std::unique_lock<mutex>& lock, std::nothrow_t) {
    return detail::check(wait_in(lock, detail::kNever));
  }
  // Waits until `done()`.
  template <typename Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate done) {
    wait(lock, std::move(done), std::nothrow).value();
  }
  template <typename Predicate>
  Result<void> wait(std::unique_lock<mutex>& lock, Predicate done, std::nothrow_t) {
    while (!done())
      if (auto waited = wait(lock, std::nothrow); !waited) return waited;
    return {};
  }

  template <typename Clock, typename Duration>
  std::cv_status wait_until(std::unique_lock<mutex>& lock,
                            std::chrono::time_point<Clock, Duration> time) {
    return to_cv_status(wait_in(lock, detail::nanoseconds_until(time)));
  }
  template <typename Clock, typename Duration>
  Result<void> wait_until(std::unique_lock<mutex>& lock,
                          std::chrono::time_point<Clock, Duration> time, std::nothrow_t) {
    return detail::check(wait_in(lock, detail::nanoseconds_until(time)));
  }
  // Returns whether `done()`.
  template <typename Clock, typename Duration, typename Predicate>
  bool wait_until(std::unique_lock<mutex>& lock, std::chrono::time_point<Clock, Duration> time,
                  Predicate done) {
    while (!done())
      if (wait_until(lock, time) == std::cv_status::timeout) return done();
    return true;
  }
  template <typename Clock, typename Duration, typename Predicate>
  Result<void> wait_until(std::unique_lock<mutex>& lock,
                          std::chrono::time_point<Clock, Duration> time, Predicate done,
                          std::nothrow_t) {
    while (!done()) {
      auto waited = wait_until(lock, time, std::nothrow);
      if (!waited) return waited.error().is_timeout() && done() ? Result<void>() : waited;
    }
    return {};
  }

  template <typename Rep, typename Period>
  std::cv_status wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time) {
    return to_cv_status(wait_in(lock, detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time,
                        std::nothrow_t) {
    return detail::check(wait_in(lock, detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period, typename Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time,
                Predicate done) {
    return wait_until(lock, std::chrono::steady_clock::now() + time, std::move(done));
  }
  template <typename Rep, typename Period, typename Predicate>
  Result<void> wait_for(std::unique_lock<mutex>& lock, std::chrono::duration<Rep, Period> time,
                        Predicate done, std::nothrow_t) {
    return wait_until(lock, std::chrono::steady_clock::now() + time, std::move(done), std::nothrow);
  }

 private:
  explicit condition_variable(detail::Empty) {}

  static std::cv_status to_cv_status(fastrpc_status waited) {
    return detail::check_timed(waited) ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  fastrpc_status wait_in(std::unique_lock<mutex>& lock, std::int64_t timeout) {
    return fastrpc_condvar_wait(handle_.get(), lock.mutex()->handle_.get(), timeout);
  }

  detail::Handle<fastrpc_condvar, fastrpc_condvar_free> handle_;
};

// A counting semaphore whose waiters are served first come, first served.
class semaphore {
 public:
  // `permits`: how many are free at first.
  explicit semaphore(std::size_t permits) {
    detail::make<fastrpc_semaphore_new>(handle_, permits).value();
  }
  static Result<semaphore> make(std::size_t permits, std::nothrow_t) {
    semaphore made{detail::Empty()};
    auto ok = detail::make<fastrpc_semaphore_new>(made.handle_, permits);
    if (!ok) return ok.error();
    return made;
  }

  // Waits for `count` permits and takes them, all at once.
  void acquire(std::size_t count = 1) { acquire(count, std::nothrow).value(); }
  Result<void> acquire(std::nothrow_t) { return acquire(1, std::nothrow); }
  Result<void> acquire(std::size_t count, std::nothrow_t) {
    return detail::check(acquire_in(count, detail::kNever));
  }
  // Takes them if that needs no wait.
  [[nodiscard]] bool try_acquire(std::size_t count = 1) {
    return acquire_in(count, 0) == FASTRPC_OK;
  }
  // Waits no longer than that. Returns whether it got them.
  template <typename Rep, typename Period>
  [[nodiscard]] bool try_acquire_for(std::chrono::duration<Rep, Period> time,
                                     std::size_t count = 1) {
    return detail::check_timed(acquire_in(count, detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> try_acquire_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return try_acquire_for(time, 1, std::nothrow);
  }
  template <typename Rep, typename Period>
  Result<void> try_acquire_for(std::chrono::duration<Rep, Period> time, std::size_t count,
                               std::nothrow_t) {
    return detail::check(acquire_in(count, detail::nanoseconds(time)));
  }
  // Gives permits back, or adds new ones. Fails with Status::limit beyond what can be counted.
  void release(std::size_t count = 1) { release(count, std::nothrow).value(); }
  Result<void> release(std::nothrow_t) { return release(1, std::nothrow); }
  Result<void> release(std::size_t count, std::nothrow_t) {
    return detail::check(fastrpc_semaphore_release(handle_.get(), count));
  }
  // Returns how many permits are free at this moment.
  [[nodiscard]] std::size_t available() const { return fastrpc_semaphore_available(handle_.get()); }

 private:
  explicit semaphore(detail::Empty) {}

  fastrpc_status acquire_in(std::size_t count, std::int64_t timeout) {
    return fastrpc_semaphore_acquire(handle_.get(), count, timeout);
  }

  detail::Handle<fastrpc_semaphore, fastrpc_semaphore_free> handle_;
};

// Counts outstanding tasks, and waits until there are none.
class WaitGroup {
 public:
  explicit WaitGroup(std::size_t count = 0) {
    detail::make<fastrpc_wait_group_new>(handle_).value();
    add(count);
  }
  static Result<WaitGroup> make(std::size_t count, std::nothrow_t) {
    WaitGroup made{detail::Empty()};
    if (auto ok = detail::make<fastrpc_wait_group_new>(made.handle_); !ok) return ok.error();
    if (auto added = made.add(count, std::nothrow); !added) return added.error();
    return made;
  }

  // Adds tasks. Fails with Status::limit beyond what can be counted.
  void add(std::size_t count = 1) { add(count, std::nothrow).value(); }
  Result<void> add(std::nothrow_t) { return add(1, std::nothrow); }
  Result<void> add(std::size_t count, std::nothrow_t) {
    return detail::check(fastrpc_wait_group_add(handle_.get(), count));
  }
  // Ends one task. Fails with Status::bad_state if there is none.
  void done() { done(std::nothrow).value(); }
  Result<void> done(std::nothrow_t) {
    return detail::check(fastrpc_wait_group_done(handle_.get()));
  }

  // Waits until there are no tasks.
  void wait() { wait(std::nothrow).value(); }
  Result<void> wait(std::nothrow_t) { return detail::check(wait_in(detail::kNever)); }
  // Waits no longer than that. Returns whether there are none.
  template <typename Rep, typename Period>
  [[nodiscard]] bool wait_for(std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(wait_in(detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> wait_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return detail::check(wait_in(detail::nanoseconds(time)));
  }

 private:
  explicit WaitGroup(detail::Empty) {}

  fastrpc_status wait_in(std::int64_t timeout) {
    return fastrpc_wait_group_wait(handle_.get(), timeout);
  }

  detail::Handle<fastrpc_wait_group, fastrpc_wait_group_free> handle_;
};

// A bounded first-in first-out queue: who pushes into a full one waits. Holds any type that moves;
// what is left in it is destroyed with it.
template <typename T>
class queue {
 public:
  // `capacity`: how many items it holds, at least 1.
  explicit queue(std::size_t capacity) {
    detail::make<fastrpc_queue_new>(handle_, capacity, destroy).value();
  }
  static Result<queue> make(std::size_t capacity, std::nothrow_t) {
    queue made{detail::Empty()};
    auto ok = detail::make<fastrpc_queue_new>(made.handle_, capacity, destroy);
    if (!ok) return ok.error();
    return made;
  }

  // Waits for room and adds an item. Fails with Status::closed once the queue is closed.
  void push(T item) { push(std::move(item), std::nothrow).value(); }
  Result<void> push(T item, std::nothrow_t) { return detail::check(push_in(item, detail::kNever)); }
  // Return false if it is full, at once or after that time; `item` is as it was then.
  [[nodiscard]] bool try_push(T& item) { return detail::check_timed(push_in(item, 0)); }
  Result<void> try_push(T& item, std::nothrow_t) { return detail::check(push_in(item, 0)); }
  template <typename Rep, typename Period>
  [[nodiscard]] bool push_for(T& item, std::chrono::duration<Rep, Period> time) {
    return detail::check_timed(push_in(item, detail::nanoseconds(time)));
  }
  template <typename Rep, typename Period>
  Result<void> push_for(T& item, std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return detail::check(push_in(item, detail::nanoseconds(time)));
  }

  // Waits for an item and takes it. Fails with Status::closed once the queue is closed and empty.
  [[nodiscard]] T pop() { return pop(std::nothrow).value(); }
  Result<T> pop(std::nothrow_t) { return pop_in(detail::kNever); }
  // Return nothing if it is empty, at once or after that time.
  [[nodiscard]] std::optional<T> try_pop() { return pop_timed(0); }
  Result<T> try_pop(std::nothrow_t) { return pop_in(0); }
  template <typename Rep, typename Period>
  [[nodiscard]] std::optional<T> pop_for(std::chrono::duration<Rep, Period> time) {
    return pop_timed(detail::nanoseconds(time));
  }
  template <typename Rep, typename Period>
  Result<T> pop_for(std::chrono::duration<Rep, Period> time, std::nothrow_t) {
    return pop_in(detail::nanoseconds(time));
  }

  // Makes pushes fail, and pops once it is empty.
  void close() { close(std::nothrow).value(); }
  Result<void> close(std::nothrow_t) { return detail::check(fastrpc_queue_close(handle_.get())); }
  // Returns how many items are in it at this moment.
  [[nodiscard]] std::size_t size() const { return fastrpc_queue_size(handle_.get()); }

 private:
  explicit queue(detail::Empty) {}

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

  Result<T> pop_in(std::int64_t timeout) {
    void* item = nullptr;
    fastrpc_status status = fastrpc_queue_pop(handle_.get(), &item, timeout);
    if (status != FASTRPC_OK) return Error(status);
    return unpack(item);
  }

  std::optional<T> pop_timed(std::int64_t timeout) {
    void* item = nullptr;
    if (!detail::check_timed(fastrpc_queue_pop(handle_.get(), &item, timeout))) return std::nullopt;
    return unpack(item);
  }

  detail::Handle<fastrpc_queue, fastrpc_queue_free> handle_;
};

}  // namespace fastrpc
